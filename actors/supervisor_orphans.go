package actors

import (
	"context"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

// countStrangers reports VMs in the pool's folder that are no members.
func (s *supervisor) countStrangers(view panorama) {
	s.sight.foreign = 0
	if !s.pool.Rebuilt {
		return // they are about to become members
	}
	members := map[vsphere.Ref]bool{s.provider.Site().Source: true}
	for _, seat := range s.seats {
		members[seat.rec.Ref] = seat.rec.live()
	}
	var astray []stray
	for ref, vm := range view.byRef {
		if members[ref] {
			continue
		}
		if !vm.Owned(s.config.Name) {
			s.sight.foreign++
			continue
		}
		if o, known := s.strayOf(vm, view.at); known {
			astray = append(astray, o)
		}
	}
	s.sight.strays = nextStrays(s.sight.strays, astray)
}

// strayOf is a VM of ours that is no member's; of a machine whose clone runs that is not known yet.
func (s *supervisor) strayOf(vm vsphere.VM, at time.Time) (stray, bool) {
	seat := s.seats[vm.Mark.Machine]
	if seat != nil && unsettled(seat.rec.Phase) {
		return stray{}, false
	}
	return stray{vm: vm, since: at, twin: seat != nil && seat.rec.live()}, true
}

// noteAbandoned counts a protected machine's VM that the pool gives up as astray at once: until the next sweep finds it, another machine
// would be made than the ceiling admits.
func (s *supervisor) noteAbandoned(before, after record) {
	if before.Phase != givenUp || before.evictable() || (after.Phase != released && after.Phase != forgotten) {
		return
	}
	if s.sight.strays == nil {
		s.sight.strays = map[vsphere.Ref]stray{}
	}
	s.sight.strays[after.Ref] = stray{vm: vsphere.VM{Ref: after.Ref, Name: after.Name}, since: time.Now()}
}

// established are the orphans that are worth telling of, oldest first.
func (s *supervisor) established() []stray {
	var out []stray
	for _, o := range s.sight.strays {
		if o.established() {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, stray.compare)
	return out
}

// strays are the orphans for readers.
func (s *supervisor) strays() any {
	now := time.Now()
	out := []Stray{}
	for _, o := range s.established() {
		_, reason := o.retirable(now, s.config.Rails)
		out = append(out, Stray{
			VM: string(o.vm.Ref), Name: o.vm.Name, Machine: o.vm.Mark.Machine, State: string(o.vm.Power),
			Created: o.vm.CreateDate, Seen: o.since, Reason: reason,
		})
	}
	return out
}

// retireOrphan has a closer look at one orphan that may be removed; orphanSeen goes on.
func (s *supervisor) retireOrphan(ctx actor.Context) {
	o, found := oldestStray(s.sight.strays, time.Now(), s.config.Rails)
	if !found || s.holdsStill() {
		return
	}
	provider := s.provider
	s.ops.start(ctx, blockingCall{
		timeout:     shortCall,
		abandonable: true,
		run: func(c context.Context) any {
			vms, _, err := provider.Read(c, []vsphere.Ref{o.vm.Ref})
			return orphanSeen{vms, err}
		},
		failed: func(err error) any { return orphanSeen{err: err} },
	})
}

// holdsStill says whether nothing may be removed that nobody asked to be removed.
func (s *supervisor) holdsStill() bool {
	in := s.planInput()
	return in.frozen != "" || in.still || in.crisis().holds()
}

// orphanSeen takes an orphan that proves to be old enough in again, as a machine that leaves: it ends the way that machines do.
func (s *supervisor) orphanSeen(ctx actor.Context, f orphanSeen) {
	if f.err != nil || len(f.vms) != 1 || s.holdsStill() {
		return
	}
	vm := f.vms[0]
	o := s.sight.strays[vm.Ref]
	o.vm = vm
	may, _ := o.retirable(time.Now(), s.config.Rails)
	age := time.Since(o.born())
	if !may || !vm.Owned(s.config.Name) || s.seats[vm.Mark.Machine] != nil || age < s.config.Rails.OrphanAge.Std() {
		return
	}
	mark := *vm.Mark
	mark.Retiring = true
	vm.Mark = &mark
	s.Log.Warn("orphan is removed", "pool", s.config.Name, "machine", mark.Machine, "vm", vm.Name, "dur", age.Round(time.Second))
	ids := s.adopt(vm)
	for _, id := range ids {
		rec := s.seats[id].rec
		rec.Reason = "it carried the pool's mark without being a member"
		s.note(s.seats[id], rec)
	}
	s.commit(ctx, nil, spawnStep{ids}, s.recordsOf(ids)...)
}

func (s *supervisor) orphanRail() Rail {
	established := s.established()
	r := Rail{Name: "orphans", Limit: 1, Value: len(established)}
	if len(established) > 0 {
		_, why := established[0].retirable(time.Now(), s.config.Rails)
		r.Holding = true
		r.Reason = number(len(established), "VM carries", "VMs carry") + " the pool's mark without being members; the first is " + why
		r.Lift = "see vspherepool orphans; attach them, remove them in vCenter, or set rails.retireOrphans"
	}
	return r
}
