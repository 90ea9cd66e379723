package actors

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// recorder is the actor that owns the journal. It writes one batch at a time; what arrives meanwhile makes the next batch, so that
// a hundred machines changing at once cost one or two disk flushes. Writes become durable in the order of their arrival.
type recorder struct {
	journal Journal
	// ops are the recorder's own: a shutdown lets the actors' operations settle first and still has their results to write.
	ops     *operations
	queue   []write
	loads   []*actor.PID
	flushes []*actor.PID
	inWrite []write
	busy    bool
}

// journalTimeout is far beyond what a working disk needs; the write itself is not interrupted by it.
const journalTimeout = time.Minute

// Receive implements actor.Actor.
func (r *recorder) Receive(ctx actor.Context) {
	if command, ok := ctx.Message().(recorderCommand); ok {
		r.handle(ctx, command)
	}
}

func (r *recorder) handle(ctx actor.Context, command recorderCommand) {
	switch c := command.(type) {
	case write:
		r.queue = append(r.queue, c)
	case load:
		r.loads = append(r.loads, c.to)
	case flush:
		r.flushes = append(r.flushes, ctx.Sender())
	case batchDone:
		r.finish(ctx, c.err)
	case loadDone:
		r.busy = false
		ctx.Send(c.to, c.loaded)
	}
	r.next(ctx)
}

func (r *recorder) finish(ctx actor.Context, err error) {
	for _, w := range r.inWrite {
		ctx.Send(w.to, w.done(err))
	}
	r.busy, r.inWrite = false, nil
}

func (r *recorder) next(ctx actor.Context) {
	switch {
	case r.busy:
	case len(r.queue) > 0:
		r.writeBatch(ctx)
	case len(r.loads) > 0:
		r.load(ctx)
	default:
		for _, asker := range r.flushes {
			ctx.Send(asker, answer{})
		}
		r.flushes = nil
	}
}

func (r *recorder) writeBatch(ctx actor.Context) {
	r.busy, r.inWrite, r.queue = true, r.queue, nil
	var changes []Change
	for _, w := range r.inWrite {
		changes = append(changes, w.changes...)
	}
	journal := r.journal
	r.ops.start(ctx, blockingCall{
		timeout: journalTimeout,
		run:     func(context.Context) any { return batchDone{journal.Write(changes)} },
		failed:  func(err error) any { return batchDone{err} },
	})
}

func (r *recorder) load(ctx actor.Context) {
	asker, journal := r.loads[0], r.journal
	r.busy, r.loads = true, r.loads[1:]
	r.ops.start(ctx, blockingCall{
		timeout: journalTimeout,
		run: func(context.Context) any {
			state, err := journal.Load()
			return loadDone{asker, loaded{state, err}}
		},
		failed: func(err error) any { return loadDone{asker, loaded{err: err}} },
	})
}
