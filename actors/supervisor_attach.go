package actors

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

// attachTimeout is below the minute that clients wait.
const attachTimeout = 50 * time.Second

// attach begins with finding the VM.
func (s *supervisor) attach(ctx actor.Context, c attach) {
	err := s.usable()
	switch {
	case err != nil:
	case s.provider == nil:
		err = refuse(Unavailable, "vCenter has not been reached yet: %s", s.sight.outage)
	case s.full():
		err = refuse(Invalid, "one machine more would be above bounds.max (%d): raise it first", *s.config.Bounds.Max)
	}
	if err != nil {
		ctx.Respond(answer{err: err})
		return
	}
	asker, provider := ctx.Sender(), s.provider
	s.ops.start(ctx, blockingCall{
		timeout: attachTimeout,
		run: func(opCtx context.Context) any {
			vm, err := provider.Find(opCtx, c.query)
			return found{c.query, vm, err, asker}
		},
		failed: func(err error) any { return found{err: err, asker: asker} },
	})
}

// full says whether the bounds leave no room for one more.
func (s *supervisor) full() bool {
	size, known := s.desired()
	return known && s.config.Bounds.effective(size+1) == size
}

func (s *supervisor) attachFound(ctx actor.Context, f found) {
	if f.err != nil {
		reply(ctx, f.asker, findFailure(f.query, f.err))
		return
	}
	id := vsphere.MachineID(f.vm.InstanceUUID)
	if seat := s.seats[id]; seat != nil && seat.rec.allocated() && seat.rec.owns(f.vm, s.config.Name) {
		reply(ctx, f.asker, nil)
		return
	}
	if err := s.attachable(f.vm, id); err != nil {
		reply(ctx, f.asker, err)
		return
	}
	s.attaching[id] = true
	s.markAttached(ctx, f, id)
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
	if s.attaching[id] {
		return refuse(Invalid, "VM %s is being attached by another request already", vm.Name)
	}
	if err := s.fit(vm); err != nil {
		return err
	}
	return s.unclaimed(vm, s.seats[id])
}

// fit says what keeps any VM like this from being a member.
func (s *supervisor) fit(vm vsphere.VM) error {
	switch {
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
	if seat != nil && seat.rec.state() == Terminating {
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

func leavingForGood(vm vsphere.VM) error {
	return refuse(Invalid, "VM %s is being terminated, and a terminated machine never comes back", vm.Name)
}

// markAttached makes the VM provably ours; nothing else has changed until then.
func (s *supervisor) markAttached(ctx actor.Context, f found, id vsphere.MachineID) {
	status := vsphere.DefaultStatus()
	mark := vsphere.Mark{Pool: s.config.Name, Machine: id, UUID: f.vm.InstanceUUID}
	change := vsphere.Change{Mark: &mark, Status: &status, IfVersion: f.vm.ChangeVersion}
	vm := f.vm
	vm.Mark, vm.Status = &mark, &status
	rec := adoptedRecord(vm, s.config.settings())
	rec.Requested, rec.Region = time.Now().UTC(), s.provider.Site().Region
	provider := s.provider
	s.ops.start(ctx, blockingCall{
		timeout: attachTimeout,
		run:     func(opCtx context.Context) any { return marked{rec, provider.Claim(opCtx, vm.Ref, change), f.asker} },
		failed:  func(err error) any { return marked{rec, err, f.asker} },
	})
}

// attachMarked commits the new member and the larger desired size in one step.
func (s *supervisor) attachMarked(ctx actor.Context, f marked) {
	if f.err != nil {
		delete(s.attaching, f.rec.ID)
		reply(ctx, f.asker, &Error{Kind: Unavailable, Message: "vSphere refused to mark the VM; nothing was changed", Err: f.err})
		return
	}
	rec := f.rec
	s.commit(ctx, func(p *PoolRecord) {
		if p.Desired != nil {
			size := s.config.Bounds.effective(*p.Desired) + 1
			p.Desired = &size
		}
	}, attachStep{f}, Change{machine: &rec})
}

// attachStep seats the new member, at the place of what was left of an earlier membership.
type attachStep struct{ of marked }

func (st attachStep) finish(s *supervisor, ctx actor.Context, err error) {
	delete(s.attaching, st.of.rec.ID)
	if err == nil {
		s.seatAttached(ctx, st.of.rec)
	}
	reply(ctx, st.of.asker, journalFailure(err))
}

func (s *supervisor) seatAttached(ctx actor.Context, rec record) {
	if old := s.seats[rec.ID]; old != nil && old.pid != nil {
		delete(s.seats, rec.ID)
		ctx.Stop(old.pid)
	}
	member := &seat{member: member{rec: rec}, elsewhere: true}
	s.seats[rec.ID] = member
	s.spawn(ctx, member)
	s.sendFollow(ctx)
	ctx.Send(s.observer, sweepSoon{})
	s.views.changed()
	s.reconcileSoon(ctx)
}
