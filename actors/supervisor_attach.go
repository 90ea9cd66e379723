package actors

import (
	"cmp"
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

// attachTimeout is below the minute that clients wait.
const attachTimeout = 50 * time.Second

// attachment is a VM on its way to become a member. before is the record of an earlier membership, to be restored if it does not.
type attachment struct {
	found  found
	before *record
	// evicting is the actor of the earlier membership while it is being stopped.
	evicting *actor.PID
	// askers wait for the outcome: whoever asked first, and those who asked for the same meanwhile.
	askers []*actor.PID
}

// receptive says why nothing can be attached now; nil: it can.
func (s *supervisor) receptive() error {
	err := s.usable()
	if err == nil {
		err = s.recordable()
	}
	if err == nil && s.outranked() {
		err = refuse(Unavailable, "nothing was changed: %s", s.rivalry())
	}
	if err == nil && (s.provider == nil || s.sight.outage != "") {
		err = refuse(Unavailable, "vSphere cannot be reached, nothing was changed: %s", s.sight.outage)
	}
	if err == nil && (!s.pool.Rebuilt || s.pool.Desired == nil) {
		err = refuse(Unavailable, "the pool's members are being looked for; try again in a moment")
	}
	return err
}

// attach begins with finding the VM.
func (s *supervisor) attach(ctx actor.Context, c attach) {
	if err := s.receptive(); err != nil {
		ctx.Respond(answer{err: err})
		return
	}
	asker, provider, begun := ctx.Sender(), s.provider, time.Now()
	s.ops.start(ctx, blockingCall{
		timeout: attachTimeout,
		run: func(opCtx context.Context) any {
			vm, err := provider.Find(opCtx, c.query)
			return found{c.query, begun, vm, err, asker}
		},
		failed: func(err error) any { return found{err: err, asker: asker} },
	})
}

// full says whether the bounds leave no room for one more than are on their way already.
func (s *supervisor) full() bool {
	size, known := s.desired()
	size += len(s.attaching)
	return known && s.config.Bounds.effective(size+1) == size
}

func (s *supervisor) attachFound(ctx actor.Context, f found) {
	if f.err != nil {
		reply(ctx, f.asker, nil, findFailure(f.query, f.err))
		return
	}
	id := s.memberID(f.vm)
	seat := s.seats[id]
	if seat != nil && seat.rec.allocated() && (seat.rec.owns(f.vm, s.config.Name) || !seat.rec.Requested.Before(f.begun)) {
		size := s.pool.requestedSize()
		reply(ctx, f.asker, &Changed[int]{size, size}, nil)
		return
	}
	if a, attaching := s.attaching[id]; attaching {
		a.askers = append(a.askers, f.asker)
		s.attaching[id] = a
		return
	}
	if err := s.attachable(f.vm, id); err != nil {
		reply(ctx, f.asker, nil, err)
		return
	}
	a := attachment{found: f, askers: []*actor.PID{f.asker}}
	if seat != nil {
		before := seat.rec
		a.before, a.evicting = &before, seat.pid
	}
	s.attaching[id] = a
	if a.evicting != nil {
		ctx.Stop(a.evicting) // evicted goes on
		return
	}
	s.unseat(id)
	s.markAttached(ctx, id)
}

// memberID is the id that a VM has, or will have, as a machine.
func (s *supervisor) memberID(vm vsphere.VM) vsphere.MachineID {
	if vm.Owned(s.config.Name) {
		return vm.Mark.Machine
	}
	return vsphere.MachineID(vm.InstanceUUID)
}

// evicted goes on with an attach once the actor of the earlier membership has ended, and so cannot write over the new one.
func (s *supervisor) evicted(ctx actor.Context, id vsphere.MachineID, who *actor.PID) bool {
	a, attaching := s.attaching[id]
	if !attaching || a.evicting == nil || !who.Equal(a.evicting) {
		return false
	}
	if seat := s.seats[id]; seat != nil {
		seat.abandon(ctx)
		s.unseat(id)
	}
	s.markAttached(ctx, id)
	return true
}

func findFailure(query string, err error) error {
	switch vsphere.KindOf(err) {
	case vsphere.NotFound:
		message := "there is no VM " + query + ": give its instance UUID, managed object id or inventory path"
		return &Error{Kind: NotFound, Message: message, Err: err}
	case vsphere.Misconfigured:
		return &Error{Kind: Invalid, Message: "VM " + query + " cannot be told from others: give its managed object id", Err: err}
	default:
		return &Error{Kind: Unavailable, Message: "vSphere failed the request; nothing was changed", Err: err}
	}
}

// attachable refuses VMs that cannot be members, or are not free to be.
func (s *supervisor) attachable(vm vsphere.VM, id vsphere.MachineID) error {
	if err := cmp.Or(s.receptive(), s.fit(vm)); err != nil {
		return err
	}
	if s.full() {
		return refuse(Invalid, "one machine more would be above bounds.max (%d): raise it first", *s.config.Bounds.Max)
	}
	return s.unclaimed(vm, s.seats[id])
}

// fit says what keeps any VM like this from being a member.
func (s *supervisor) fit(vm vsphere.VM) error {
	switch {
	case vm.Marked && vm.Mark == nil:
		return refuse(Invalid, "VM %s carries a mark of a kind that this version does not know: detach it with the version that made it", vm.Name)
	case vm.InstanceUUID == "":
		return refuse(Invalid, "VM %s has no instance UUID, and so cannot be a member", vm.Name)
	case vm.Template || vm.Ref == s.provider.Site().Source:
		return refuse(Invalid, "VM %s is a template: only running machines can be attached", vm.Name)
	case vm.Power != vsphere.PoweredOn || !vm.Connected:
		return refuse(Invalid, "VM %s is not running: power it on first", vm.Name)
	}
	return nil
}

// unclaimed says whose the VM is already.
func (s *supervisor) unclaimed(vm vsphere.VM, seat *seat) error {
	if seat != nil && doomed(seat.rec.Phase) {
		return leavingForGood(vm)
	}
	switch {
	case vm.Mark == nil || !vm.Owned(vm.Mark.Pool):
		return nil
	case vm.Mark.Pool != s.config.Name:
		return refuse(Invalid, "VM %s is a member of pool %q: detach it there first", vm.Name, vm.Mark.Pool)
	case vm.Mark.Retiring:
		return leavingForGood(vm)
	}
	return nil
}

// doomed machines are being taken away.
func doomed(p phase) bool {
	return phases[p].state == Terminating || p == clearing || p == removing
}

func leavingForGood(vm vsphere.VM) error {
	return refuse(Invalid, "VM %s is being terminated, and a terminated machine never comes back", vm.Name)
}

// markAttached makes the VM provably ours; nothing else has changed until then.
func (s *supervisor) markAttached(ctx actor.Context, id vsphere.MachineID) {
	f := s.attaching[id].found
	vm, status := f.vm, vsphere.DefaultStatus()
	mark := vsphere.Mark{Pool: s.config.Name, Machine: id, UUID: vm.InstanceUUID, Attached: true, Writer: s.pool.Writer}
	change := vsphere.Change{Mark: &mark, Status: &status, IfVersion: vm.ChangeVersion}
	vm.Mark, vm.Status = &mark, &status
	rec := adoptedRecord(vm, s.config.settings())
	rec.Requested, rec.Region = time.Now().UTC(), s.provider.Site().Region
	provider := s.provider
	s.ops.start(ctx, blockingCall{
		timeout: attachTimeout,
		run:     func(opCtx context.Context) any { return marked{rec, provider.Claim(opCtx, vm.Ref, change)} },
		failed:  func(err error) any { return marked{rec, err} },
	})
}

// attachMarked commits the new member and the larger desired size in one step.
func (s *supervisor) attachMarked(ctx actor.Context, f marked) {
	if f.err != nil {
		s.attachFailed(ctx, f.rec.ID, &Error{Kind: Unavailable, Message: "vSphere refused to mark the VM; nothing was changed", Err: f.err})
		return
	}
	rec := f.rec
	change, done := observing(PoolRecord.requestedSize, func(p *PoolRecord) {
		if p.Desired != nil {
			size := s.config.Bounds.effective(*p.Desired) + 1
			p.Desired = &size
		}
	})
	s.commit(ctx, change, attachStep{f.rec, done}, Change{machine: &rec})
}

// attachFailed restores what was left of an earlier membership.
func (s *supervisor) attachFailed(ctx actor.Context, id vsphere.MachineID, err error) {
	if before := s.attaching[id].before; before != nil {
		s.spawn(ctx, s.seat(*before))
	}
	s.attachOver(ctx, id, nil, err)
}

func (s *supervisor) attachOver(ctx actor.Context, id vsphere.MachineID, done effect, err error) {
	for _, asker := range s.attaching[id].askers {
		reply(ctx, asker, done, err)
	}
	delete(s.attaching, id)
}

// attachStep seats the new member. If it could not be recorded, its mark is taken off again.
type attachStep struct {
	rec  record
	done effect
}

func (st attachStep) finish(s *supervisor, ctx actor.Context, err error) {
	if err != nil {
		s.attachFailed(ctx, st.rec.ID, journalFailure(err))
		s.unmark(ctx, st.rec)
		return
	}
	member := s.seat(st.rec)
	s.seek(member)
	s.spawn(ctx, member)
	s.sendFollow(ctx)
	ctx.Send(s.observer, sweepSoon{})
	s.attachOver(ctx, st.rec.ID, st.done, nil)
	s.reconcileSoon(ctx)
}

// unmark is best effort: what it leaves is reported as an orphan.
func (s *supervisor) unmark(ctx actor.Context, rec record) {
	provider := s.provider
	s.ops.start(ctx, blockingCall{
		timeout: attachTimeout,
		run: func(c context.Context) any {
			if err := provider.Write(c, vsphere.Ownership{Ref: rec.Ref, Machine: rec.ID}, vsphere.Change{Unmark: true}); err != nil {
				s.Log.Warn("mark was not taken off again", "vm", rec.Name, "err", err)
			}
			return nil
		},
		failed: func(error) any { return nil },
	})
}
