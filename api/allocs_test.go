package api

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"testing"

	"github.com/valyala/fasthttp"

	"vspherepool/actors"
	"vspherepool/benchmarks/goals"
)

// still is a pool whose answers cost nothing.
type still struct {
	*scripted
}

func (s still) View(context.Context) (actors.View, error) { return s.view, nil }
func (s still) Size(context.Context) (actors.Size, error) { return s.size, nil }

// frequent are the requests that autoscalers make all day, of a pool with so many members.
func frequent(members int) map[string]call {
	path := fmt.Sprint("pool-", members)
	gzip := map[string]string{"Accept-Encoding": "gzip"}
	return map[string]call{
		"size":         {method: "GET", path: "/pool/size"},
		path:           {method: "GET", path: "/pool"},
		path + "-gzip": {method: "GET", path: "/pool", headers: gzip},
		path + "-304":  {method: "GET", path: "/pool", headers: map[string]string{"If-None-Match": "*"}},
	}
}

// perRequest is how much memory the handling of a request allocates once its answer has been made for others.
func perRequest(t testing.TB, members int, c call) (allocs float64) {
	pool := newScripted()
	pool.view = manyMachines(members)
	s, err := newServer(Options{Service: still{pool}, Log: slog.New(slog.DiscardHandler), SelfSignedDir: t.TempDir()}, defaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	defer s.cancel()
	raw := &conn{patient: newPatient(&stub{from: from("10.0.0.1")}), crowd: s.crowd}
	var request fasthttp.Request
	request.Header.SetHost("pool.example")
	request.SetRequestURI(c.path)
	for name, value := range c.headers {
		request.Header.Set(name, value)
	}
	var r fasthttp.RequestCtx
	r.Init2(&secured{Conn: tls.Server(raw, s.tls), raw: raw, server: s}, nil, false)
	request.CopyTo(&r.Request)
	return testing.AllocsPerRun(100, func() {
		r.Response.Reset()
		s.handle(&r)
		if status := r.Response.StatusCode(); status != 200 && status != 304 {
			t.Fatalf("%s answered %d", c.path, status)
		}
	})
}

// TestFrequentRequestsAllocateLittle, and no more for more members.
func TestFrequentRequestsAllocateLittle(t *testing.T) {
	for _, members := range []int{10, 10_000} {
		for name, c := range frequent(members) {
			t.Run(name, func(t *testing.T) { goals.Check(t, "Handle/"+name, "allocs/request", perRequest(t, members, c)) })
		}
	}
}

func BenchmarkHandle(b *testing.B) {
	for _, members := range []int{10, 10_000} {
		for name, c := range frequent(members) {
			if name == "size" && members > 10 {
				continue // it is the same for all
			}
			b.Run(name, func(b *testing.B) { goals.Report(b, "allocs/request", perRequest(b, members, c)) })
		}
	}
}
