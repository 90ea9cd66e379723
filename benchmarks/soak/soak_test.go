package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
	"go.uber.org/goleak"

	"vspherepool/vsphere/simulator"
)

const (
	// byDefault is how long the soak is where nobody asks for one: enough to see that it works.
	byDefault = 20 * time.Second
	// atRest is the size in every calm.
	atRest = 5
	// convergence is how long the pool may take for it, after trouble that it may have backed off from.
	convergence = 4 * time.Minute
	// overtime is for a last calm that takes as long as it may; every wait has its own limit, so that this one is for defects.
	overtime = 10 * time.Minute
	// enough violations end the soak early.
	enough       = 20
	strangerName = "stranger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soak is one run.
type soak struct {
	t      *testing.T
	sim    *simulator.Simulator
	vc     *vim25.Client
	proxy  *simulator.Proxy
	server *server
	began  time.Time

	// sizes are those that the desired size may have now, by what the one who commands was told.
	sizes []int
	// troubled counts what may have cost a login, logins those there were.
	troubled, logins int
	// dropped is when vCenter last forgot its sessions.
	dropped time.Time

	mu sync.Mutex
	// terminated is when that was acknowledged.
	terminated map[string]time.Time
	statuses   map[int]int
	violations int
}

func TestSoak(t *testing.T) {
	duration, seed := byDefault, rand.Uint64()
	if text := os.Getenv("SOAK"); text != "" {
		var err error
		if duration, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	if text := os.Getenv("SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%s, seed %d", duration, seed)
	s := newSoak(t, seed)
	defer time.AfterFunc(duration+overtime, func() {
		_ = s.server.end(syscall.SIGKILL)
		panic("the soak hangs")
	}).Stop()
	s.run(duration, rand.New(rand.NewPCG(seed, 0)))
}

func newSoak(t *testing.T, seed uint64) *soak {
	t.Helper()
	sim, err := simulator.New(simulator.Options{CloneDelay: 300 * time.Millisecond, BootDelay: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	if _, err := sim.Serve("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	proxy, err := simulator.NewProxy(sim.Connection().URL, seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	vc, err := sim.Client(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := &soak{
		t: t, sim: sim, vc: vc, proxy: proxy, server: newServer(t), began: time.Now(), sizes: []int{atRest},
		terminated: map[string]time.Time{}, statuses: map[int]int{},
	}
	document, err := json.Marshal(map[string]any{
		"name": "web", "desiredSize": atRest, "cloudApiSettings": proxy.Connection(), "provisioningTemplate": sim.Template(),
		"poolFetch": map[string]any{"refreshInterval": "1s", "eventInterval": "200ms"},
		"retention": "2s", "rails": map[string]any{"settlingTime": "1s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.server.path("pool.json"), document, 0o600); err != nil {
		t.Fatal(err)
	}
	s.plantStranger()
	return s
}

// plantStranger puts somebody else's VM into the pool's folder.
func (s *soak) plantStranger() {
	s.t.Helper()
	ctx := s.t.Context()
	f := find.NewFinder(s.vc)
	pools, err := f.Folder(ctx, "/DC0/vm/pools")
	if err != nil {
		s.t.Fatal(err)
	}
	folder, err := pools.CreateFolder(ctx, "web")
	if err != nil {
		s.t.Fatal(err)
	}
	template, err := f.VirtualMachine(ctx, s.sim.Template().Template)
	if err != nil {
		s.t.Fatal(err)
	}
	resources, err := f.ResourcePool(ctx, s.sim.Template().ResourcePool)
	if err != nil {
		s.t.Fatal(err)
	}
	ref := resources.Reference()
	spec := types.VirtualMachineCloneSpec{Location: types.VirtualMachineRelocateSpec{Pool: &ref}, PowerOn: true}
	s.await(template.Clone(ctx, folder, strangerName, spec))
}

// run takes the rounds.
func (s *soak) run(duration time.Duration, rnd *rand.Rand) {
	s.t.Helper()
	ctx := s.t.Context()
	round := min(max(duration/40, 8*time.Second), 30*time.Second)
	rounds := max(2, int(duration/round))
	s.start()
	var calms []measures
	for i := range rounds {
		s.storm(ctx, rnd, round*6/10)
		restart := i < max(1, rounds/4)
		if restart {
			s.restart([]syscall.Signal{syscall.SIGKILL, syscall.SIGTERM}[rnd.IntN(2)])
		}
		m := s.calm(ctx)
		if !restart {
			calms = append(calms, m)
		}
		s.progress(i+1, rounds, m)
		if s.failed() >= enough {
			s.t.Fatal("enough: the soak ends early")
		}
		s.rest(ctx, time.Until(s.began.Add(time.Duration(i+1)*round)))
	}
	for _, v := range growth(calms) {
		s.violation("%s", v)
	}
	s.summary(calms)
	if err := s.server.end(syscall.SIGTERM); err != nil {
		s.violation("%v", err)
	}
}

func (s *soak) start() {
	s.t.Helper()
	if err := s.server.start(); err != nil {
		s.t.Fatal(err)
	}
	s.troubled++ // it logs in
	s.t.Cleanup(func() { _ = s.server.end(syscall.SIGKILL) })
}

func (s *soak) restart(signal syscall.Signal) {
	s.t.Helper()
	if err := s.server.end(signal); err != nil {
		s.violation("%v", err)
	}
	s.start()
}

// storm is load and trouble for a while.
func (s *soak) storm(ctx context.Context, rnd *rand.Rand, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var actors sync.WaitGroup
	for _, act := range []func(context.Context, *rand.Rand){s.poll, s.poll, s.poll, s.command, s.err, s.guess, s.dawdle, s.dawdle, s.disturb} {
		own := rand.New(rand.NewPCG(rnd.Uint64(), 0))
		actors.Go(func() { act(ctx, own) })
	}
	actors.Wait()
	if !s.server.alive() {
		s.t.Fatalf("the server has died:\n%s", s.server.lastOfLog())
	}
}

// calm has the pool come to rest, and measures what is held then.
func (s *soak) calm(ctx context.Context) measures {
	s.t.Helper()
	s.make(simulator.Trouble{})
	c := s.server.client()
	defer c.http.CloseIdleConnections()
	s.ask(ctx, c, http.MethodPost, "/pool/freeze", map[string]any{"frozen": false}, 200)
	s.checkSize(ctx, c)
	if !s.resize(ctx, c, atRest) {
		s.violation("the size cannot be set in a calm")
	}
	s.converge(ctx, c)
	s.countLogins()
	m := measures{}
	for range 4 {
		a, _ := s.ask(ctx, c, http.MethodGet, "/metrics", nil, 200)
		m = m.floor(parseMetrics(string(a.body)))
		s.rest(ctx, 250*time.Millisecond)
	}
	m["journal_bytes"] = s.journalSize()
	if n := s.proxy.Calls()["Login"]; n > 0 {
		s.violation("%d logins in a calm", n)
	}
	return m
}

// converge waits until exactly the members at rest are listed, and vCenter has them: it may take the pool a moment to see what was done to
// them last. What holds the pool back after so much trouble is lifted, as an operator would.
func (s *soak) converge(ctx context.Context, c *client) {
	s.t.Helper()
	deadline := time.Now().Add(convergence)
	for tries := 1; ; tries++ {
		pool, _ := s.pool(ctx, c)
		wrong := s.unrest(ctx, pool)
		switch {
		case len(wrong) == 0:
			return
		case time.Now().After(deadline):
			status, _ := s.ask(ctx, c, http.MethodGet, "/status", nil, 200)
			s.t.Fatalf("the pool does not come to rest: %q\n%+v\n%s\n%s", wrong, pool, status.body, s.server.lastOfLog())
		case tries%10 == 0:
			s.ask(ctx, c, http.MethodPost, "/pool/freeze", map[string]any{"frozen": false}, 200)
		}
		s.rest(ctx, 200*time.Millisecond)
	}
}

// unrest is what keeps the pool from being at rest.
func (s *soak) unrest(ctx context.Context, pool poolDocument) []string {
	members := map[string]bool{}
	for _, m := range pool.Machines {
		if m.MachineState == "RUNNING" {
			members[m.Metadata.Name] = true
		}
	}
	if len(members) != atRest || len(pool.Machines) != atRest {
		return []string{"not all of its machines are running, or there are others"}
	}
	return s.discrepancies(ctx, members)
}

// countLogins allows few for each trouble: one whose answer was cut off has to be repeated.
func (s *soak) countLogins() {
	n := s.proxy.Calls()["Login"]
	if n > 4*s.troubled {
		s.violation("%d logins after %d troubles", n, s.troubled)
	}
	s.logins += n
	s.troubled = 0
	s.proxy.Reset()
}

func (s *soak) journalSize() float64 {
	info, err := os.Stat(s.server.path("state/vspherepool.db"))
	if err != nil {
		s.violation("%v", err)
		return 0
	}
	return float64(info.Size())
}

func (s *soak) violation(format string, args ...any) {
	s.t.Helper()
	s.mu.Lock()
	s.violations++
	s.mu.Unlock()
	s.t.Errorf("%s: %s", time.Since(s.began).Round(time.Second), fmt.Sprintf(format, args...))
}

func (s *soak) failed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.violations
}

func (s *soak) count(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statuses[status]++
}

func (s *soak) terminatedBefore(began time.Time, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, terminated := s.terminated[id]
	return terminated && at.Before(began)
}

func (s *soak) progress(round, rounds int, m measures) {
	_, life, _ := s.server.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.t.Logf("%4s round %d/%d, process %d: %.0f goroutines, %.1f MiB, %.0f heap objects, %.0f files, journal %.0f KiB; "+
		"answers %v, %d logins, %d violations",
		time.Since(s.began).Round(time.Second), round, rounds, (life+1)/2, m["go_goroutines"], m["process_resident_memory_bytes"]/(1<<20),
		m["go_memstats_heap_objects"], m["process_open_fds"], m["journal_bytes"]/1024, s.statuses, s.logins, s.violations)
}

func (s *soak) summary(calms []measures) {
	s.t.Logf("%-32s %14s %14s", "in the calms of one process", "early median", "late median")
	for name := range tolerances {
		if early, late, ok := trend(calms, name); ok {
			s.t.Logf("%-32s %14.0f %14.0f", name, early, late)
		}
	}
}
