package actors

import "vspherepool/vsphere"

// verdictOf says what a machine's transition tells about the provisioning template: a launch that worked, one that vSphere refused,
// or a machine that was made and never got ready.
func verdictOf(t transition, o outcome) launchOutcome {
	message := o.reason
	if o.err != nil {
		message = o.err.Error()
	}
	switch {
	case t.to == running:
		return launchOutcome{verdict: launchSucceeded}
	case t.to == rejected, t.from == verifying && t.to == released, t.from == starting && (o.on == opFailed || o.on == opRefused):
		return launchOutcome{launchFailed, vsphere.KindOf(o.err), message}
	case t.from == booting && (o.on == deadlinePassed || o.on == seenOff || o.on == seenGone):
		return launchOutcome{bootFailed, vsphere.Unknown, message}
	default:
		return launchOutcome{}
	}
}
