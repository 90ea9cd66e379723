package actors

import (
	"context"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

// rebuild finds the members by their marks: the journal is new, or was lost. Clones of the template that run now are waited for first,
// for they may be an earlier life's; surveyed goes on. What cannot be done now is tried again after the next sweep.
func (s *supervisor) rebuild(ctx actor.Context) {
	if s.surveying || s.unwritable != nil || s.inDoubt() {
		return
	}
	s.surveying = true
	provider := s.provider
	s.ops.start(ctx, blockingCall{
		timeout:     cloneCall,
		abandonable: true,
		run: func(c context.Context) any {
			vms, err := survey(c, provider)
			return surveyed{provider, vms, err}
		},
		failed: func(err error) any { return surveyed{provider: provider, err: err} },
	})
}

// inDoubt says whether a machine is on record whose VM was not there just now: the next sweep proves it gone. The records of a journal
// that was repaired may be older than what happened, and before that is known nobody is to be taken for one too many.
func (s *supervisor) inDoubt() bool {
	for _, seat := range s.seats {
		if seat.missing > 0 && seat.rec.live() {
			return true
		}
	}
	return false
}

func survey(ctx context.Context, p Provider) ([]vsphere.VM, error) {
	if source := p.Site().Source; source != "" {
		if err := settleClones(ctx, p, source); err != nil {
			return nil, err
		}
	}
	return p.Survey(ctx)
}

// surveyed makes members of all VMs that are provably the pool's.
func (s *supervisor) surveyed(ctx actor.Context, f surveyed) {
	s.surveying = false
	switch {
	case f.provider != s.provider:
		return // that was another vCenter, or another folder; the next sweep asks again
	case f.err != nil:
		s.Log.Warn("members cannot be looked for yet", "pool", s.config.Name, "err", f.err)
		return
	}
	var step spawnStep
	for _, vm := range f.vms {
		step.ids = append(step.ids, s.adopt(vm)...)
	}
	s.warnOfOthers(f.vms)
	unread, vCenter, epoch := s.sight.unread, s.provider.Site().VCenter, nextEpoch(f.vms)
	s.commit(ctx, func(p *PoolRecord) {
		p.Rebuilt, p.VCenter, p.Unread = true, vCenter, unread
		p.Writer.Epoch = max(p.Writer.Epoch, epoch)
		if p.Desired == nil {
			p.Desired = s.config.initialSize(s.countSize().Active)
		}
	}, rebuiltStep{step}, s.recordsOf(step.ids)...)
}

// rebuiltStep brings the members to life, and gives those that live already the signature in force.
type rebuiltStep struct{ members spawnStep }

func (st rebuiltStep) finish(s *supervisor, ctx actor.Context, err error) {
	st.members.finish(s, ctx, err)
	s.broadcast(ctx)
}

// adopt makes a seat for a VM of ours that has none.
func (s *supervisor) adopt(vm vsphere.VM) []vsphere.MachineID {
	id := vm.Mark.Machine
	if _, attaching := s.attaching[id]; attaching || s.seats[id] != nil {
		return nil
	}
	rec := adoptedRecord(vm, s.config.settings())
	rec.Region = s.provider.Site().Region
	s.seat(rec)
	s.Log.Info("member found by its mark", "pool", s.config.Name, "machine", id, "vm", vm.Name, "to", rec.Phase)
	return []vsphere.MachineID{id}
}

// unread are the VMs that vCenter could not tell about.
func (p panorama) unread() []vsphere.Ref {
	var refs []vsphere.Ref
	for ref, vm := range p.byRef {
		if !vm.Connected {
			refs = append(refs, ref)
		}
	}
	return refs
}

// adoptUnread takes a second look at the VMs of the folder that could not be read when the members were looked for.
func (s *supervisor) adoptUnread(ctx actor.Context, view panorama) {
	if !s.pool.Rebuilt || len(s.pool.Unread) == 0 || s.unwritable != nil {
		return
	}
	var step spawnStep
	var still []vsphere.Ref
	for _, ref := range s.pool.Unread {
		vm, there := view.byRef[ref]
		switch {
		case there && !vm.Connected:
			still = append(still, ref)
		case there && vm.Owned(s.config.Name):
			step.ids = append(step.ids, s.adopt(vm)...)
		}
	}
	if len(still) < len(s.pool.Unread) {
		s.commit(ctx, func(p *PoolRecord) { p.Unread = still }, step, s.recordsOf(step.ids)...)
	}
}

// resweepStep looks again soon: what is to be rebuilt is found after a sweep.
type resweepStep struct{}

func (resweepStep) finish(s *supervisor, ctx actor.Context, _ error) {
	ctx.Send(s.observer, sweepSoon{})
}

// initialSize is the desired size where nobody ever said one.
func (c Config) initialSize(active int) *int {
	if c.DesiredSize != nil {
		return c.DesiredSize
	}
	return &active
}
