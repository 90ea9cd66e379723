package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// While the journal cannot be written the pool begins nothing, for nothing may be done to vSphere that is not on record. It goes on
// watching and answering, and refuses requests that change something: at once where they begin at vSphere, otherwise after a try.

// journalChanged notes that the journal cannot be written, or that it can again: then all that was learned meanwhile is.
func (s *supervisor) journalChanged(ctx actor.Context, f journalChanged) {
	before := s.unwritable
	s.unwritable = f.trouble
	switch {
	case f.trouble != nil && before == nil:
		s.failedAt = time.Now()
		s.events.journalFailed()
		s.Log.Error("journal cannot be written; nothing is begun until it can be", "err", f.trouble)
	case f.trouble == nil && before != nil:
		s.Log.Info("journal can be written again", "dur", time.Since(s.failedAt).Round(time.Second))
		s.recordMissed(ctx)
	}
	s.reconcileSoon(ctx)
}

// recordMissed writes what could not be written.
func (s *supervisor) recordMissed(ctx actor.Context) {
	for _, seat := range s.seats {
		if seat.pid != nil {
			ctx.Send(seat.pid, saveDue{})
		}
	}
	if s.provider != nil {
		ctx.Send(s.observer, sweepSoon{}) // what had to be recorded after a sweep waits for the next one
	}
	s.commit(ctx, nil, silentStep{})
}

// journalTrouble says why nothing is begun; empty: the journal can be written.
func (s *supervisor) journalTrouble() string {
	if s.unwritable == nil {
		return ""
	}
	return "nothing is begun, because nothing can be recorded: " + s.unwritable.Error()
}

// recordable refuses a request that has to be recorded; nil: it can be.
func (s *supervisor) recordable() error { return journalFailure(s.unwritable) }
