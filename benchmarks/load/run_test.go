package load

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp updates its clock, and looks for idle connections, as long as the process lives.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*HostClient).connsCleaner"))
}

// server answers after latency, in virtual time, unless it stalls: then it answers after that.
type server struct {
	latency             time.Duration
	stallAt, stallUntil time.Duration
	began               time.Time

	calls atomic.Int64
	// naive are the latencies as they would be measured from the sending on.
	naive *recorder
}

func newServer(latency time.Duration) *server {
	return &server{latency: latency, began: time.Now(), naive: newRecorder("naive")}
}

func (s *server) answer() Answer {
	began := time.Now()
	if at := time.Since(s.began); at >= s.stallAt && at < s.stallUntil {
		time.Sleep(s.stallUntil - at)
	}
	time.Sleep(s.latency)
	s.calls.Add(1)
	a := Answer{Status: 200, Bytes: 100}
	s.naive.record(0, a, time.Since(began), time.Since(s.began))
	return a
}

// plan is one of a single operation at a server.
func (s *server) plan() Plan {
	return Plan{
		Duration: 10 * time.Second, Mix: Mix{{"size", 1}}, Workers: 1, nap: time.Sleep,
		Connect:       func() []Call { return []Call{s.answer} },
		ConnectPoller: func() Call { return s.answer },
	}
}

// about is true where a and b differ by less than the histograms do.
func about(a, b time.Duration) bool { return max(a-b, b-a) <= max(a, b)/500+2*time.Microsecond }

func TestClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(10 * time.Millisecond)
		plan := s.plan()
		plan.Workers = 4
		result := plan.Run(t.Context())
		o, ok := result.Operation("size")
		if !ok || o.Count != 4000 || s.calls.Load() != 4000 || o.Rate != 400 || o.Errors != 0 || o.Answers["200"] != 4000 || o.Bytes != 4e5 {
			t.Errorf("%+v", o)
		}
		if !about(o.Latency.P50, s.latency) || !about(o.Latency.Min, s.latency) || !about(o.Latency.Max, s.latency) {
			t.Errorf("%+v", o.Latency)
		}
		r := result.Requests
		if r.Sent != 4000 || r.Late != 0 || r.Unsent != 0 || result.Polls != nil || result.Took != 10*time.Second {
			t.Errorf("%+v", result)
		}
	})
}

// A server that stalls for one second of ten is one that a tenth of the users wait for: half a second in the median of those. Measured from
// when the requests were sent, only as many as there are connections would have waited.
func TestCoordinatedOmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(time.Millisecond)
		s.stallAt, s.stallUntil = 5*time.Second, 6*time.Second
		plan := s.plan()
		plan.Rate, plan.Workers = 100, 2
		result := plan.Run(t.Context())
		o, _ := result.Operation("size")
		if o.Count != 1000 || result.Requests.Unsent != 0 {
			t.Errorf("%d of 1000, %d unsent", o.Count, result.Requests.Unsent)
		}
		if l := o.Latency; l.P50 > 2*time.Millisecond || l.P99 < 850*time.Millisecond || l.P999 < 980*time.Millisecond {
			t.Errorf("the stall does not show: %+v", l)
		}
		if late := result.Requests.Late; late < 95 || late > 110 {
			t.Errorf("%d late", late)
		}
		naive := s.naive.stream(10 * time.Second).Operations[0]
		if naive.Count != 1000 || naive.Latency.P99 > 2*time.Millisecond {
			t.Errorf("the naive measure shows it, too, and the test shows nothing: %+v", naive.Latency)
		}
		seconds := result.Requests.Seconds
		if seconds[5].Count != 0 || seconds[6].Count < 190 || seconds[6].P99 < 900*time.Millisecond || seconds[7].P99 > 2*time.Millisecond {
			t.Errorf("the stall has the wrong place: %+v", seconds)
		}
	})
}

// What is due and cannot be sent is told.
func TestUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(100 * time.Millisecond)
		plan := s.plan()
		plan.Rate, plan.Workers = 100, 2 // which make 20 a second
		r := plan.Run(t.Context()).Requests
		if r.Sent != 200 || r.Unsent != 800 || r.Late < 190 {
			t.Errorf("%+v", r)
		}
	})
}

func TestPollers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(time.Millisecond)
		plan := s.plan()
		plan.Workers, plan.Pollers, plan.PollInterval, plan.Duration = 0, 30, 15*time.Second, time.Minute
		result := plan.Run(t.Context())
		o, ok := result.Operation(Poll)
		if !ok || o.Count != 120 || o.Rate != 2 || !about(o.Latency.Max, s.latency) {
			t.Errorf("%+v", o)
		}
		for _, second := range result.Polls.Seconds {
			if second.Count != 2 {
				t.Errorf("they are not spread: %+v", second)
			}
		}
		if len(result.Polls.Seconds) != 60 || len(result.Requests.Operations) != 0 || result.Polls.Unsent != 0 {
			t.Errorf("%+v", result)
		}
	})
}

// A poller that is late does not make others late, and its latency counts from when it should have asked.
func TestPollerStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(time.Millisecond)
		plan := s.plan()
		plan.Workers, plan.Pollers, plan.PollInterval, plan.Duration = 0, 2, 2*time.Second, 20*time.Second
		slow := &server{latency: 5 * time.Second, began: time.Now(), naive: newRecorder("naive")}
		first := true
		plan.ConnectPoller = func() Call {
			if first {
				first = false
				return slow.answer
			}
			return s.answer
		}
		result := plan.Run(t.Context())
		if s.calls.Load() != 10 || slow.calls.Load() != 4 || result.Polls.Unsent != 6 || result.Took != 20*time.Second {
			t.Errorf("%d and %d calls, %+v, %s", s.calls.Load(), slow.calls.Load(), result.Polls, result.Took)
		}
		if o, _ := result.Operation(Poll); !about(o.Latency.Max, 14*time.Second) {
			t.Errorf("%+v", o.Latency)
		}
	})
}

func TestMixes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(time.Millisecond)
		plan := s.plan()
		var err error
		if plan.Mix, err = ParseMix("size=7,pool=2,resize=1"); err != nil {
			t.Fatal(err)
		}
		plan.Rate, plan.Workers = 100, 4
		plan.Connect = func() []Call {
			of := func(status, bytes int) Call {
				return func() Answer { time.Sleep(time.Millisecond); return Answer{Status: status, Bytes: bytes} }
			}
			return []Call{of(200, 1), of(304, 0), of(503, 10)}
		}
		result := plan.Run(t.Context())
		for name, want := range map[string]struct {
			count, errors, bytes int64
			status               string
		}{"size": {700, 0, 700, "200"}, "pool": {200, 0, 0, "304"}, Resize: {100, 100, 1000, "503"}} {
			o, _ := result.Operation(name)
			if o.Count != want.count || o.Errors != want.errors || o.Bytes != want.bytes || o.Answers[want.status] != want.count {
				t.Errorf("%s: %+v", name, o)
			}
		}
		if result.Errors() != 100 || result.Requests.Seconds[3].Errors != 10 {
			t.Errorf("%d errors, %+v", result.Errors(), result.Requests.Seconds)
		}
	})
}

func TestErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := newServer(0).plan()
		plan.Rate, plan.Workers, plan.Duration = 10, 1, time.Second
		plan.Connect = func() []Call { return []Call{func() Answer { return Answer{Err: errors.New("no luck")} }} }
		o, _ := plan.Run(t.Context()).Operation("size")
		if o.Count != 10 || o.Errors != 10 || o.Answers["no luck"] != 10 {
			t.Errorf("%+v", o)
		}
	})
}

// Who has seen enough gets the result of what was done.
func TestEarlyEnd(t *testing.T) {
	for name, rate := range map[string]float64{"closed": 0, "open": 100} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(10 * time.Millisecond)
			plan := s.plan()
			plan.Rate, plan.Pollers, plan.PollInterval = rate, 10, time.Second
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			result := plan.Run(ctx)
			o, _ := result.Operation("size")
			r := result.Requests
			if result.Sent != 3*time.Second || result.Took > 3*time.Second+s.latency || o.Count < 290 || o.Count > 301 || r.Unsent > 5 {
				t.Errorf("%s: %+v", name, result)
			}
			if polls, _ := result.Operation(Poll); polls.Count < 29 || polls.Count > 31 || polls.Errors != 0 {
				t.Errorf("%s: %+v", name, polls)
			}
		})
	}
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(250 * time.Millisecond)
		plan := s.plan()
		plan.Rate, plan.Workers, plan.Duration = 100, 50, 5*time.Second
		var seen []Progress
		plan.Observe = func(p Progress) { seen = append(seen, p) }
		result := plan.Run(t.Context())
		if len(seen) != 5 {
			t.Fatalf("%d: %+v", len(seen), seen)
		}
		for i, p := range seen {
			if p.Elapsed != time.Duration(i+1)*time.Second || p.Requests.Second != i || p.InFlight < 24 || p.InFlight > 26 {
				t.Errorf("%d: %+v", i, p)
			}
			if i > 0 && (p.Requests.Count != 100 || p.Requests.P99 < 249*time.Millisecond || p.Requests.P99 > 255*time.Millisecond) {
				t.Errorf("%d: %+v", i, p)
			}
		}
		if last := result.Requests.Seconds[5]; last.Count != 25 || last.Max < s.latency {
			t.Errorf("what ended last: %+v", last)
		}
	})
}
