package api

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"pgregory.net/rapid"
)

func TestClassOfRoutes(t *testing.T) {
	slowOnes := []string{"/config"}
	for _, verb := range []string{"terminate", "detach", "attach", "serviceState", "membershipStatus"} {
		slowOnes = append(slowOnes, "/pool/"+verb, "/pool/{id}/"+verb)
	}
	for _, o := range routes {
		want := writes
		switch {
		case o.method == "GET":
			want = reads
		case slices.Contains(slowOnes, o.path):
			want = slow
		}
		if got := classOf(o); got != want {
			t.Errorf("%s %s: %s, want %s", o.method, o.path, got, want)
		}
	}
}

// TestTurnsAreCounted: nobody gets more turns than there are, nobody is refused one that is free, and all come back.
func TestTurnsAreCounted(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		limit := crowding{rapid.IntRange(1, 8).Draw(r, "total"), rapid.IntRange(1, 4).Draw(r, "each")}
		turns := &turns{limit: limit, by: make(map[string]int)}
		held, sum := make(map[string]int), 0
		r.Repeat(map[string]func(*rapid.T){
			"take": func(r *rapid.T) {
				who := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "who")
				why, err := turns.take(who)
				switch {
				case held[who] == limit.each:
					if err == nil || why != clientCrowded {
						r.Fatalf("%s got turn %d: %v", who, held[who]+1, err)
					}
				case sum == limit.total:
					if err == nil || why != serverCrowded {
						r.Fatalf("turn %d was given: %v", sum+1, err)
					}
				case err != nil:
					r.Fatalf("%s was refused: %v", who, err)
				default:
					held[who]++
					sum++
				}
			},
			"give back": func(r *rapid.T) {
				who := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "who")
				if held[who] > 0 {
					turns.giveBack(who)
					held[who]--
					sum--
				}
			},
			"": func(r *rapid.T) {
				if turns.taken.Load() != int64(sum) || len(turns.by) > 3 {
					r.Fatalf("%d taken, should be %d", turns.taken.Load(), sum)
				}
			},
		})
		for who, n := range held {
			for range n {
				turns.giveBack(who)
			}
		}
		if turns.taken.Load() != 0 || len(turns.by) != 0 {
			r.Fatalf("%d turns never came back: %v", turns.taken.Load(), turns.by)
		}
	})
}

// runFrom is run for a client at an address.
func (c call) runFrom(s *Server, address string) *fasthttp.Response {
	var request fasthttp.Request
	request.Header.SetMethod(c.method)
	request.Header.SetHost("pool.example")
	request.Header.SetRequestURI(c.path)
	request.SetBodyString(c.body)
	for name, value := range c.headers {
		request.Header.Set(name, value)
	}
	var r fasthttp.RequestCtx
	r.Init(&request, &net.TCPAddr{IP: net.ParseIP(address), Port: 1}, nil)
	s.handle(&r)
	response := &fasthttp.Response{}
	r.Response.CopyTo(response)
	return response
}

// TestHangingOperationsLeaveTheRestAlone piles up terminates for as long as vCenter hangs.
func TestHangingOperationsLeaveTheRestAlone(t *testing.T) {
	pool := newScripted()
	few := defaultLimits
	few.slow = crowding{total: 5, each: 3}
	server, _ := newTestServer(t, pool, few)
	began, release := make(chan struct{}, 5), make(chan struct{})
	pool.during = func(ctx context.Context) {
		if deadline, _ := ctx.Deadline(); time.Until(deadline) > 0 && isSlow(pool) {
			began <- struct{}{}
			<-release
		}
	}
	var hanging sync.WaitGroup
	terminate := call{method: "POST", path: "/pool/m/terminate", body: "{}"}
	statuses := make(chan int, 5)
	pile := func(address string, n int) {
		for range n {
			hanging.Go(func() { statuses <- terminate.runFrom(server, address).StatusCode() })
			<-began
		}
	}
	pile("10.0.0.1", 3)
	refused := terminate.runFrom(server, "10.0.0.1")
	checkRefusal(t, refused, 429, "3 operations that wait for vCenter")
	pile("2001:db8::1", 2)
	checkRefusal(t, terminate.runFrom(server, "2001:db8::2"), 503, "5 operations that wait for vCenter")
	checkRefusal(t, call{method: "POST", path: "/pool/detach", body: "no JSON"}.runFrom(server, "10.0.0.9"), 503, "try again")
	for _, c := range []call{
		{method: "GET", path: "/pool"},
		{method: "GET", path: "/pool/size"},
		{method: "GET", path: "/status"},
		{method: "POST", path: "/pool/size", body: `{"desiredSize":1}`},
		{method: "POST", path: "/stop"},
	} {
		if got := c.runFrom(server, "10.0.0.1").StatusCode(); got != 200 {
			t.Errorf("%s %s answered %d beside hanging operations", c.method, c.path, got)
		}
	}
	close(release)
	hanging.Wait()
	for range 5 {
		if got := <-statuses; got != 200 {
			t.Errorf("a hanging one answered %d", got)
		}
	}
	pool.during = nil
	if got := terminate.runFrom(server, "10.0.0.1").StatusCode(); got != 200 {
		t.Errorf("the next one answered %d", got)
	}
	text := scrape(t, server)
	for _, line := range []string{
		`vspherepool_http_refusals_total{reason="client_concurrency"} 1`, `vspherepool_http_refusals_total{reason="total_concurrency"} 2`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("there is no line %s", line)
		}
	}
}

// isSlow says whether the pool was asked for a termination last.
func isSlow(p *scripted) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.calls) > 0 && strings.HasPrefix(p.calls[len(p.calls)-1], "terminate")
}

func checkRefusal(t *testing.T, response *fasthttp.Response, status int, says string) {
	t.Helper()
	message := errorOf(t, response.Body()).Message
	if response.StatusCode() != status || !strings.Contains(message, says) || string(response.Header.Peek("Retry-After")) != "1" {
		t.Errorf("%d %q, want %d with %q: %s", response.StatusCode(), message, status, says, &response.Header)
	}
}

// TestPanicGivesTheTurnBack keeps a defect from eating the turns one by one.
func TestPanicGivesTheTurnBack(t *testing.T) {
	pool := newScripted()
	pool.during = func(context.Context) { panic("boom") }
	one := defaultLimits
	one.reads = crowding{1, 1}
	server, _ := newTestServer(t, pool, one)
	for range 2 {
		if got := (call{method: "GET", path: "/pool"}).run(server).StatusCode(); got != 500 {
			t.Errorf("answered %d", got)
		}
	}
}

func TestClientsArePrincipalsOrAddresses(t *testing.T) {
	var seen []string
	for _, who := range []principal{{}, {name: "ann", by: "password"}, {name: "ann", by: "token"}} {
		for _, address := range []string{"10.0.0.1", "10.0.0.2"} {
			var r fasthttp.RequestCtx
			r.Init(&fasthttp.Request{}, &net.TCPAddr{IP: net.ParseIP(address)}, nil)
			begin(&r).caller = who
			seen = append(seen, clientOf(&r))
		}
	}
	if got, want := fmt.Sprint(seen), "[10.0.0.1/32 10.0.0.2/32 password ann password ann token ann token ann]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
