package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

// sight is what the supervisor knows about its knowledge of vSphere.
type sight struct {
	// observed is when the last complete view was taken; zero: never in this process's life.
	observed time.Time
	// sweeps counts the complete views.
	sweeps int
	// outage says why vSphere cannot be read; empty: it can.
	outage string
	// misfit says that the configuration is the reason.
	misfit bool
	// settled is when the time after an outage is over in which nothing is started or stopped.
	settled          time.Time
	orphans, foreign int
	// suspects are the orphans of the last view.
	suspects map[vsphere.Ref]bool
	// unread are the VMs of the folder that vCenter could not tell about, while members are being looked for.
	unread []vsphere.Ref
}

// settling is how long after an outage nothing is concluded: hosts and guests come back after vCenter does.
const settling = 5 * time.Second

// panorama is a complete view, indexed.
type panorama struct {
	at    time.Time
	byRef map[vsphere.Ref]vsphere.VM
	// own are the VMs that are provably the pool's, by machine.
	own map[vsphere.MachineID]vsphere.VM
	// asked are the references that were looked up by themselves.
	asked map[vsphere.Ref]bool
}

func newPanorama(f swept, pool string) panorama {
	p := panorama{f.inventory.At, map[vsphere.Ref]vsphere.VM{}, map[vsphere.MachineID]vsphere.VM{}, map[vsphere.Ref]bool{}}
	for _, ref := range f.asked {
		p.asked[ref] = true
	}
	for _, vm := range f.inventory.VMs {
		p.byRef[vm.Ref] = vm
		if vm.Owned(pool) {
			p.own[vm.Mark.Machine] = vm
		}
	}
	return p
}

// find is the machine's VM: the one that it knows, or, if that was registered anew, the one that proves to be it.
func (p panorama) find(r record) (vsphere.VM, bool) {
	if vm, ok := p.byRef[r.Ref]; ok {
		return vm, true
	}
	vm, ok := p.own[r.ID]
	return vm, ok
}

// swept takes in a complete view: the truth.
func (s *supervisor) swept(ctx actor.Context, f swept) {
	if s.sight.outage != "" {
		s.Log.Info("vSphere can be read again", "pool", s.config.Name)
		s.sight.outage, s.sight.settled = "", time.Now().Add(settling)
	}
	s.sight.observed = f.inventory.At
	s.sight.sweeps++
	view := newPanorama(f, s.config.Name)
	doubt := false
	for _, seat := range s.seats {
		doubt = s.confront(ctx, seat, view) || doubt
	}
	s.countStrangers(view)
	if !s.pool.Rebuilt {
		s.sight.unread = view.unread()
		s.rebuild(ctx)
	}
	s.adoptUnread(ctx, view)
	if doubt {
		s.sendFollow(ctx)
		ctx.Send(s.observer, sweepSoon{})
	}
	s.views.changed()
	s.answerWaiting(ctx)
	s.reconcileSoon(ctx)
}

// confront shows a member what the view has of it. A member whose VM is not there is missing; it is gone only when the next view,
// which looks its reference up by itself, does not have it either. The result asks for that next view.
func (s *supervisor) confront(ctx actor.Context, seat *seat, view panorama) (doubt bool) {
	if seat.pid == nil || unsettled(seat.rec.Phase) {
		return false
	}
	vm, there := view.find(seat.rec)
	switch {
	case there:
		seat.missing = 0
		ctx.Send(seat.pid, observed{view.at, vm})
	case seat.rec.Ref == "" || !seat.rec.live():
	case seat.missing > 0 && view.asked[seat.rec.Ref]:
		ctx.Send(seat.pid, gone{view.at})
	default:
		seat.missing++
		seat.elsewhere = true
		return true
	}
	return false
}

// unsettled machines have a clone under way: whatever the view has of it is left alone until the task has ended.
func unsettled(p phase) bool {
	return phases[p].holds == creates || p == requested || p == cancelled
}

// countStrangers reports, and only reports, VMs in the pool's folder that are no members. An orphan counts when it is seen twice: a VM
// that is just being destroyed looks like one.
func (s *supervisor) countStrangers(view panorama) {
	s.sight.orphans, s.sight.foreign = 0, 0
	if !s.pool.Rebuilt {
		return // they are about to become members
	}
	members := map[vsphere.Ref]bool{}
	for _, seat := range s.seats {
		members[seat.rec.Ref] = seat.rec.live()
	}
	suspects := map[vsphere.Ref]bool{}
	for ref, vm := range view.byRef {
		switch {
		case members[ref] || (s.provider != nil && ref == s.provider.Site().Source):
		case !vm.Owned(s.config.Name):
			s.sight.foreign++
		case s.astray(vm):
			suspects[ref] = true
			if s.sight.suspects[ref] {
				s.sight.orphans++
			}
		}
	}
	s.sight.suspects = suspects
}

// astray says whether a VM of ours belongs to no member, or is a second one of a member.
func (s *supervisor) astray(vm vsphere.VM) bool {
	seat := s.seats[ownerOf(vm)]
	return seat == nil || !unsettled(seat.rec.Phase)
}

func ownerOf(vm vsphere.VM) vsphere.MachineID {
	if vm.Mark == nil {
		return ""
	}
	return vm.Mark.Machine
}

// sweepFailed notes that vSphere cannot be read: nothing is concluded, nothing is started or stopped.
func (s *supervisor) sweepFailed(ctx actor.Context, f sweepFailed) {
	s.lostSight(ctx, f.err)
	s.resolveAnew(ctx, vsphere.KindOf(f.err))
}

func (s *supervisor) lostSight(ctx actor.Context, err error) {
	if s.sight.outage == "" {
		s.Log.Warn("vSphere cannot be read; the pool waits", "pool", s.config.Name, "err", err)
	}
	s.sight.outage, s.sight.misfit = err.Error(), misfit(err)
	s.answerWaiting(ctx)
}

// misfit says whether an error is the configuration's fault rather than vCenter's.
func misfit(err error) bool {
	switch vsphere.KindOf(err) {
	case vsphere.Misconfigured, vsphere.BadLogin, vsphere.Forbidden, vsphere.NotFound:
		return true
	default:
		return false
	}
}

// noticed passes on what was read between sweeps.
func (s *supervisor) noticed(ctx actor.Context, f noticed) {
	byRef := map[vsphere.Ref]*seat{}
	for _, seat := range s.seats {
		byRef[seat.rec.Ref] = seat
	}
	for _, vm := range f.vms {
		if seat := byRef[vm.Ref]; seat != nil && seat.pid != nil && !unsettled(seat.rec.Phase) {
			ctx.Send(seat.pid, observed{f.at, vm})
		}
	}
}

// sendFollow tells the observer what to look at more closely.
func (s *supervisor) sendFollow(ctx actor.Context) {
	f := follow{members: map[vsphere.Ref]bool{}}
	for _, seat := range s.seats {
		ref := seat.rec.Ref
		if ref == "" || !seat.rec.live() {
			continue
		}
		f.members[ref] = true
		if seat.elsewhere {
			f.elsewhere = append(f.elsewhere, ref)
		}
		if p := seat.rec.Phase; p == booting || p == draining || (seat.rec.CPUs == 0 && !unsettled(p)) {
			f.urgent = append(f.urgent, ref)
		}
	}
	ctx.Send(s.observer, f)
}

func (s *supervisor) spawnObserver(ctx actor.Context) {
	ops, log := s.ops, s.Log
	s.observer = ctx.Spawn(actor.PropsFromProducer(func() actor.Actor { return &observer{ops: ops, log: log} }))
}

func (s *supervisor) startWatching(ctx actor.Context) {
	if s.provider != nil {
		s.sendFollow(ctx)
		ctx.Send(s.observer, watch{s.provider, s.config.PoolFetch})
	}
}

// frozen says why nothing may be started or stopped now; empty: all may.
func (s *supervisor) frozen() string {
	switch {
	case s.draining:
		return "the server is shutting down"
	case !s.pool.Started:
		return "the pool is stopped"
	case s.sight.outage != "":
		return "vSphere cannot be read: " + s.sight.outage
	case s.provider == nil || s.sight.observed.IsZero():
		return "vSphere has not been read yet"
	case !s.pool.Rebuilt || s.pool.Desired == nil:
		return "members are being looked for"
	case time.Now().Before(s.sight.settled):
		return "vSphere came back a moment ago"
	}
	return ""
}
