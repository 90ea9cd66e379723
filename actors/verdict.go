package actors

import (
	"cmp"

	"vspherepool/vsphere"
)

// verdictOf says what a machine's transition tells about the provisioning template: a launch that worked, one that vSphere refused,
// or a machine that was made and never got ready.
// An outcome without words of its own goes by the machine's last error.
func verdictOf(t transition, o outcome, lastError string) launchOutcome {
	message := cmp.Or(o.reason, lastError)
	if o.err != nil {
		message = o.err.Error()
	}
	switch {
	case t.to == running:
		return launchOutcome{verdict: launchSucceeded}
	case vsphere.KindOf(o.err) == vsphere.Unreachable: // an outage says nothing about the template
		return launchOutcome{}
	case t.to == rejected, message != "" && refusedLater[situation{t.from, t.on}]:
		return launchOutcome{verdict: launchFailed, cause: vsphere.KindOf(o.err), message: message}
	case neverReady[situation{t.from, t.on}]:
		return launchOutcome{verdict: bootFailed, message: message}
	default:
		return launchOutcome{}
	}
}

// refusedLater are launches that vSphere refused after the clone, neverReady machines that ended before they were ready.
var (
	refusedLater = map[situation]bool{
		{verifying, markLost}: true, {starting, opFailed}: true, {starting, opRefused}: true, {lookingUp, vmAbsent}: true,
	}
	neverReady = map[situation]bool{{booting, deadlinePassed}: true, {booting, seenOff}: true, {booting, seenGone}: true}
)
