package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

// observe takes in what vSphere shows of the machine.
func (m *machineActor) observe(ctx actor.Context, o observed) {
	if m.calls.occupied() || o.at.Before(m.since) {
		return
	}
	if o.vm.Connected && m.rec.owns(o.vm, m.settings.Pool) {
		m.takeOver(ctx, o.vm)
	}
	on := sighting(m.rec, o.vm, m.settings)
	if on == seenOn && m.bootOverdue(o.at) {
		on = deadlinePassed
	}
	m.happen(ctx, outcome{on: on, reason: m.reasonFor(on)})
}

// bootOverdue says whether a boot has taken too long, by observations alone: time during which vSphere could not be seen is added.
// Only a boot that this pool began has a deadline, of a machine that it may take away: of a machine found or attached running, no
// address proves nothing.
func (m *machineActor) bootOverdue(at time.Time) bool {
	if gap := at.Sub(m.lastSeen); !m.lastSeen.IsZero() && gap > m.settings.Blind {
		m.bootUntil = m.bootUntil.Add(gap)
	}
	m.lastSeen = at
	ours := !m.rec.PoweredOn.IsZero() && m.rec.evictable()
	return m.rec.Phase == booting && ours && at.After(m.bootUntil)
}

// takeOver notes changed properties; the phase is not touched.
func (m *machineActor) takeOver(ctx actor.Context, vm vsphere.VM) {
	now := m.rec.withVM(vm)
	now.Ref = vm.Ref // another one if the VM was registered anew
	if !now.sameAs(m.rec) {
		m.rec = now
		m.save(ctx)
		m.publish(ctx, launchOutcome{})
	}
}

func (m *machineActor) observeGone(ctx actor.Context, a gone) {
	if !m.calls.occupied() && !a.at.Before(m.since) {
		m.happen(ctx, outcome{on: seenGone, reason: m.reasonFor(seenGone)})
	}
}

// reasonFor says in a sentence why an observation ends a machine's service; empty for those that don't.
func (m *machineActor) reasonFor(on event) string {
	if !m.rec.allocated() {
		return ""
	}
	switch on {
	case seenOff:
		return "powered off or suspended from outside"
	case seenGone:
		return "deleted from outside"
	case seenUnowned:
		return "its mark was removed from outside; the VM was left alone"
	case retireRequested:
		return "marked as retiring"
	case deadlinePassed:
		return "not ready within " + m.settings.BootTimeout.String() + " of its power-on: " +
			"see that the guest runs VMware Tools and gets an address"
	default:
		return ""
	}
}
