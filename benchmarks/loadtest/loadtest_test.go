package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"image/png"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"vspherepool/benchmarks/load"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp updates its clock, and looks for idle connections, as long as the process lives.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*HostClient).connsCleaner"))
}

// adapter is a small server, which remembers what it was asked.
type adapter struct {
	url, ca string

	mu    sync.Mutex
	asked []string
	// wants is the header that it lets in.
	wants string
	// thirty, unless nil, is called when it was asked so often.
	thirty func()
}

func serve(t *testing.T) *adapter {
	t.Helper()
	a := &adapter{ca: filepath.Join(t.TempDir(), "ca.pem")}
	server := httptest.NewUnstartedServer(a)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	a.url = server.URL
	block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	write(t, a.ca, string(pem.EncodeToMemory(block)))
	return a
}

func (a *adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+string(body)))
	if a.thirty != nil && len(a.asked) == 30 {
		a.thirty()
	}
	switch {
	case a.wants != r.Header.Get("Authorization"):
		w.WriteHeader(http.StatusUnauthorized)
	case strings.HasPrefix(r.URL.Path, "/none"):
		w.WriteHeader(http.StatusNotFound)
	case strings.HasPrefix(r.URL.Path, "/closed"):
		w.WriteHeader(http.StatusForbidden)
	default:
		fmt.Fprint(w, `{"machines":[]}`)
	}
}

func (a *adapter) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := a.asked
	a.asked = nil
	return asked
}

func write(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func call(ctx context.Context, t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	few := []string{"-connections", "2"} // handshakes take their time with the race detector
	status = run(ctx, streams{out: &out, err: &err}, append(few, args...)...)
	return status, out.String(), err.String()
}

func TestRun(t *testing.T) {
	a := serve(t)
	dir := t.TempDir()
	saved, picture := filepath.Join(dir, "r.json"), filepath.Join(dir, "r.png")
	status, out, err := call(t.Context(), t, "-ca", a.ca, "-duration", "300ms", "-connections", "2", "-rate", "100",
		"-mix", "size=3,pool=1,pool-gzip", "-pollers", "4", "-poll-interval", "100ms", "-json", saved, "-plot", picture, a.url)
	if status != fine || err != "" {
		t.Fatalf("%d: %s", status, err)
	}
	for _, want := range []string{
		"open loop, 100 requests/s on at most 2 connections", "4 pollers, each every 100ms", "size", "pool-gzip", "poll ", "200: ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	text, _ := os.ReadFile(saved)
	var d document
	if err := json.Unmarshal(text, &d); err != nil || d.URL != a.url || len(d.Mix) != 3 || d.Polls == nil {
		t.Fatalf("%v: %s", err, text)
	}
	if due := d.Requests.Sent + d.Requests.Unsent; due != 30 {
		t.Errorf("%d were due", due)
	}
	if image, err := os.ReadFile(picture); err != nil || len(image) < 1000 {
		t.Errorf("%d bytes, %v", len(image), err)
	}
	asked := a.take()
	changes := slices.ContainsFunc(asked, func(s string) bool { return strings.HasPrefix(s, "POST") })
	if int64(len(asked)) != 2+d.Requests.Sent+d.Polls.Sent || changes {
		t.Errorf("%d: %q", len(asked), asked)
	}
}

func TestResize(t *testing.T) {
	a := serve(t)
	status, out, err := call(t.Context(), t, "-ca", a.ca, "-duration", "100ms", "-connections", "1",
		"-mix", "resize", "-resize", "10,12", a.url)
	asked := a.take()
	if status != fine || len(asked) < 3 || !strings.Contains(out, "resize") || !strings.Contains(out, "closed loop, 1 connections") {
		t.Fatalf("%d: %s %s %q", status, out, err, asked)
	}
	for i, got := range asked[1 : len(asked)-1] {
		if want := fmt.Sprintf(`POST /pool/size {"desiredSize":%d}`, []int{10, 12}[i%2]); got != want {
			t.Errorf("%d: %s", i, got)
		}
	}
	if last := asked[len(asked)-1]; last != `POST /pool/size {"desiredSize":10}` {
		t.Errorf("it leaves behind: %s", last)
	}
}

func TestPollersOnly(t *testing.T) {
	a := serve(t)
	status, out, err := call(t.Context(), t, "-ca", a.ca, "-duration", "200ms", "-connections", "0", "-pollers", "2", "-poll-interval", "50ms",
		"-plot", filepath.Join(t.TempDir(), "p.svg"), a.url)
	if status != fine || strings.Contains(out, "loop") || !strings.Contains(out, "2 pollers") || !strings.Contains(out, "200: ") {
		t.Errorf("%d: %s %s", status, out, err)
	}
}

// One who ends it gets the result.
func TestInterrupted(t *testing.T) {
	a := serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a.thirty = cancel
	status, out, _ := call(ctx, t, "-insecure", "-duration", "1h", "-rate", "50", "-progress", a.url)
	if status != fine || !strings.Contains(out, "200: ") || strings.Contains(out, "for 1h") {
		t.Errorf("%d: %s", status, out)
	}
}

func TestProgress(t *testing.T) {
	a := serve(t)
	_, _, lines := call(t.Context(), t, "-insecure", "-duration", "1200ms", "-rate", "50", "-progress",
		"-pollers", "1", "-poll-interval", "100ms", a.url)
	for _, want := range []string{" requests/s  p50 ", " polls/s  p50 ", " in flight\n"} {
		if !strings.Contains(lines, want) {
			t.Errorf("%q is not in %q", want, lines)
		}
	}
	var err bytes.Buffer
	tell(streams{err: &err, terminal: true}, load.Progress{Elapsed: 3 * time.Second, Requests: load.Point{Count: 5, Errors: 2}, InFlight: 1})
	if got := err.String(); got != "\r\x1b[K   3s  5 requests/s  p50 0.00ms  p99 0.00ms  2 errors  1 in flight" {
		t.Errorf("%q", got)
	}
}

func TestLogin(t *testing.T) {
	a := serve(t)
	dir := t.TempDir()
	password, token := write(t, filepath.Join(dir, "password"), "secret\n"), write(t, filepath.Join(dir, "token"), "t0ken")
	for header, args := range map[string][]string{
		"Basic " + base64.StdEncoding.EncodeToString([]byte("reader:secret")): {"-user", "reader", "-password-file", password},
		"Bearer t0ken": {"-token-file", token},
		"":             nil,
	} {
		a.wants = header
		args = append(args, "-insecure", "-duration", "20ms", a.url)
		status, out, err := call(t.Context(), t, args...)
		if status != fine || strings.Contains(out+err, "secret") || strings.Contains(out, "401") {
			t.Errorf("%q: %d %s %s", header, status, out, err)
		}
	}
}

// What goes wrong says what to do.
func TestAdvice(t *testing.T) {
	a := serve(t)
	dir := t.TempDir()
	plain := httptest.NewServer(a)
	defer plain.Close()
	gone := httptest.NewServer(a)
	gone.Close()
	empty, two := write(t, filepath.Join(dir, "empty"), ""), write(t, filepath.Join(dir, "two"), "a\nb\n")
	for _, c := range []struct {
		says string
		args []string
	}{
		{"trust the server with -ca FILE", []string{a.url}},
		{"if the server's API has a prefix", []string{"-insecure", a.url + "/none"}},
		{"the user's role does not include this", []string{"-insecure", a.url + "/closed"}},
		{"does not speak HTTPS", []string{strings.Replace(plain.URL, "http:", "https:", 1)}},
		{"is the server running", []string{strings.Replace(gone.URL, "http:", "https:", 1)}},
		{"has no certificate in PEM", []string{"-ca", empty, a.url}},
		{"read authorities", []string{"-ca", "/no/such/file", a.url}},
		{"load client certificate", []string{"-cert", empty, "-key", empty, a.url}},
		{"exactly one line", []string{"-token-file", two, a.url}},
		{"exactly one line", []string{"-user", "u", "-password-file", empty, a.url}},
		{"read credentials", []string{"-token-file", "/no/such/file", a.url}},
		{"must be a URL such as", []string{"http://localhost"}},
		{"write result", []string{"-insecure", "-duration", "10ms", "-json", "/no/such/dir/file", a.url}},
		{"draw plot", []string{"-insecure", "-duration", "10ms", "-plot", "/no/such/dir/file.png", a.url}},
	} {
		if status, _, err := call(t.Context(), t, c.args...); status != failed || !strings.Contains(err, c.says) {
			t.Errorf("%v: %d %s", c.args, status, err)
		}
	}
	a.wants = "nobody"
	if status, _, err := call(t.Context(), t, "-insecure", a.url); status != failed || !strings.Contains(err, "log in with -user") {
		t.Errorf("%d %s", status, err)
	}
	if got := advise(&net.OpError{Op: "remote error", Err: tls.AlertError(116)}); !strings.Contains(got, "give -cert and -key") {
		t.Error(got)
	}
	if got := advise(errors.New("odd")); got != "odd" {
		t.Error(got)
	}
}

func TestMutualTLS(t *testing.T) {
	certificate, key, err := fasthttp.GenerateTestCertificate("client")
	if err != nil {
		t.Fatal(err)
	}
	a := &adapter{}
	server := httptest.NewUnstartedServer(a)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	dir := t.TempDir()
	cert, private := write(t, filepath.Join(dir, "cert"), string(certificate)), write(t, filepath.Join(dir, "key"), string(key))
	if status, _, err := call(t.Context(), t, "-insecure", "-duration", "10ms", "-cert", cert, "-key", private, server.URL); status != fine {
		t.Error(err)
	}
	if status, _, err := call(t.Context(), t, "-insecure", server.URL); status != failed || !strings.Contains(err, "-cert") {
		t.Errorf("%d %s", status, err)
	}
}

func TestMisuse(t *testing.T) {
	const url = "https://localhost"
	for _, c := range []struct {
		status int
		says   string
		args   []string
	}{
		{fine, "Usage: go run", []string{"-help"}},
		{misuse, "give one URL", nil},
		{misuse, "give one URL", []string{url, "-insecure"}},
		{misuse, "must not be negative", []string{"-pollers", "-1", url}},
		{misuse, "-rate must be from 0 to 1000000", []string{"-rate", "-1", url}},
		{misuse, "-rate must be from 0 to 1000000", []string{"-rate", "Inf", url}},
		{misuse, "-rate must be from 0 to 1000000", []string{"-rate", "NaN", url}},
		{misuse, "needs -connections", []string{"-rate", "1", "-connections", "0", "-pollers", "1", url}},
		{misuse, "nothing to do", []string{"-connections", "0", url}},
		{misuse, "longer than nothing", []string{"-duration", "0s", url}},
		{misuse, "say between which sizes", []string{"-mix", "size=9,resize=1", url}},
		{misuse, "for a mix with resize", []string{"-resize", "1,2", url}},
		{misuse, "must be two sizes", []string{"-mix", "resize", "-resize", "1", url}},
		{misuse, "must be two sizes", []string{"-mix", "resize", "-resize", "1,-2", url}},
		{misuse, "no operation", []string{"-mix", "sizes", url}},
		{misuse, "given together", []string{"-user", "u", url}},
		{misuse, "cannot be given together", []string{"-user", "u", "-password-file", "f", "-token-file", "f", url}},
		{misuse, "given together", []string{"-cert", "c", url}},
		{misuse, "cannot be given together", []string{"-ca", "c", "-insecure", url}},
		{misuse, ".png, .svg, .html", []string{"-plot", "p.gif", url}},
		{misuse, "not defined", []string{"-nonsense", url}},
	} {
		if status, _, err := call(t.Context(), t, c.args...); status != c.status || !strings.Contains(err, c.says) {
			t.Errorf("%v: %d %s", c.args, status, err)
		}
	}
}

// sample has a stall, an error, and pollers.
func sample() load.Result {
	at := func(second int, count, errors int64, p99 time.Duration) load.Point {
		return load.Point{Second: second, Count: count, Errors: errors, P50: p99 / 10, P99: p99, Max: 2 * p99}
	}
	ms := time.Millisecond
	latency := load.Latency{Min: 9 * ms / 100, P50: 1234 * ms / 1000, P90: 12 * ms, P99: 345 * ms, P999: 999 * ms, Max: 1500 * ms}
	return load.Result{
		Sent: 4 * time.Second, Took: 4100 * ms, Workers: 16, Rate: 100, Pollers: 30, PollInterval: 15 * time.Second,
		Requests: load.Stream{
			Sent: 390, Late: 80, Unsent: 10,
			Operations: []load.Operation{
				{Name: "size", Count: 380, Rate: 92.7, Errors: 2, Bytes: 45600, Answers: map[string]int64{"200": 378, "timeout": 2}, Latency: latency},
				{Name: "pool-304", Answers: map[string]int64{}},
			},
			Seconds: []load.Point{at(0, 100, 0, 5*ms), at(1, 0, 0, 0), at(2, 190, 2, 900*ms), at(3, 100, 0, 6*ms), at(4, 1, 0, ms)},
		},
		Polls: &load.Stream{
			Sent: 8, Operations: []load.Operation{{Name: load.Poll, Count: 8, Rate: 2, Answers: map[string]int64{"200": 8}, Latency: latency}},
			Seconds: []load.Point{at(0, 2, 0, 5*ms), at(1, 2, 0, 7*ms), at(2, 2, 0, 9*ms), at(3, 2, 0, 5*ms)},
		},
	}
}

func TestSummary(t *testing.T) {
	const want = `https://h for 4s: open loop, 100 requests/s on at most 16 connections, latency from when due; 30 pollers, each every 15s

  OPERATION  COUNT    RATE  ERRORS  BYTES     MIN     P50     P90     P99   P99.9     MAX  ANSWERS
       size    380  92.7/s       2  45600  0.09ms  1.23ms  12.0ms   345ms   999ms  1500ms  200: 378, timeout: 2
   pool-304      0   0.0/s       0      0  0.00ms  0.00ms  0.00ms  0.00ms  0.00ms  0.00ms  
       poll      8   2.0/s       0      0  0.09ms  1.23ms  12.0ms   345ms   999ms  1500ms  200: 8

2 requests failed; the latencies include how long that took
80 of 390 requests were sent 10 ms or more after they were due; their latencies include the delay
10 requests were due and never sent, because all connections waited; the latencies do not show them
`
	if got := summary(options{url: "https://h"}, sample()); got != want {
		t.Errorf("got\n%s\nand not\n%s", got, want)
	}
}

func TestPlot(t *testing.T) {
	nothing := load.Result{Took: time.Millisecond, Requests: load.Stream{Seconds: []load.Point{{}}}}
	for name, r := range map[string]load.Result{"sample": sample(), "nothing": nothing, "empty": {}} {
		for _, format := range formats {
			var out bytes.Buffer
			if err := render(&out, format, "a <table>", r); err != nil {
				t.Errorf("%s%s: %v", name, format, err)
			}
			text := out.String()
			switch format {
			case ".png":
				if image, err := png.Decode(&out); err != nil || image.Bounds().Dx() < 1000 {
					t.Errorf("%s: %v", name, err)
				}
			case ".html":
				if !strings.Contains(text, "a &lt;table&gt;") || strings.Contains(text, "<script") || strings.Contains(text, "src=") {
					t.Errorf("%s: %.200s", name, text)
				}
				fallthrough
			default:
				if !strings.Contains(text, "<svg") || !strings.Contains(text, ">latency</text>") || !strings.HasSuffix(text, "</svg>\n") {
					t.Errorf("%s%s: %.200s", name, format, text)
				}
				if strings.Contains(text, ">requests failed</text>") != (name == "sample") {
					t.Errorf("%s%s: a line of errors", name, format)
				}
			}
		}
	}
}

func TestSeries(t *testing.T) {
	all := latencies(sample())
	if len(all) != 5 || all[0].Len() != 4 {
		t.Fatalf("%d lines, %d points", len(all), all[0].Len())
	}
	if x, y := all[0].XY(1); x != 2.5 || y != 1800 {
		t.Errorf("the second point is %g, %g", x, y)
	}
	if all := rates(sample()); len(all) != 3 || all[0].Len() != 4 || all[1].name != "requests failed" {
		t.Errorf("%+v", all)
	}
	if short := whole([]load.Point{{}}, time.Millisecond); len(short) != 1 {
		t.Errorf("%v", short)
	}
}

func TestDecades(t *testing.T) {
	ticks := decades(0.1, 10)
	var labels []string
	for _, tick := range ticks {
		if tick.Label != "" {
			labels = append(labels, tick.Label)
		}
	}
	if !slices.Equal(labels, []string{"0.1", "1", "10"}) || len(ticks) != 19 {
		t.Errorf("%d: %v", len(ticks), labels)
	}
}
