package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// scrape is the text at /metrics.
func scrape(t *testing.T, s *Server) string {
	t.Helper()
	response := call{method: "GET", path: "/metrics"}.run(s)
	if response.StatusCode() != 200 {
		t.Fatalf("%d %s", response.StatusCode(), response.Body())
	}
	return string(response.Body())
}

func TestRequestsAreCounted(t *testing.T) {
	pool := newScripted()
	s, _ := newTestServer(t, pool, defaultLimits)
	for _, c := range []call{
		{method: "GET", path: "/pool"},
		{method: "GET", path: "/pool/"},
		{method: "HEAD", path: "/pool"},
		{method: "GET", path: "/pool", headers: map[string]string{"If-None-Match": "*"}},
		{method: "POST", path: "/pool/size", body: `{"desiredSize":1}`},
		{method: "POST", path: "/pool/size", body: `{}`},
		{method: "POST", path: "/pool/a%2Fb/attach"},
		{method: "POST", path: "/pool/another/attach"},
		{method: "GET", path: "/nothing/here"},
		{method: "DELETE", path: "/pool"},
	} {
		c.run(s)
	}
	pool.err = errors.New("broken")
	call{method: "GET", path: "/config"}.run(s)
	pool.during = func(context.Context) { panic("boom") }
	call{method: "GET", path: "/config"}.run(s)

	text := scrape(t, s)
	for _, line := range []string{
		`vspherepool_http_requests_total{code="2xx",method="GET",route="/pool"} 3`,
		`vspherepool_http_requests_total{code="3xx",method="GET",route="/pool"} 1`,
		`vspherepool_http_requests_total{code="2xx",method="POST",route="/pool/size"} 1`,
		`vspherepool_http_requests_total{code="4xx",method="POST",route="/pool/size"} 1`,
		`vspherepool_http_requests_total{code="2xx",method="POST",route="/pool/{id}/attach"} 2`,
		`vspherepool_http_requests_total{code="5xx",method="GET",route="/config"} 2`,
		`vspherepool_http_requests_total{code="4xx",method="other",route="other"} 2`,
		`vspherepool_http_requests_total{code="2xx",method="GET",route="/metrics"} 0`,
		`vspherepool_http_request_duration_seconds_count{method="GET",route="/pool"} 4`,
		`vspherepool_http_request_duration_seconds_bucket{method="GET",route="/pool",le="60"} 4`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("there is no line %s", line)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// TestUnreadableRequestsAreCounted goes over a connection: fasthttp answers these by itself.
func TestUnreadableRequestsAreCounted(t *testing.T) {
	s, _ := newTestServer(t, newScripted(), defaultLimits)
	run := serve(t, s)
	response, err := run.client.Post("https://"+run.addr+"/pool/size", jsonType, strings.NewReader(strings.Repeat(" ", 65<<10)))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	want := `vspherepool_http_requests_total{code="4xx",method="other",route="other"} 1` + "\n"
	if text := scrape(t, s); response.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(text, want) {
		t.Errorf("%d\n%s", response.StatusCode, text)
	}
}

func TestMetricsAnswer(t *testing.T) {
	s, _ := newTestServer(t, newScripted(), defaultLimits)
	plain := call{method: "GET", path: "/metrics/"}.run(s)
	if got := string(plain.Header.ContentType()); got != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("content type %q", got)
	}
	if got := string(plain.Header.Peek("Cache-Control")); got != "no-store" {
		t.Errorf("cache control %q", got)
	}
	for _, coding := range []string{"gzip", "zstd"} {
		packed := call{method: "GET", path: "/metrics", headers: map[string]string{"Accept-Encoding": coding}}.run(s)
		text := string(unpack(t, coding, packed.Body()))
		if string(packed.Header.ContentEncoding()) != coding || !strings.Contains(text, "vspherepool_http_requests_total") {
			t.Errorf("%s: %q\n%s", coding, packed.Header.ContentEncoding(), text)
		}
	}
	if got := (call{method: "POST", path: "/metrics"}).run(s).StatusCode(); got != 405 {
		t.Errorf("POST answered %d", got)
	}
}

// TestMetricsOfOthers says that the server shows the registry that it was given, and that a metric which contradicts itself is an error.
func TestMetricsOfOthers(t *testing.T) {
	registry := prometheus.NewRegistry()
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "somebody_elses", Help: "A value."})
	gauge.Set(42)
	registry.MustRegister(gauge)
	options := Options{
		Service: newScripted(), Log: slog.New(slog.DiscardHandler), SelfSignedDir: t.TempDir(), Metrics: registry,
	}
	s, err := NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	defer s.cancel()
	text := scrape(t, s)
	if !strings.Contains(text, "somebody_elses 42\n") {
		t.Errorf("metrics:\n%s", text)
	}
	if n := strings.Count(text, "request_duration_seconds_count{"); n != len(routes)+1 {
		t.Errorf("%d histograms for %d routes", n, len(routes))
	}
	if _, err := NewServer(options); err == nil {
		t.Error("two servers share their metrics")
	}
	registry.MustRegister(contradiction{})
	if got := (call{method: "GET", path: "/metrics"}).run(s).StatusCode(); got != 500 {
		t.Errorf("a contradiction answered %d", got)
	}
}

// contradiction is a collector that says the same thing twice.
type contradiction struct{}

func (contradiction) Describe(chan<- *prometheus.Desc) {}

func (contradiction) Collect(out chan<- prometheus.Metric) {
	for range 2 {
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("twice", "Twice.", nil, nil), prometheus.GaugeValue, 1)
	}
}

func BenchmarkCounting(b *testing.B) {
	s, _ := newTestServer(b, newScripted(), defaultLimits)
	t := s.metrics.traffic("GET", "/pool")
	b.ReportAllocs()
	for b.Loop() {
		t.answer(200)
		t.duration.Observe(0.001)
	}
}
