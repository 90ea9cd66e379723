package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

// observe takes in what vSphere shows of the machine.
func (m *machineActor) observe(ctx actor.Context, o observed) {
	if m.calls.occupied() || !o.at.After(m.since) {
		return
	}
	if o.vm.Connected && m.rec.owns(o.vm, m.settings.Pool) {
		m.takeOver(ctx, o)
	}
	m.tools = o.vm.ToolsRunning
	on := sighting(m.rec, o.vm, m.settings)
	if on == seenOn {
		on = m.booted(o)
	}
	m.happen(ctx, outcome{on: on, reason: m.reasonFor(on)})
}

// booted is what it means to a machine that is on that it is not ready.
func (m *machineActor) booted(o observed) event {
	switch {
	case m.bootOverdue(o):
		return deadlinePassed
	case m.rec.Phase == booting && m.expected() && m.settings.customizes() && o.vm.Customization == vsphere.CustomizationFailed:
		return customizationFailed
	default:
		return seenOn
	}
}

// bootOverdue says whether a boot has taken too long, by observations alone: time during which vSphere could not be seen is added.
// Only a boot that this pool began has a deadline, of a machine that it may take away: of a machine found or attached running, no
// address proves nothing.
func (m *machineActor) bootOverdue(o observed) bool {
	gap := o.at.Sub(m.lastSeen)
	switch {
	case o.frozen:
		m.bootUntil = o.at.Add(m.settings.BootTimeout)
	case !m.lastSeen.IsZero() && gap > m.settings.Blind:
		m.bootUntil = m.bootUntil.Add(gap)
	}
	m.lastSeen = o.at
	return m.rec.Phase == booting && m.expected() && o.at.After(m.bootUntil)
}

// expected says whether the machine has to get ready or go.
func (m *machineActor) expected() bool { return !m.rec.PoweredOn.IsZero() && m.rec.evictable() }

// takeOver notes changed properties; the phase is not touched.
func (m *machineActor) takeOver(ctx actor.Context, o observed) {
	now := m.rec.seen(o)
	if now.Conflict != "" && now.Conflict != m.rec.Conflict {
		m.log.Warn("machine shows another machine's address", "pool", m.settings.Pool, "machine", m.rec.ID, "vm", now.Name,
			"reason", now.Conflict)
	}
	if !now.looksLike(m.rec) {
		m.rec = now
		m.save(ctx)
		m.publish(ctx, launchOutcome{})
	}
}

func (m *machineActor) observeGone(ctx actor.Context, a gone) {
	if !m.calls.occupied() && a.at.After(m.since) {
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
		return markedRetiring
	case customizationFailed:
		return "the guest customization failed: " + m.customizationHint()
	case deadlinePassed:
		return "not ready within " + m.settings.BootTimeout.String() + " of its power-on: " + m.bootHint()
	default:
		return ""
	}
}

// bootHint says what a machine lacks that is not ready.
func (m *machineActor) bootHint() string {
	switch {
	case m.rec.Conflict != "":
		return m.rec.Conflict
	case m.settings.customizes() && (m.settings.Ready == vsphere.ReadyPoweredOn || len(m.rec.IPs) > 0):
		return "its guest customization did not succeed by then; " + m.customizationHint()
	default:
		return noAddress(m.tools, m.settings.Networks)
	}
}

func (m *machineActor) customizationHint() string {
	return "see the specification " + m.settings.Customization +
		" and the guest's log of it (/var/log/vmware-imc/toolsDeployPkg.log, or %WINDIR%\\Temp\\vmware-imc\\guestcust.log)"
}
