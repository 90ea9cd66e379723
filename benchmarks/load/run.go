package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// run is a plan at work.
type run struct {
	plan  Plan
	began time.Time
	round []int

	// turn is with the one worker that waits until the next request is due, so that the others need not.
	turn     chan struct{}
	next     atomic.Int64
	requests *recorder
	polls    *recorder
}

func newRun(p Plan, began time.Time) *run {
	names := make([]string, len(p.Mix))
	for i, s := range p.Mix {
		names[i] = s.Operation
	}
	return &run{
		plan: p, began: began, round: p.Mix.round(), turn: make(chan struct{}, 1),
		requests: newRecorder(names...), polls: newRecorder(Poll),
	}
}

func (r *run) do(ctx context.Context) Result {
	ctx, cancel := context.WithTimeout(ctx, r.plan.Duration)
	defer cancel()
	work := r.work
	if r.plan.Rate > 0 {
		work = r.workWhenDue
	}
	var senders, observer sync.WaitGroup
	for range r.plan.Workers {
		senders.Go(func() { work(ctx, r.plan.Connect()) })
	}
	if r.plan.Pollers > 0 {
		senders.Go(func() { r.poll(ctx) })
	}
	done := make(chan struct{})
	observer.Go(func() { r.observe(done) })
	<-ctx.Done()
	sent := time.Since(r.began)
	senders.Wait()
	close(done)
	observer.Wait()
	return r.result(sent, time.Since(r.began))
}

// work is the closed loop.
func (r *run) work(ctx context.Context, calls []Call) {
	for !r.over(ctx) {
		r.send(r.requests, calls, r.pick(r.next.Add(1)-1), time.Since(r.began))
	}
}

// workWhenDue is the open loop. Who is late sends at once, until none is due any more.
func (r *run) workWhenDue(ctx context.Context, calls []Call) {
	for {
		i, due, ok := r.takeTurn(ctx)
		if !ok {
			return
		}
		r.send(r.requests, calls, r.pick(i), due)
	}
}

func (r *run) takeTurn(ctx context.Context) (i int64, due time.Duration, ok bool) {
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	i = r.next.Load()
	due = r.plan.requests().due(i)
	if !r.wait(ctx, due) {
		return 0, 0, false
	}
	r.next.Add(1)
	return i, due, true
}

// pick is the operation of request i.
func (r *run) pick(i int64) int { return r.round[i%int64(len(r.round))] }

// poll gives each poller its times. None waits for another: whoever is late makes up for it when its answer is there.
func (r *run) poll(ctx context.Context) {
	times := r.plan.polls()
	each := int(times.until(r.plan.Duration))/r.plan.Pollers + 1
	due := make([]chan time.Duration, r.plan.Pollers)
	var all sync.WaitGroup
	for i := range due {
		due[i] = make(chan time.Duration, each)
		calls := []Call{r.plan.ConnectPoller()}
		all.Go(func() {
			for at := range due[i] {
				if !r.over(ctx) {
					r.send(r.polls, calls, 0, at)
				}
			}
		})
	}
	for i := int64(0); r.wait(ctx, times.due(i)); i++ {
		due[i%int64(len(due))] <- times.due(i)
	}
	for _, c := range due {
		close(c)
	}
	all.Wait()
}

// send makes one request, whose latency counts from when it was due.
func (r *run) send(to *recorder, calls []Call, operation int, due time.Duration) {
	to.sending(time.Since(r.began) - due)
	answer := calls[operation]()
	now := time.Since(r.began)
	to.record(operation, answer, now-due, now)
}

// precise is the last part of a wait, which a timer would miss by up to a millisecond: on Linux, the runtime waits for the network and for
// timers together, in whole milliseconds.
const precise = 2 * time.Millisecond

// wait ends with false when the context does, which is before anything that is due after the plan's end.
func (r *run) wait(ctx context.Context, due time.Duration) bool {
	if due >= r.plan.Duration {
		<-ctx.Done()
		return false
	}
	if left := due - time.Since(r.began); left > precise {
		timer := time.NewTimer(left - precise)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
		}
	}
	for left := due - time.Since(r.began); left > 0 && ctx.Err() == nil; left = due - time.Since(r.began) {
		r.plan.nap(left)
	}
	return !r.over(ctx)
}

func (r *run) over(ctx context.Context) bool {
	return ctx.Err() != nil || time.Since(r.began) >= r.plan.Duration
}

// observe tells of each second, until all is done.
func (r *run) observe(done <-chan struct{}) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
		}
		now := time.Since(r.began)
		progress := Progress{Elapsed: now, Requests: r.requests.last(now), Polls: r.polls.last(now)}
		progress.InFlight = r.requests.inFlight.Load() + r.polls.inFlight.Load()
		if r.plan.Observe != nil {
			r.plan.Observe(progress)
		}
	}
}

func (r *run) result(sent, took time.Duration) Result {
	result := Result{Began: r.began, Sent: sent, Took: took, Workers: r.plan.Workers, Rate: r.plan.Rate, Pollers: r.plan.Pollers}
	if r.plan.Workers > 0 {
		result.Requests = r.requests.stream(took)
		result.Requests.Unsent = unsent(r.plan.requests(), sent, r.requests)
	}
	if r.plan.Pollers > 0 {
		result.PollInterval = r.plan.PollInterval
		polls := r.polls.stream(took)
		polls.Unsent = unsent(r.plan.polls(), sent, r.polls)
		result.Polls = &polls
	}
	return result
}

func unsent(times schedule, sent time.Duration, r *recorder) int64 {
	return max(0, times.until(sent)-r.sent.Load())
}
