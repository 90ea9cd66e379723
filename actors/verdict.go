package actors

import (
	"cmp"

	"vspherepool/vsphere"
)

// failure is what is remembered of a machine's last one.
type failure struct {
	kind    vsphere.Kind
	message string
}

// verdictOf says what a machine's transition tells about the pool's surroundings: the template, vCenter's load, the account's privileges.
func verdictOf(t transition, o outcome, last failure) launchOutcome {
	v := templateVerdict(t, o, last)
	v.cloned, v.queued = t.on == cloneDone, o.queued
	kind := vsphere.KindOf(o.err)
	v.pressed = o.err != nil && phases[t.from].state.Allocated() && crowded(kind)
	v.denied = denied(o.err)
	return v
}

// denied is the text of an error for want of a privilege; empty for any other.
func denied(err error) string {
	if vsphere.KindOf(err) != vsphere.Forbidden {
		return ""
	}
	return err.Error()
}

// templateVerdict tells of the provisioning template: a launch that worked, one that vSphere refused or put off, or a machine that was
// made and never got ready. An outcome without words of its own goes by the machine's last failure.
func templateVerdict(t transition, o outcome, last failure) launchOutcome {
	last.message = cmp.Or(o.reason, last.message)
	if o.err != nil {
		last = failure{vsphere.KindOf(o.err), o.err.Error()}
	}
	on := situation{t.from, t.on}
	switch {
	case t.to == running:
		return launchOutcome{verdict: launchSucceeded}
	case neverReady[on]:
		return launchOutcome{verdict: bootFailed, message: last.message}
	case vsphere.KindOf(o.err) == vsphere.Unreachable, reactionTo(last.kind).launches == none: // it says nothing about the template
		return launchOutcome{}
	case t.to == rejected, t.on == clonePostponed && o.err != nil, last.message != "" && refusedLater[on]:
		return launchOutcome{verdict: launchFailed, cause: last.kind, message: last.message}
	default:
		return launchOutcome{}
	}
}

// refusedLater are launches that vSphere refused after the clone, neverReady machines that ended before they were ready.
var (
	refusedLater = map[situation]bool{
		{verifying, markLost}: true, {starting, opFailed}: true, {starting, opRefused}: true, {lookingUp, vmAbsent}: true,
	}
	neverReady = map[situation]bool{
		{booting, deadlinePassed}: true, {booting, customizationFailed}: true, {booting, seenOff}: true, {booting, seenGone}: true,
	}
)

// noAddress says what a guest lacks that has shown no address: Tools, which tell of addresses, or the address.
func noAddress(tools bool, networks string) string {
	if !tools {
		return "VMware Tools do not run in the guest: see its console, and that the template has them installed"
	}
	return "VMware Tools run but tell of no usable address: see DHCP and the VLAN of " + cmp.Or(networks, "the template's own port groups")
}
