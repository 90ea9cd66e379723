package actors

import (
	"cmp"
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
	settled time.Time
	// strays are the VMs that carry the pool's mark without being members, foreign counts the others in its folder.
	strays  map[vsphere.Ref]stray
	foreign int
	// tenants are the machines that addresses belong to, made anew for each view; nil: they have to be made anew before they are used.
	tenants map[string]tenant
	// unread are the VMs of the folder that vCenter could not tell about, while members are being looked for.
	unread []vsphere.Ref
}

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
		s.sight.outage, s.sight.settled = "", time.Now().Add(s.config.Rails.SettlingTime.Std())
	}
	s.sight.sweeps++
	view := newPanorama(f, s.config.Name)
	if s.doubtful(ctx, view) {
		return
	}
	s.sight.observed = f.inventory.At
	s.watchWriters(ctx, f.inventory.VMs)
	s.sight.tenants = s.tenants()
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
	s.sign(ctx, view)
	s.retireOrphan(ctx)
	if s.unwell() {
		s.examineAgain(ctx, examinePause)
	}
	if doubt {
		s.sendFollow(ctx)
		ctx.Send(s.observer, sweepSoon{})
	}
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
		s.believe(seat)
		s.glimpse(seat, vm)
		s.show(ctx, seat, observed{at: view.at, vm: vm})
	case seat.rec.Ref == "" || !seat.rec.live():
	case seat.missing > 0 && view.asked[seat.rec.Ref]:
		ctx.Send(seat.pid, gone{view.at})
	default:
		s.miss(seat)
		return true
	}
	return false
}

// miss notes that a complete view lacks a member's VM.
func (s *supervisor) miss(seat *seat) {
	seat.missing++
	s.doubt(seat)
}

// wonder takes in that vCenter did not know members' VMs when it was asked for them. Those that are being destroyed are expected to go;
// what it means of others a complete view has to say.
func (s *supervisor) wonder(ctx actor.Context, absent []vsphere.Ref) {
	doubts := false
	for _, ref := range absent {
		seat := s.seats[s.vms()[ref]]
		if seat != nil && !unsettled(seat.rec.Phase) && !ending(seat.rec.Phase) {
			s.doubt(seat)
			doubts = true
		}
	}
	if doubts {
		s.sendFollow(ctx)
		ctx.Send(s.observer, sweepSoon{})
	}
}

// ending machines are having their VM destroyed.
func ending(p phase) bool { return phases[p].holds == deletes }

// doubt has readers told, and sweeps look for the VM by itself, until that is settled.
func (s *supervisor) doubt(seat *seat) {
	seat.doubted = true
	s.views.touch(seat.rec.ID)
	s.seek(seat)
}

// believe ends all doubt about a member's VM.
func (s *supervisor) believe(seat *seat) {
	seat.missing = 0
	if seat.doubted {
		seat.doubted = false
		s.views.touch(seat.rec.ID)
	}
}

// unsettled machines have a clone under way, or one that has just ended: whatever the view has of it is left alone until it is verified.
func unsettled(p phase) bool {
	return phases[p].holds == creates || p == requested || p == verifying
}

// sweepFailed notes that vSphere cannot be read: nothing is concluded, nothing is started or stopped.
func (s *supervisor) sweepFailed(ctx actor.Context, f sweepFailed) {
	s.lostSight(ctx, f.err)
	s.resolveAnew(ctx, vsphere.KindOf(f.err))
	s.reconcileSoon(ctx)
}

func (s *supervisor) lostSight(ctx actor.Context, err error) {
	if s.sight.outage == "" {
		s.Log.Warn("vSphere cannot be read; the pool waits", "pool", s.config.Name, "err", err)
		s.events.outage()
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
	if s.sight.tenants == nil {
		s.sight.tenants = s.tenants()
	}
	news := false
	for _, vm := range f.vms {
		seat := s.seats[s.vms()[vm.Ref]]
		if seat != nil && seat.pid != nil && !unsettled(seat.rec.Phase) {
			news = s.recognize(ctx, seat, observed{at: f.at, vm: vm}) || news
		}
	}
	s.wonder(ctx, f.absent)
	s.watchWriters(ctx, f.vms)
	if news { // what else is new to machines they report
		s.reconcileSoon(ctx)
	}
}

// recognize shows a member what a glance has of it, and says whether that is news to the supervisor itself.
func (s *supervisor) recognize(ctx actor.Context, seat *seat, o observed) (news bool) {
	news = s.glimpse(seat, o.vm)
	if o.vm.Connected && !seat.rec.owns(o.vm, s.config.Name) {
		ctx.Send(s.observer, sweepSoon{}) // that a member lost its mark is for a complete view to say
		return news
	}
	open := seat.addresses.open()
	s.show(ctx, seat, o)
	return news || open != seat.addresses.open()
}

// glimpse notes whether vCenter can tell about a member's VM, and says whether that is news.
func (s *supervisor) glimpse(seat *seat, vm vsphere.VM) bool {
	unknown := !vm.Connected
	if unknown == seat.unknown && seat.connection == vm.Connection {
		return false
	}
	if unknown && !seat.unknown {
		s.Log.Warn("vCenter cannot tell about a machine's VM", "pool", s.config.Name, "machine", seat.rec.ID, "vm", vm.Name,
			"to", cmp.Or(vm.Connection, "unreadable"))
	}
	seat.unknown, seat.connection = unknown, vm.Connection
	seat.condoned = seat.condoned && unknown
	s.views.touch(seat.rec.ID)
	return true
}

// sendFollow tells the observer what to look at more closely.
func (s *supervisor) sendFollow(ctx actor.Context) {
	f := follow{members: s.vms()}
	for _, seat := range s.followed {
		ref := seat.rec.Ref
		if seat.elsewhere {
			f.elsewhere = append(f.elsewhere, ref)
		}
		if seat.urgent() {
			f.urgent = append(f.urgent, ref)
		}
		if seat.rec.Phase == booting {
			f.booting = append(f.booting, ref)
		}
	}
	ctx.Send(s.observer, f)
}

// attend keeps the list of the seats to look at more closely, which is short as a rule.
func (s *supervisor) attend(seat *seat) {
	if seat.rec.Ref != "" && seat.rec.live() && (seat.elsewhere || seat.urgent()) {
		s.followed[seat.rec.ID] = seat
	} else {
		delete(s.followed, seat.rec.ID)
	}
}

// urgent says whether somebody waits for what the member's VM shows next.
func (s *seat) urgent() bool {
	switch p := s.rec.Phase; p {
	case booting, draining:
		return true
	default:
		return s.addresses.open() || s.rec.CPUs == 0 && !unsettled(p)
	}
}

// seek has sweeps look a member's VM up by itself from now on.
func (s *supervisor) seek(seat *seat) {
	seat.elsewhere = true
	s.attend(seat)
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
