package load

import (
	"context"
	"math"
	"time"
)

// Answer is how a request went.
type Answer struct {
	// Status is that of HTTP; 0 if there was no answer.
	Status int
	// Bytes are those of the body.
	Bytes int
	// Err is why there was no answer.
	Err error
}

// ok says whether the request got what it asked for.
func (a Answer) ok() bool { return a.Err == nil && (a.Status == 200 || a.Status == 304) }

// Call sends one request and waits for its answer.
type Call func() Answer

// Plan is what to send, and when.
type Plan struct {
	// Duration is when the last request is sent. Those under way then are waited for.
	Duration time.Duration
	// Mix is what the workers send.
	Mix Mix
	// Workers are how many requests of the mix are under way at once, at most.
	Workers int
	// Rate is how many requests of the mix are due in a second. At 0, each worker sends its next one when it has the last answer.
	Rate float64
	// Connect gives a worker its calls, in the order of the mix. They are used by one goroutine at a time.
	Connect func() []Call

	// Pollers are how many clients ask again and again, each once per PollInterval, spread evenly over it.
	Pollers      int
	PollInterval time.Duration
	// ConnectPoller gives a poller its call.
	ConnectPoller func() Call

	// Observe, unless nil, is called about once a second, from one goroutine at a time.
	Observe func(Progress)

	// nap takes the place of what is more precise than a timer, in virtual time.
	nap func(time.Duration)
}

// schedule is when requests are due: at equal distances, the first at once.
type schedule struct {
	// rate is in requests a second.
	rate float64
	end  time.Duration
}

// due is when request i is.
func (s schedule) due(i int64) time.Duration {
	return time.Duration(float64(i) / s.rate * float64(time.Second))
}

// until is how many requests are due before a time, and before the end.
func (s schedule) until(t time.Duration) int64 {
	t = min(t, s.end)
	if s.rate <= 0 || t <= 0 {
		return 0
	}
	n := int64(math.Ceil(t.Seconds() * s.rate))
	for n > 0 && s.due(n-1) >= t { // what rounding has added
		n--
	}
	for s.due(n) < t {
		n++
	}
	return n
}

func (p Plan) requests() schedule { return schedule{p.Rate, p.Duration} }

func (p Plan) polls() schedule {
	if p.Pollers == 0 {
		return schedule{}
	}
	return schedule{float64(p.Pollers) / p.PollInterval.Seconds(), p.Duration}
}

// Run does what is planned, until its end or the context's, and measures it.
func (p Plan) Run(ctx context.Context) Result {
	if p.nap == nil {
		p.nap = nap
	}
	return newRun(p, time.Now()).do(ctx)
}
