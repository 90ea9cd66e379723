package chaos

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"
	"go.uber.org/goleak"

	"vspherepool/api"
)

var (
	runs    = flag.Int("runs", 0, "how many histories to play; 0: a brief one")
	seed    = flag.String("seed", "", "the first history's seed; empty: a random one")
	verbose = flag.Bool("transcript", false, "show the transcript of every history")
	shrinks = flag.Duration("shrink", 2*time.Minute, "how long to look for a smaller history that fails as well; 0: not at all")
)

// regular is the number of histories without -runs, firstSeed the first one's seed there. They are brief, because the race detector makes
// them forty times slower; make check plays more without it.
const (
	regular   = 1
	firstSeed = 1
)

// brief is the beginning of a history, with shorter pauses.
func (h history) brief() history {
	h.Steps = h.Steps[:min(len(h.Steps), 12)]
	for i := range h.Steps {
		h.Steps[i].Pause = min(h.Steps[i].Pause, 300)
	}
	return h
}

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // vcsim reports each refused call
	flag.Parse()
	dir, err := os.MkdirTemp(memory(), "vspherepool-chaos-")
	if err == nil {
		err = prepare(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	home = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	if err := leaks(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func leaks() error {
	return goleak.Find(
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	)
}

// home is where state directories are.
var home string

// memory is a directory in memory, where there is one: journals are synchronized at each write.
func memory() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// prepare makes the server's certificate, and has fasthttp start its clock, of which there is one for the process, outside of all bubbles.
func prepare(dir string) error {
	server, err := api.NewServer(api.Options{SelfSignedDir: dir})
	if err != nil {
		return err
	}
	certificates.cert = server.CertificateFile()
	certificates.key = filepath.Join(dir, "tls-key.pem")
	listener := fasthttputil.NewInmemoryListener()
	clock := &fasthttp.Server{Handler: func(*fasthttp.RequestCtx) {}}
	var served sync.WaitGroup
	served.Go(func() { _ = clock.Serve(listener) })
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return listener.Dial() },
	}}
	if res, err := client.Get("http://clock/"); err == nil {
		_ = res.Body.Close()
	}
	client.CloseIdleConnections()
	err = clock.Shutdown()
	served.Wait()
	return err
}

// result is what a history came to.
type result struct {
	history    history
	violations []violation
	transcript []string
	steps      int
	calls      int
	crashes    int
	virtual    time.Duration
}

// run plays one history in a bubble of its own.
func run(t *testing.T, h history) (r result) {
	t.Helper()
	r.history = h
	dir, err := os.MkdirTemp(home, "state-") //nolint:usetesting // in memory, unlike the test's own
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w, err := newWorld(h, dir)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range h.Steps {
			text, _ := json.Marshal(s)
			w.book.say("step %d %s", i, text)
			w.play(s)
			if w.book.failed() {
				break
			}
		}
		if !w.book.failed() {
			w.peace()
		}
		w.close()
		r.violations, r.transcript, r.steps, r.crashes = w.book.violations, w.book.lines, w.book.steps, w.book.crashes
		r.calls, r.virtual = w.network.calls, time.Since(began)
	})
	return r
}

func TestChaos(t *testing.T) {
	first, n := firstSeed, regular
	if *runs > 0 {
		first, n = chosenSeed(t), *runs
	}
	var total tally
	t.Run("histories", func(t *testing.T) {
		for i := range n {
			seed := uint64(first + i)
			t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
				t.Parallel()
				h := generate(seed)
				if *runs == 0 {
					h = h.brief()
				}
				r := run(t, h)
				total.add(r)
				report(t, r)
			})
		}
	})
	fmt.Printf("chaos: %s\n", &total)
}

func chosenSeed(t *testing.T) int {
	t.Helper()
	first := rand.IntN(1 << 30)
	if *seed != "" {
		if _, err := fmt.Sscan(*seed, &first); err != nil {
			t.Fatalf("SEED must be a number: %v", err)
		}
	}
	fmt.Printf("chaos: RUNS=%d SEED=%d\n", *runs, first)
	return first
}

// report tells of a history that failed, and keeps a smaller one.
func report(t *testing.T, r result) {
	t.Helper()
	if *verbose {
		t.Logf("%s", strings.Join(r.transcript, "\n"))
	}
	if len(r.violations) == 0 {
		return
	}
	kind := r.violations[0].Invariant
	small := r
	small.history = shrink(r.history, time.Now().Add(*shrinks), func(c history) bool {
		again := run(t, c)
		if len(again.violations) == 0 || again.violations[0].Invariant != kind {
			return false
		}
		small = again
		return true
	})
	kept := "not kept"
	if *shrinks > 0 {
		kept = "kept in " + keep(t, small.history)
	}
	t.Errorf("%v\nreproduce: make chaos RUNS=1 SEED=%d\nshrunk to (%s): %s\ntranscript:\n%s\nviolations then: %v",
		r.violations, r.history.Seed, kept, small.history, strings.Join(last(small.transcript, 120), "\n"), small.violations)
}

func last(lines []string, n int) []string { return lines[max(0, len(lines)-n):] }

const regressions = "testdata/regressions"

// keep writes a history down for TestRegressions.
func keep(t *testing.T, h history) string {
	t.Helper()
	text, err := json.MarshalIndent(h, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(regressions, fmt.Sprintf("%d.json", h.Seed))
	if err := os.MkdirAll(regressions, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestRegressions plays every history that ever failed.
func TestRegressions(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(regressions, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var h history
			if err := json.Unmarshal(text, &h); err != nil {
				t.Fatal(err)
			}
			if r := run(t, h); len(r.violations) > 0 {
				t.Errorf("%v\n%s\n%s", r.violations, h, strings.Join(last(r.transcript, 120), "\n"))
			}
		})
	}
}

// tally sums results up.
type tally struct {
	mu                                      sync.Mutex
	runs, steps, calls, crashes, violations int
	virtual                                 time.Duration
}

func (s *tally) add(r result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs++
	s.steps += r.steps
	s.calls += r.calls
	s.crashes += r.crashes
	s.virtual += r.virtual
	if len(r.violations) > 0 {
		s.violations++
	}
}

func (s *tally) String() string {
	return fmt.Sprintf("%d runs, %d steps, %d SOAP calls, %d restarts, %s of virtual time, %d runs with violations",
		s.runs, s.steps, s.calls, s.crashes, s.virtual.Round(time.Hour), s.violations)
}
