package actors

import (
	"context"
	"errors"
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

	// keeper is told when the journal's trouble changes, which is what the last write failed of, or that it hangs. While there is one,
	// writes are tried as they come, and an empty one is tried now and then: it tells when the trouble is over.
	keeper    *actor.PID
	trouble   error
	failures  int
	batch     int
	stopTimer func()
}

const (
	// journalTimeout is far beyond what a working disk needs; the write itself is not interrupted by it.
	journalTimeout = time.Minute
	// journalPatience is how long a write may take before it counts as one that hangs.
	journalPatience = 5 * time.Second
	// longestProbe is the longest pause between two tries to write to a journal in trouble.
	longestProbe = 15 * time.Second
)

var errJournalHangs = errors.New("a write to the journal does not end: its disk does not answer; see the system's log, " +
	"and the server that the state directory is mounted from, if it is")

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
		r.busy, r.keeper = false, c.to
		ctx.Send(c.to, c.loaded)
		r.tell(ctx)
	case writeOverdue:
		r.overdue(ctx, c)
	case probe:
		if !r.busy && r.trouble != nil {
			r.writeBatch(ctx)
		}
	}
	r.next(ctx)
}

func (r *recorder) finish(ctx actor.Context, err error) {
	for _, w := range r.inWrite {
		ctx.Send(w.to, w.done(err))
	}
	r.busy, r.inWrite = false, nil
	r.stopTimer()
	r.judge(ctx, err)
}

// judge tells of a trouble that begins or ends, and tries again in a while.
func (r *recorder) judge(ctx actor.Context, err error) {
	changed := (err == nil) != (r.trouble == nil) || err != nil && err.Error() != r.trouble.Error()
	r.trouble = err
	if changed {
		r.tell(ctx)
	}
	if err == nil {
		r.failures = 0
		return
	}
	r.failures++
	r.stopTimer = after(ctx, min(backoff(time.Second, r.failures, 0), longestProbe), probe{})
}

// overdue takes a write that hangs for one that fails, until it ends.
func (r *recorder) overdue(ctx actor.Context, o writeOverdue) {
	if r.busy && r.batch == o.batch && r.trouble == nil {
		r.trouble = errJournalHangs
		r.tell(ctx)
	}
}

func (r *recorder) tell(ctx actor.Context) {
	if r.keeper != nil {
		ctx.Send(r.keeper, journalChanged{r.trouble})
	}
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
	r.stopTimer()
	r.batch++
	r.stopTimer = after(ctx, journalPatience, writeOverdue{r.batch})
	var changes []Change
	for _, w := range r.inWrite {
		changes = append(changes, w.changes...)
	}
	journal := r.journal
	r.ops.start(ctx, blockingCall{
		timeout: journalTimeout,
		deaf:    true,
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
