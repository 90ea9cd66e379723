package api

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/valyala/fasthttp"
)

// metrics count what is asked of the server. All series are made before the first request, so that counting one takes no lock and no
// memory.
type metrics struct {
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	// other is for requests that match no route.
	other *traffic
	// connections are those open now.
	connections prometheus.Gauge
	// refusals count what was turned away for being too much or not allowed to exist, by reason.
	refusals [len(refusalNames)]prometheus.Counter
}

// refusal is why a connection or a request was turned away before anybody looked at what it asks for.
type refusal uint8

const (
	// connectionRefused is a newcomer for whom there was no room, connectionEvicted a connection that had to make room for one.
	connectionRefused refusal = iota
	connectionEvicted
	handshakeFailed
	uploadRefused
	// framingRefused is a request whose end others might see elsewhere; see [framed].
	framingRefused
	originRefused
	// clientCrowded and serverCrowded are operations beyond the turns of a client and of all.
	clientCrowded
	serverCrowded
)

var refusalNames = [...]string{
	connectionRefused: "connection_limit", connectionEvicted: "connection_evicted", handshakeFailed: "handshake", uploadRefused: "uploads",
	framingRefused: "framing", originRefused: "origin", clientCrowded: "client_concurrency", serverCrowded: "total_concurrency",
}

// traffic is what is counted of one route. Answers to HEAD count as its GET's.
type traffic struct {
	// classes are the answers by the first digit of their status, duration the time from the first byte of a request that could be read
	// to its answer.
	classes  [6]prometheus.Counter
	duration prometheus.Observer
}

// answered are the classes of status that the server gives.
var answered = []int{2, 3, 4, 5}

// durationBuckets in seconds reach from a read out of memory to the longest that an operation may take.
var durationBuckets = []float64{.001, .005, .025, .1, .5, 2.5, 10, 60}

func newMetrics(registry *prometheus.Registry) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "vspherepool_http_requests_total",
			Help: "Requests answered, by route and class of status (2xx to 5xx); method and route are \"other\" for what matches no route.",
		}, []string{"method", "route", "code"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "vspherepool_http_request_duration_seconds",
			Help:    "Time from a request being read to its answer.",
			Buckets: durationBuckets,
		}, []string{"method", "route"}),
	}
	m.connections = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "vspherepool_http_connections",
		Help: "Open connections of clients.",
	})
	m.other = m.traffic("other", "other")
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "vspherepool_http_refusals_total",
		Help: "Connections and requests turned away before what they ask for was looked at, by reason.",
	}, []string{"reason"})
	for reason, name := range refusalNames {
		m.refusals[reason] = refusals.WithLabelValues(name)
	}
	for _, c := range []prometheus.Collector{m.requests, m.durations, m.connections, refusals} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of requests: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) traffic(method, route string) *traffic {
	t := &traffic{duration: m.durations.WithLabelValues(method, route)}
	for _, class := range answered {
		t.classes[class] = m.requests.WithLabelValues(method, route, fmt.Sprintf("%dxx", class))
	}
	return t
}

// count is the end of a request that could be read.
func (m *metrics) count(r *fasthttp.RequestCtx, v *visit, dur time.Duration) {
	t := cmp.Or(v.traffic, m.other)
	t.answer(r.Response.StatusCode())
	t.duration.Observe(dur.Seconds())
}

func (t *traffic) answer(status int) {
	t.classes[status/100].Inc()
}

func (m *metrics) refuse(reason refusal) { m.refusals[reason].Inc() }

// getMetrics answers in Prometheus' text format, which every version of it and most others read.
func (e *endpoints) getMetrics(_ context.Context, r *fasthttp.RequestCtx) error {
	families, err := e.metrics.Gather()
	if err != nil {
		return fmt.Errorf("gather metrics: %w", err)
	}
	format := expfmt.NewFormat(expfmt.TypeTextPlain)
	var body bytes.Buffer
	encoder := expfmt.NewEncoder(&body, format)
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return fmt.Errorf("encode metrics: %w", err)
		}
	}
	r.SetContentType(string(format))
	return compressed(r, body.Bytes())
}
