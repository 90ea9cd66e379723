package actors

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"
)

// step is what remains to be done once something is durable, or could not be made so. Steps are values: they are handed to whatever
// supervisor is alive by then.
type step interface {
	finish(s *supervisor, ctx actor.Context, err error)
}

// pendingCommit is a commit before it is written.
type pendingCommit struct {
	change   func(*PoolRecord)
	next     step
	machines []Change
}

// commit writes a change of the pool's own record (nil: none) together with changes of machines, and then does the step. While one
// write is under way, further commits gather and make the next one: they become durable together, or none of them.
func (s *supervisor) commit(ctx actor.Context, change func(*PoolRecord), next step, machines ...Change) {
	s.commits = append(s.commits, pendingCommit{change, next, machines})
	if !s.committing {
		s.writeCommits(ctx)
	}
}

func (s *supervisor) writeCommits(ctx actor.Context) {
	var f stored
	var changes []Change
	f.pool = s.pool
	f.pool.Owed, f.pool.Churn = s.held.owed, s.held.churn
	for _, c := range s.commits {
		if c.change != nil {
			c.change(&f.pool)
		}
		changes = append(changes, c.machines...)
		f.steps = append(f.steps, c.next)
	}
	s.committing, s.commits = true, nil
	ctx.Send(s.recorder, write{
		changes: append([]Change{{pool: &f.pool}}, changes...),
		to:      ctx.Self(),
		done: func(err error) any {
			f.err = err
			return f
		},
	})
}

func (s *supervisor) stored(ctx actor.Context, f stored) {
	if !s.committing {
		return // an earlier incarnation's write: this one has loaded what came of it
	}
	if f.err == nil {
		s.pool = f.pool
	}
	for _, step := range f.steps {
		step.finish(s, ctx, f.err)
	}
	s.committing = false
	if len(s.commits) > 0 {
		s.writeCommits(ctx)
	}
}

// reply answers whoever asked, if anybody did. The effect is told of a success only; nil: there is none to tell.
func reply(ctx actor.Context, asker *actor.PID, done effect, err error) {
	a := answer{err: err}
	if done != nil && err == nil {
		a.value = done.told()
	}
	if asker != nil {
		ctx.Send(asker, a)
	}
}

func journalFailure(err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: Internal, Message: "the journal could not be written; nothing was changed", Err: err}
}

// replyStep answers, and plans anew.
type replyStep struct {
	asker *actor.PID
	done  effect
}

func (st replyStep) finish(s *supervisor, ctx actor.Context, err error) {
	reply(ctx, st.asker, st.done, journalFailure(err))
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
	if is(s.pool.Desired, c.size) && !s.committing {
		ctx.Respond(unchanged(c.size))
		return
	}
	s.resizes++
	s.Log.Info("desired size set", "pool", s.config.Name, "to", c.size)
	change, done := observing(PoolRecord.requestedSize, func(p *PoolRecord) { p.Desired = &c.size })
	s.commit(ctx, change, replyStep{ctx.Sender(), done})
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
		ctx.Respond(unchanged(started))
	default:
		change, done := observing(PoolRecord.started, func(p *PoolRecord) { p.Started = started })
		s.commit(ctx, change, replyStep{ctx.Sender(), done})
	}
}

// callMachine passes a caller's request on to the machine, if it is a member.
func (s *supervisor) callMachine(ctx actor.Context, c callMachine) {
	if err := s.admit(c); err != nil {
		ctx.Respond(answer{err: err})
		return
	}
	seat := s.seats[c.id]
	c.call.asker, c.call.resizes = ctx.Sender(), s.resizes
	seat.open = append(seat.open, c.call)
	ctx.Send(seat.pid, perform{c.call})
}

func (s *supervisor) admit(c callMachine) error {
	if err := s.usable(); err != nil {
		return err
	}
	seat := s.seats[c.id]
	switch {
	case seat == nil:
		return notMember(c.id)
	case !seat.rec.allocated():
		return c.call.admit(seat.rec)
	case seat.pid == nil:
		return refuse(Unavailable, "machine %s is being set up; try again in a moment", c.id)
	}
	if err := s.reachable(seat.rec); err != nil {
		return err
	}
	if c.call.decrement && !s.mayLower(s.decrementing()+1) {
		return refuse(Invalid, "one machine less would be below bounds.min (%d): terminate without decrementDesiredSize, or lower the bound",
			s.config.Bounds.Min)
	}
	return nil
}

// reachable says what keeps the pool from changing a member now.
func (s *supervisor) reachable(rec record) error {
	switch {
	case s.unwritable != nil:
		return s.recordable()
	case s.outranked():
		return refuse(Unavailable, "nothing was changed: %s", s.rivalry())
	case s.sight.outage != "" && rec.Ref != "":
		return refuse(Unavailable, "vSphere cannot be reached, nothing was changed: %s", s.sight.outage)
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
	decrease, done := observing(PoolRecord.requestedSize, decrement)
	s.commit(ctx, decrease, claimStep{f.gen, rec, f.call, done}, change)
}

// claimStep lets the machine go on, and tells the caller.
type claimStep struct {
	gen  int
	rec  record
	call call
	done effect
}

func (st claimStep) finish(s *supervisor, ctx actor.Context, err error) {
	if seat := s.seats[st.rec.ID]; seat != nil && seat.gen == st.gen {
		if err == nil {
			s.note(seat, st.rec)
		}
		seat.close(st.call)
		if seat.pid != nil {
			ctx.Send(seat.pid, committed{err})
		}
	}
	reply(ctx, st.call.asker, st.done, st.failure(err))
	s.reconcileSoon(ctx)
}

// failure says what is true of a machine whose leaving could not be recorded.
func (st claimStep) failure(err error) error {
	if err == nil || st.rec.Ref == "" {
		return journalFailure(err)
	}
	message := "the machine leaves, but that could not be written to the journal, and the desired size was not changed"
	return &Error{Kind: Internal, Message: message, Err: err}
}

// machineCalled answers a request that changed no desired size.
func (s *supervisor) machineCalled(ctx actor.Context, f called) {
	seat := s.seats[f.rec.ID]
	if seat == nil || seat.gen != f.gen {
		return // answered when that actor ended
	}
	s.note(seat, f.rec)
	seat.close(f.call)
	reply(ctx, f.call.asker, f.call.effect(), f.err)
	s.reconcileSoon(ctx)
}

// close takes a call that is over off the list.
func (s *seat) close(c call) {
	s.open = slices.DeleteFunc(s.open, func(o call) bool { return o.asker == c.asker })
}

// abandon answers the calls of an actor that ended.
func (s *seat) abandon(ctx actor.Context) {
	for _, c := range s.open {
		reply(ctx, c.asker, nil, refuse(Unavailable, "the request was cut short by a failure; it may or may not have been done"))
	}
	s.open = nil
}

// decrementing counts the calls under way that will lower the desired size.
func (s *supervisor) decrementing() int {
	n := 0
	for _, seat := range s.seats {
		for _, c := range seat.open {
			if c.decrement {
				n++
			}
		}
	}
	return n
}
