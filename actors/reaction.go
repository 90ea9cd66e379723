package actors

import (
	"time"

	"vspherepool/vsphere"
)

// reaction is what the pool does about a kind of failure.
type reaction struct {
	// clone is how a clone goes on that failed so: looked for, asked for again later, under another name, or refused for good.
	clone event
	// again is the pause before the machine's step is tried again.
	again pauses
	// tries is how often in a row a clone or a power-on is tried before the machine is given up for another one. Zero: it is kept,
	// because another one would fare no better. What ends a machine is tried for ever.
	tries int
	// launches is the pause before the pool launches a machine again, one at a time at first. Zero: the failure says nothing about
	// other launches.
	launches pauses
}

// pauses grow from first to most, doubling.
type pauses struct{ first, most time.Duration }

// What several rows wait.
var (
	blip    = pauses{3 * time.Second, 5 * time.Minute}
	mending = pauses{15 * time.Second, 5 * time.Minute} // a person has to mend it, and should see soon that he has
	// What is short for a moment is there soon, what is short for long is not waited for often: kubernetes' cluster-autoscaler ends at
	// half an hour too.
	shortage = pauses{30 * time.Second, 30 * time.Minute}
	moments  = pauses{time.Second, time.Minute}
	locks    = pauses{5 * time.Second, time.Minute}
	minutes  = pauses{time.Minute, 5 * time.Minute}
	silence  = pauses{3 * time.Second, 30 * time.Second} // asking costs nothing, and machines shall not lag behind when vCenter is back
	none     = pauses{}
)

// reactions is the one place where kinds of failures become reactions. Which fault is of which kind is in vsphere.
var reactions = [...]reaction{
	// The outcome is open: it is looked at before anything is asked for again.
	vsphere.Unknown:     {outcomeLost, blip, 4, blip},
	vsphere.Unreachable: {outcomeLost, silence, 0, blip}, // an outage ends nothing; launches wait if it was none and the clone is not there
	vsphere.Cancelled:   {outcomeLost, blip, 3, blip},
	vsphere.HalfMade:    {outcomeLost, pauses{5 * time.Second, 5 * time.Second}, 7, blip},

	// A person has to mend it. Another machine would fare no better, so what is there is kept.
	vsphere.BadLogin:      {clonePostponed, pauses{15 * time.Second, 3 * time.Minute}, 0, none}, // the supervisor tells of it
	vsphere.Forbidden:     {opRefused, mending, 0, mending},
	vsphere.NotFound:      {opRefused, mending, 0, mending},
	vsphere.Licence:       {opRefused, shortage, 0, shortage},
	vsphere.Misconfigured: {opRefused, mending, 8, mending}, // once mended, only new machines are right

	// Another name helps.
	vsphere.NameTaken: {nameTaken, blip, 0, blip},
	vsphere.Leftover:  {nameTaken, blip, 0, blip},

	// Somebody is at work on the object, or was.
	vsphere.Busy:       {clonePostponed, moments, 20, moments},
	vsphere.Locked:     {clonePostponed, locks, 15, locks},
	vsphere.Conflict:   {clonePostponed, pauses{time.Second, 5 * time.Second}, 6, moments},
	vsphere.WrongState: {clonePostponed, moments, 6, blip},
	vsphere.NotOurs:    {opRefused, blip, 1, blip},

	// The platform lacks something. Powered-off machines wait for room about an hour, and some minutes for their host's return or HA.
	vsphere.Capacity:     {opRefused, shortage, 8, shortage},
	vsphere.Storage:      {opRefused, mending, 3, mending}, // another machine may find another datastore
	vsphere.Inaccessible: {clonePostponed, minutes, 0, minutes},
	vsphere.HostDown:     {clonePostponed, pauses{time.Minute, 3 * time.Minute}, 7, minutes},
	vsphere.TooMany:      {clonePostponed, mending, 0, mending},
}

// reactionTo is the reaction to a kind; what is no kind counts as Unknown.
func reactionTo(kind vsphere.Kind) reaction {
	if kind < 0 || int(kind) >= len(reactions) {
		kind = vsphere.Unknown
	}
	return reactions[kind]
}

// pausesIn are the pauses in a phase. Only launches wait for room: a step that looks for a machine, or takes one away, is tried again
// every minute at least.
func (r reaction) pausesIn(p phase) pauses {
	switch p {
	case requested, cloning, cloned, starting:
		return r.again
	default:
		return pauses{min(r.again.first, mending.first), min(r.again.most, time.Minute)}
	}
}

// exhausted says whether that many tries were enough.
func (r reaction) exhausted(tries int) bool { return r.tries > 0 && tries >= r.tries }

// after is the pause after that many failures in a row, with up to 25 % of jitter taken off; jitter is in [0, 1).
func (p pauses) after(failures int, jitter float64) time.Duration {
	d := p.first
	for i := 1; i < failures && d < p.most; i++ {
		d *= 2
	}
	d = min(d, p.most)
	return d - time.Duration(jitter*float64(d)/4)
}

// lastTry is what a failure means to a machine of which there were enough tries. Other steps have no last one: they look for what may
// exist, or take away what must not.
var lastTry = map[situation]event{
	{cloning, outcomeLost}: opRefused, {cloning, clonePostponed}: opRefused, {cloning, opFailed}: opRefused,
	{copying, outcomeLost}: opRefused, {starting, opFailed}: opRefused,
}

// surrender makes the last try's failure a final one. A protected machine is never given up.
func (o outcome) surrender(r record, tries int) outcome {
	kind := vsphere.KindOf(o.err)
	final, ends := lastTry[situation{r.Phase, o.on}]
	vanished := kind == vsphere.HalfMade && r.Phase == verifying
	if vanished { // and protecting a machine does not bring its VM back
		final, ends = vmAbsent, true
	}
	if !ends || !r.evictable() && !vanished || !reactionTo(kind).exhausted(tries) {
		return o
	}
	o.on, o.reason = final, surrendered[r.Phase]
	return o
}

var surrendered = map[phase]string{
	cloning: "vSphere refused the clone", copying: "vSphere refused the clone", verifying: "the VM vanished",
	starting: "it could not be powered on",
}
