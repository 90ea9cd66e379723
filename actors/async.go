package actors

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// This file is where the package waits: the only go statement, the only timers, the only future. Everything that blocks runs in a
// goroutine started here and comes back to its actor as an ordinary message.

// opID numbers an actor's operations, so that a late result is told from the current one's.
type opID int

// operations is what all actors of a system share to run blocking calls.
type operations struct {
	ctx    context.Context //nolint:containedctx // the life of the system, not of a call
	cancel context.CancelFunc

	mu      sync.Mutex
	closing bool
	settle  sync.WaitGroup
	all     sync.WaitGroup
}

func newOperations() *operations {
	ctx, cancel := context.WithCancel(context.Background())
	return &operations{ctx: ctx, cancel: cancel}
}

// blockingCall is an operation before it runs.
type blockingCall struct {
	// timeout bounds it.
	timeout time.Duration
	// abandonable calls only wait for something that is on record: a shutdown need not wait for them.
	abandonable bool
	// deaf calls do not end with their context: a shutdown does not wait for them beyond its own time.
	deaf bool
	// run blocks; its value, unless nil, is sent to the actor. A panic inside becomes failed(err).
	run    func(context.Context) any
	failed func(error) any
}

// start runs the call and sends its result to the actor when it ends. During a shutdown nothing is started any more, and
// no message comes. The returned function cancels the call.
func (o *operations) start(ctx actor.Context, c blockingCall) context.CancelFunc {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing {
		return func() {}
	}
	bounded, cancel := context.WithTimeout(o.ctx, c.timeout)
	if !c.deaf {
		o.all.Add(1)
	}
	if !c.abandonable {
		o.settle.Add(1)
	}
	go func() {
		if !c.deaf {
			defer o.all.Done()
		}
		result := guarded(bounded, c)
		cancel()
		if result != nil {
			root.Send(self, result)
		}
		if !c.abandonable {
			o.settle.Done()
		}
	}()
	return cancel
}

func guarded(ctx context.Context, c blockingCall) (result any) {
	defer func() {
		if p := recover(); p != nil {
			result = c.failed(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	return c.run(ctx)
}

// close starts no more operations, waits until those that must settle have, or ctx is over, and then cancels the rest.
func (o *operations) close(ctx context.Context) {
	o.mu.Lock()
	o.closing = true
	o.mu.Unlock()
	settled := make(chan struct{})
	go func() {
		o.settle.Wait()
		close(settled)
	}()
	select {
	case <-settled:
	case <-ctx.Done():
	}
	o.cancel()
	o.all.Wait()
}

// after sends the message to the actor itself once the time has passed; the returned function stops that.
func after(ctx actor.Context, d time.Duration, message any) (stop func()) {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	return later(d, func() { root.Send(self, message) })
}

// later does something that takes no time once the time has passed; the returned function stops that.
func later(d time.Duration, do func()) (stop func()) {
	t := time.AfterFunc(max(d, 0), do)
	return func() { t.Stop() }
}

// ask sends a command from outside the system and waits for its answer.
func ask(ctx context.Context, root *actor.RootContext, to *actor.PID, command any) (any, error) {
	reply, err := root.RequestFuture(to, command, patience(ctx)).Result()
	if err != nil {
		return nil, unanswered(err)
	}
	a, ok := reply.(answer)
	if !ok {
		return nil, fmt.Errorf("the pool answered %T", reply)
	}
	return a.value, a.err
}

func unanswered(err error) error {
	return &Error{Kind: Unavailable, Message: "the pool did not answer in time; what was asked may still happen", Err: err}
}

// inquire asks for a view, together with all who do so at the same time, and keeps the answer for those who come later.
func (r *readers) inquire(ctx context.Context, root *actor.RootContext, to *actor.PID) (*lease, error) {
	q, fresh := r.join()
	if fresh {
		root.Send(to, viewQuery{q})
	}
	patient := time.NewTimer(patience(ctx))
	defer patient.Stop()
	select {
	case <-q.done:
		if q.err == nil {
			r.lease.Store(q.lease)
		}
		return q.lease, q.err
	case <-patient.C:
		q.close() // it may be lost: the next one is to ask anew
		return nil, unanswered(actor.ErrTimeout)
	case <-r.over:
		return nil, unanswered(actor.ErrDeadLetter)
	}
}

// askUntil is ask for answers that may take long: it gives up as soon as ctx is over, and costs a goroutine for that.
func askUntil(ctx context.Context, root *actor.RootContext, to *actor.PID, command any) error {
	answered := make(chan error, 1)
	go func() {
		_, err := ask(ctx, root, to, command)
		answered <- err
	}()
	select {
	case err := <-answered:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

const longestAsk = 2 * time.Minute

func patience(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(max(time.Until(deadline), time.Millisecond), longestAsk)
	}
	return longestAsk
}
