package actors

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

// newSeat makes the intent of one more machine; requestMachines makes the new ones durable and brings them to life.
func (s *supervisor) newSeat(d decision) {
	id := vsphere.MachineID(s.NewID())
	name, err := nameOf(s.config.ProvisioningTemplate.NameTemplate, s.config.Name, id, 0)
	if err != nil {
		name = fmt.Sprintf("%s-%s", s.config.Name, id)
	}
	rec := record{
		ID: id, Name: name, Phase: requested, Status: vsphere.DefaultStatus(), Requested: time.Now().UTC(), Replacement: d.kind == replace,
	}
	if s.provider != nil {
		site := s.provider.Site()
		rec.Region, rec.CPUs, rec.MemoryMiB = site.Region, site.CPUs, site.MemoryMiB
	}
	s.seat(rec)
	s.intended = append(s.intended, id)
	s.events.request(rec.Replacement)
	s.Log.Debug("machine requested", "pool", s.config.Name, "machine", id, "vm", name, "reason", d.reason)
}

// requestMachines writes the intents of all new seats in one step.
func (s *supervisor) requestMachines(ctx actor.Context) {
	if len(s.intended) > 0 {
		s.Log.Info("machines requested", "pool", s.config.Name, "count", len(s.intended))
		s.commit(ctx, nil, spawnStep{s.intended}, s.recordsOf(s.intended)...)
		s.intended = nil
	}
}

func (s *supervisor) recordsOf(ids []vsphere.MachineID) []Change {
	var changes []Change
	for _, id := range ids {
		rec := s.seats[id].rec
		changes = append(changes, Change{machine: &rec})
	}
	return changes
}

// spawnStep brings the actors of new members to life.
type spawnStep struct{ ids []vsphere.MachineID }

func (st spawnStep) finish(s *supervisor, ctx actor.Context, err error) {
	for _, id := range st.ids {
		seat := s.seats[id]
		switch {
		case seat == nil:
		case err != nil:
			if seat.rec.Replacement {
				s.held.owed++
				s.held.churn.Used = max(0, s.held.churn.Used-1)
			}
			s.unseat(id)
		default:
			s.spawn(ctx, seat)
		}
	}
	s.answerWaiting(ctx)
	if err == nil {
		s.reconcileSoon(ctx)
	}
}

// spawn starts the actor of a member over its record: what was in flight is looked at again.
func (s *supervisor) spawn(ctx actor.Context, seat *seat) {
	s.gens++
	seat.gen, seat.granted, seat.leaving = s.gens, false, false
	gen, rec := seat.gen, seat.rec
	rec.Phase = resume(rec.Phase)
	s.note(seat, rec)
	m := &machineActor{ops: s.ops, log: s.Log, recorder: s.recorder, gen: gen, rec: rec}
	m.provider, m.settings = s.hand(), s.settings()
	seat.pid = ctx.Spawn(machineProps(m))
	s.byPID[seat.pid.Id] = rec.ID
}

// machineChanged takes a machine's word on itself.
func (s *supervisor) machineChanged(ctx actor.Context, f machineChanged) {
	seat := s.seats[f.rec.ID]
	if seat == nil || seat.gen != f.gen {
		return
	}
	before := seat.rec
	s.noteLoss(ctx, before, f, seat.leaving)
	s.noteAbandoned(before, f.rec)
	seat.granted = seat.granted && f.rec.Phase == seat.rec.Phase && !f.declined
	seat.leaving = seat.leaving && f.rec.allocated() && !f.declined
	s.events.change(before, f.rec, f.outcome)
	s.note(seat, f.rec)
	seat.notBefore = f.notBefore
	s.judge(ctx, f.outcome)
	s.consult(ctx, before.allocated(), f)
	if f.rec.Phase == forgotten {
		s.unseat(f.rec.ID)
		seat.abandon(ctx)
		ctx.Stop(seat.pid)
	}
	s.reconcileSoon(ctx)
}

// judge keeps the memory of launches.
func (s *supervisor) judge(ctx actor.Context, o launchOutcome) {
	now := time.Now()
	s.gauge(now, o)
	if o.verdict == launchFailed {
		s.resolveAnew(ctx, o.cause)
	}
	switch o.verdict {
	case launchSucceeded:
		s.retryAll()
		s.breaker = s.breaker.succeeded()
	case launchFailed:
		s.breaker = s.breaker.failed(now, o.cause, o.message, s.Jitter())
	case bootFailed:
		s.breaker = s.breaker.bootFailed(now, o.message, s.Jitter())
	case noVerdict:
	}
}

// retryAll lets all that wait for room, or for somebody to mend what is wrong, try again as soon as one of them has got through.
func (s *supervisor) retryAll() {
	if !s.breaker.open() {
		return
	}
	for _, seat := range s.seats {
		seat.notBefore = time.Time{}
	}
}

// gauge keeps the rate of clones by what vCenter makes of them.
func (s *supervisor) gauge(now time.Time, o launchOutcome) {
	limit := s.config.Limits.Creates
	switch {
	case o.cloned:
		s.held.rate = s.held.rate.queued(now, limit, o.queued)
	case o.pressed:
		s.held.rate = s.held.rate.pressed(now, limit)
	}
}

// HandleFailure implements actor.SupervisorStrategy: a panic is a defect, and costs the actor that had it and no other. It is stopped,
// and a new one starts over the record, as after a crash of the process.
func (s *supervisor) HandleFailure(
	_ *actor.ActorSystem, children actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, _ any,
) {
	s.Log.Error("actor panicked; another takes its place", "err", reason)
	children.StopChildren(child)
}

// childEnded finds a replacement for an actor that ended without being told to.
func (s *supervisor) childEnded(ctx actor.Context, who *actor.PID) {
	id := s.byPID[who.Id]
	delete(s.byPID, who.Id)
	seat := s.seats[id]
	switch {
	case s.leaving:
	case who.Equal(s.observer):
		s.spawnObserver(ctx)
		s.startWatching(ctx)
	case s.evicted(ctx, id, who):
	case seat != nil && seat.pid.Equal(who):
		seat.pid = nil
		seat.abandon(ctx)
		seat.revivals++
		after(ctx, backoff(time.Second, seat.revivals, 0), revive{id})
	}
}

func (s *supervisor) revive(ctx actor.Context, f revive) {
	if seat := s.seats[f.id]; seat != nil && seat.pid == nil {
		s.spawn(ctx, seat)
		s.reconcileSoon(ctx)
	}
}

// broadcast gives every machine the provider and settings in force.
func (s *supervisor) broadcast(ctx actor.Context) {
	for _, seat := range s.seats {
		if seat.pid != nil {
			ctx.Send(seat.pid, use{s.hand(), s.settings()})
		}
	}
}
