package actors

import (
	"github.com/asynkron/protoactor-go/actor"
)

// step is what remains to be done once something is durable, or could not be made so. Steps are values: they are handed to whatever
// supervisor is alive by then.
type step interface {
	finish(s *supervisor, ctx actor.Context, err error)
}

// commit writes a change of the pool's own record (nil: none) together with changes of machines, and then does the step.
func (s *supervisor) commit(ctx actor.Context, change func(*PoolRecord), next step, machines ...Change) {
	changes := machines
	if change != nil {
		change(&s.queued)
		record := s.queued
		changes = append([]Change{{pool: &record}}, machines...)
	}
	pool := s.queued
	s.unstored++
	ctx.Send(s.recorder, write{
		changes: changes,
		to:      ctx.Self(),
		done:    func(err error) any { return stored{pool, next, err} },
	})
}

func (s *supervisor) stored(ctx actor.Context, f stored) {
	s.unstored--
	if f.err != nil {
		s.Log.Error("journal cannot be written; see that its disk has room and is writable", "err", f.err)
	} else {
		s.pool = f.pool
	}
	if s.unstored == 0 {
		s.queued = s.pool // what failed and was not carried by a later write never was
	}
	f.step.finish(s, ctx, f.err)
}

// reply answers whoever asked, if anybody did.
func reply(ctx actor.Context, asker *actor.PID, err error) {
	if asker != nil {
		ctx.Send(asker, answer{err: err})
	}
}

func journalFailure(err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: Internal, Message: "the journal could not be written; nothing was changed", Err: err}
}

// replyStep answers, and plans anew.
type replyStep struct{ asker *actor.PID }

func (st replyStep) finish(s *supervisor, ctx actor.Context, err error) {
	s.views.changed()
	reply(ctx, st.asker, journalFailure(err))
	s.reconcileSoon(ctx)
}

// resize sets the desired size; the answer waits until it is durable, and for nothing else.
func (s *supervisor) resize(ctx actor.Context, c resize) {
	if err := s.usable(); err != nil {
		ctx.Respond(answer{err: err})
		return
	}
	if err := s.config.Bounds.admits(c.size); err != nil {
		ctx.Respond(answer{err: err})
		return
	}
	if is(s.pool.Desired, c.size) && is(s.queued.Desired, c.size) {
		ctx.Respond(answer{})
		return
	}
	s.resizes++
	s.Log.Info("desired size set", "pool", s.config.Name, "to", c.size)
	s.commit(ctx, func(p *PoolRecord) { p.Desired = &c.size }, replyStep{ctx.Sender()})
}

func is(p *int, n int) bool { return p != nil && *p == n }

// desired is the size in force; unknown before anybody said one and the first members were counted.
func (s *supervisor) desired() (size int, known bool) {
	if s.pool.Desired == nil || s.config == nil {
		return 0, false
	}
	return s.config.Bounds.effective(*s.pool.Desired), true
}

func (s *supervisor) setStarted(ctx actor.Context, started bool) {
	switch {
	case s.draining || !s.loaded:
		ctx.Respond(answer{err: errStopping()})
	case started && s.config == nil:
		ctx.Respond(answer{err: refuse(Invalid, "the pool has no configuration yet: POST one to /config first")})
	case s.pool.Started == started:
		ctx.Respond(answer{})
	default:
		s.commit(ctx, func(p *PoolRecord) { p.Started = started }, replyStep{ctx.Sender()})
	}
}

// callMachine passes a caller's request on to the machine, if it is a member.
func (s *supervisor) callMachine(ctx actor.Context, c callMachine) {
	if err := s.admit(c); err != nil {
		ctx.Respond(answer{err: err})
		return
	}
	c.call.asker, c.call.resizes = ctx.Sender(), s.resizes
	if c.call.decrement {
		s.decrementing++
	}
	ctx.Send(s.seats[c.id].pid, perform{c.call})
}

func (s *supervisor) admit(c callMachine) error {
	if err := s.usable(); err != nil {
		return err
	}
	seat := s.seats[c.id]
	switch {
	case seat == nil || !seat.rec.allocated():
		return notMember(c.id)
	case seat.pid == nil:
		return refuse(Unavailable, "machine %s is being set up; try again in a moment", c.id)
	case c.call.decrement && !s.mayLower(s.decrementing+1):
		return refuse(Invalid, "one machine less would be below bounds.min (%d): terminate without decrementDesiredSize, or lower the bound",
			s.config.Bounds.Min)
	}
	return nil
}

// mayLower says whether the bounds allow the desired size less n.
func (s *supervisor) mayLower(n int) bool {
	size, known := s.desired()
	return known && max(0, size-n) >= s.config.Bounds.Min
}

// lower takes one off the desired size, unless the bounds forbid it by now.
func (s *supervisor) lower(p *PoolRecord) {
	if p.Desired == nil {
		return
	}
	size := max(0, s.config.Bounds.effective(*p.Desired)-1)
	if size >= s.config.Bounds.Min {
		p.Desired = &size
	}
}

// machineClaimed commits a machine's leaving and the desired size in one step.
func (s *supervisor) machineClaimed(ctx actor.Context, f claimed) {
	seat := s.seats[f.rec.ID]
	if seat == nil || seat.gen != f.gen {
		return
	}
	rec := f.rec
	change := Change{machine: &rec}
	if rec.Phase == forgotten {
		change = Change{forget: rec.ID}
	}
	var decrement func(*PoolRecord)
	if f.call.decrement && f.call.resizes == s.resizes {
		decrement = s.lower
	}
	s.commit(ctx, decrement, claimStep{rec, f.call}, change)
}

// claimStep lets the machine go on, and tells the caller.
type claimStep struct {
	rec  record
	call call
}

func (st claimStep) finish(s *supervisor, ctx actor.Context, err error) {
	s.callOver(st.call)
	if seat := s.seats[st.rec.ID]; seat != nil {
		if err == nil {
			seat.rec = st.rec
		}
		if seat.pid != nil {
			ctx.Send(seat.pid, committed{err})
		}
	}
	s.views.changed()
	reply(ctx, st.call.asker, journalFailure(err))
	s.reconcileSoon(ctx)
}

// machineCalled answers a request that changed no desired size.
func (s *supervisor) machineCalled(ctx actor.Context, f called) {
	s.callOver(f.call)
	if seat := s.seats[f.rec.ID]; seat != nil && seat.gen == f.gen {
		seat.rec = f.rec
		s.views.changed()
		s.reconcileSoon(ctx)
	}
	reply(ctx, f.call.asker, f.err)
}

func (s *supervisor) callOver(c call) {
	if c.decrement {
		s.decrementing--
	}
}
