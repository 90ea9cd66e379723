package api

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// class is a kind of operation by what it waits for. The classes have turns of their own, so that operations that hang on vCenter take
// none from reads, and none from what an operator needs to stop the hanging.
type class uint8

const (
	// reads are answered out of memory.
	reads class = iota
	// writes are answered when the journal has them.
	writes
	// slow operations are answered when vCenter has answered.
	slow
)

var classNames = [...]string{reads: "reads", writes: "changes of the pool", slow: "operations that wait for vCenter"}

func (c class) String() string { return classNames[c] }

func classOf(o route) class {
	if o.method == fasthttp.MethodGet {
		return reads
	}
	switch o.path {
	case "/pool/size", "/pool/freeze", "/start", "/stop":
		return writes
	}
	return slow
}

// retryAfter is in seconds. A turn becomes free within milliseconds, or when vCenter answers, which nobody knows.
const retryAfter = "1"

// turns are the operations of one class in flight, or the large uploads. Nobody waits for a turn: a client that is told to come back keeps
// its place in no queue here, and whoever is not over the limit is answered as fast as ever.
type turns struct {
	class class
	limit crowding

	taken atomic.Int64

	mu sync.Mutex
	by map[string]int
}

func newTurns(l limits) map[class]*turns {
	all := make(map[class]*turns)
	for c, limit := range map[class]crowding{reads: l.reads, writes: l.writes, slow: l.slow} {
		all[c] = &turns{class: c, limit: limit, by: make(map[string]int)}
	}
	return all
}

// inTurn is a route's handler for those that get a turn.
func (s *Server) inTurn(o route) func(context.Context, *fasthttp.RequestCtx) error {
	turns := s.turns[classOf(o)]
	return func(ctx context.Context, r *fasthttp.RequestCtx) error {
		client := turns.client(r)
		if why, err := turns.take(client); err != nil {
			s.metrics.refuse(why)
			r.Response.Header.Set(fasthttp.HeaderRetryAfter, retryAfter)
			return err
		}
		defer turns.giveBack(client)
		return o.handle(&s.endpoints, ctx, r)
	}
}

// clientOf is who counts as one client: a principal, wherever it comes from, or else an address.
func clientOf(r *fasthttp.RequestCtx) string {
	if who := caller(r); who.name != "" {
		return who.by + " " + who.name
	}
	return hostOf(r.RemoteAddr()).String()
}

// client is whose turn it is, where that matters.
func (t *turns) client(r *fasthttp.RequestCtx) string {
	if t.limit.each == 0 {
		return ""
	}
	return clientOf(r)
}

// take takes a turn, or says why there is none.
func (t *turns) take(client string) (refusal, error) {
	if !t.enter(client) {
		message := fmt.Sprintf("you have %d %s in flight already; wait for an answer, then try again", t.limit.each, t.class)
		return clientCrowded, &problem{fasthttp.StatusTooManyRequests, message, nil}
	}
	if t.taken.Add(1) > int64(t.limit.total) {
		t.giveBack(client)
		message := fmt.Sprintf("the server has %d %s in flight already; try again in a second", t.limit.total, t.class)
		return serverCrowded, &problem{fasthttp.StatusServiceUnavailable, message, nil}
	}
	return 0, nil
}

// enter counts a client's turn, if it may have one more.
func (t *turns) enter(client string) bool {
	if t.limit.each == 0 {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by[client] >= t.limit.each {
		return false
	}
	t.by[client]++
	return true
}

func (t *turns) giveBack(client string) {
	t.taken.Add(-1)
	if t.limit.each == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by[client]--; t.by[client] == 0 {
		delete(t.by, client)
	}
}
