package actors

import "fmt"

//go:generate go test -run ^TestLifecycleDiagramIsUpToDate$ . -update

// phase is where a machine's life stands. The API's six states are a coarser view of it: see phases.
type phase string

const (
	requested  phase = "requested"
	cloning    phase = "cloning"
	copying    phase = "copying"
	lookingUp  phase = "lookingUp"
	verifying  phase = "verifying"
	cloned     phase = "cloned"
	adopting   phase = "adopting"
	starting   phase = "starting"
	booting    phase = "booting"
	running    phase = "running"
	cancelled  phase = "cancelled"
	retiring   phase = "retiring"
	stopping   phase = "stopping"
	draining   phase = "draining"
	halting    phase = "halting"
	halted     phase = "halted"
	destroying phase = "destroying"
	terminated phase = "terminated"
	lost       phase = "lost"
	givenUp    phase = "givenUp"
	rejected   phase = "rejected"
	clearing   phase = "clearing"
	removing   phase = "removing"
	released   phase = "released"
	forgotten  phase = "forgotten"
)

// budget is a class of work that is rationed across the pool.
type budget int

const (
	free budget = iota
	creates
	powerOps
	deletes
	budgets int = iota
)

// phaseInfo is what a phase means to everybody else.
type phaseInfo struct {
	state MachineState
	// waits names the budget that the phase waits for a turn of, holds the one that it uses up.
	waits, holds budget
	// does is the operation that the phase performs against vSphere, as soon as its record is durable.
	does activity
	// resumes is the phase to go on from after a crash; empty: the same one.
	resumes phase
	about   string
}

// activity is an operation of a machine actor: see operations.go.
type activity string

const (
	doNothing  activity = ""
	doClone    activity = "clone"
	doAwait    activity = "await clone"
	doLookUp   activity = "look up"
	doVerify   activity = "verify"
	doAdopt    activity = "adopt"
	doPowerOn  activity = "power on"
	doShutdown activity = "shut down guest"
	doPowerOff activity = "power off"
	doDestroy  activity = "destroy"
	doRemove   activity = "remove leftover"
)

var phases = map[phase]phaseInfo{
	requested:  {state: Requested, waits: creates, about: "intent recorded, waiting for its turn"},
	cloning:    {state: Requested, holds: creates, does: doClone, resumes: lookingUp, about: "asking for the clone"},
	copying:    {state: Requested, holds: creates, does: doAwait, about: "clone task runs"},
	lookingUp:  {state: Requested, holds: creates, does: doLookUp, about: "outcome of the clone unknown, looking for its result"},
	verifying:  {state: Pending, does: doVerify, about: "cloned, checking uuid and mark"},
	cloned:     {state: Pending, waits: powerOps, about: "waiting for its turn to power on"},
	adopting:   {state: Pending, does: doAdopt, about: "found powered off with our mark, nothing else known"},
	starting:   {state: Pending, holds: powerOps, does: doPowerOn, resumes: cloned, about: "powering on"},
	booting:    {state: Pending, about: "on, waiting to get ready"},
	running:    {state: Running, about: "ready"},
	cancelled:  {state: Terminating, holds: creates, does: doLookUp, about: "terminated while being cloned; the result is to be destroyed"},
	retiring:   {state: Terminating, waits: powerOps, about: "waiting for its turn to stop"},
	stopping:   {state: Terminating, holds: powerOps, does: doShutdown, resumes: retiring, about: "asking the guest to shut down"},
	draining:   {state: Terminating, holds: powerOps, resumes: retiring, about: "guest shuts down"},
	halting:    {state: Terminating, holds: powerOps, does: doPowerOff, resumes: retiring, about: "cutting the power"},
	halted:     {state: Terminating, waits: deletes, about: "off, waiting for its turn to be destroyed"},
	destroying: {state: Terminating, holds: deletes, does: doDestroy, resumes: retiring, about: "destroying"},
	terminated: {state: Terminated, about: "destroyed and proven absent; listed for the retention period"},
	lost:       {state: Terminated, about: "gone without our doing; listed for the retention period"},
	givenUp:    {state: Terminated, about: "stopped from outside; listed for the retention period, then removed"},
	rejected:   {state: Rejected, about: "vSphere refused it; listed for the retention period"},
	clearing:   {state: Terminated, waits: deletes, about: "a VM is left of it, waiting for its turn to be removed"},
	removing:   {state: Terminated, holds: deletes, does: doRemove, resumes: clearing, about: "removing what is left of it"},
	released:   {state: Terminated, about: "not provably ours any more, or protected; the VM stays as it is"},
	forgotten:  {state: Terminated, about: "no record any more"},
}

// event is what can happen to a machine.
type event string

const (
	// From the supervisor.
	turnGranted     event = "turn granted"
	retireRequested event = "retire requested"
	releaseOrdered  event = "release ordered"
	// Outcomes of its own operations.
	cloneAccepted    event = "clone accepted"
	clonePostponed   event = "clone postponed"
	cloneDone        event = "clone done"
	nameTaken        event = "name taken"
	outcomeLost      event = "outcome lost"
	vmFound          event = "vm found"
	vmAbsent         event = "vm absent"
	vmVerified       event = "vm verified"
	adoptedFresh     event = "adopted fresh"
	adoptedStale     event = "adopted stale"
	adoptedProtected event = "adopted protected"
	powerOnDone      event = "power on done"
	guestAsked       event = "guest asked"
	guestDeaf        event = "guest deaf"
	powerOffDone     event = "power off done"
	destroyed        event = "destroyed"
	opRefused        event = "operation refused"
	markLost         event = "mark lost"
	opFailed         event = "operation failed"
	opStale          event = "vm on again"
	// From watching vSphere.
	seenReady   event = "seen ready"
	seenOn      event = "seen on"
	seenOff     event = "seen off"
	seenGone    event = "seen gone"
	seenUnowned event = "seen without our mark"

	customizationFailed event = "customization failed"
	// From its timer.
	deadlinePassed      event = "deadline passed"
	protectedAtDeadline event = "deadline passed while protected"
)

// transition is one row of the table: in from, on, go to.
type transition struct {
	from phase
	on   event
	to   phase
}

// transitions is the whole of what may happen to a machine. It dispatches (see next), and the diagram in lifecycle.md is generated
// from it. A pair without a row leaves the machine as it is.
var transitions = []transition{
	{requested, turnGranted, cloning},
	{requested, retireRequested, forgotten},

	{cloning, cloneAccepted, copying},
	{cloning, nameTaken, lookingUp},
	{cloning, outcomeLost, lookingUp},
	{cloning, opRefused, rejected},
	{cloning, clonePostponed, requested},
	{cloning, opFailed, lookingUp},
	{cloning, retireRequested, cancelled},

	{copying, cloneDone, verifying},
	{copying, nameTaken, lookingUp},
	{copying, outcomeLost, lookingUp},
	{copying, opRefused, rejected},
	{copying, opFailed, lookingUp},
	{copying, retireRequested, cancelled},

	{lookingUp, vmFound, verifying},
	{lookingUp, vmAbsent, requested},
	{lookingUp, opFailed, lookingUp},
	{lookingUp, retireRequested, cancelled},

	{verifying, vmVerified, cloned},
	{verifying, opFailed, verifying},
	{verifying, markLost, released},
	{verifying, vmAbsent, rejected},
	{verifying, retireRequested, retiring},

	{adopting, adoptedFresh, cloned},
	{adopting, adoptedStale, retiring},
	{adopting, adoptedProtected, givenUp},
	{adopting, vmAbsent, lost},
	{adopting, markLost, released},
	{adopting, opFailed, adopting},
	{adopting, retireRequested, retiring},
	{adopting, releaseOrdered, forgotten},

	{cloned, turnGranted, starting},
	{cloned, seenOn, booting},
	{cloned, seenReady, running},
	{cloned, seenGone, lost},
	{cloned, seenUnowned, released},
	{cloned, retireRequested, retiring},
	{cloned, releaseOrdered, forgotten},

	{starting, powerOnDone, booting},
	{starting, opFailed, cloned},
	{starting, opRefused, retiring},
	{starting, markLost, released},
	{starting, vmAbsent, lost},
	{starting, retireRequested, retiring},
	{starting, releaseOrdered, forgotten},

	{booting, seenReady, running},
	{booting, seenOff, givenUp},
	{booting, seenGone, lost},
	{booting, seenUnowned, released},
	{booting, deadlinePassed, retiring},
	{booting, customizationFailed, retiring},
	{booting, retireRequested, retiring},
	{booting, releaseOrdered, forgotten},

	{running, seenOff, givenUp},
	{running, seenGone, lost},
	{running, seenUnowned, released},
	{running, retireRequested, retiring},
	{running, releaseOrdered, forgotten},

	{cancelled, vmFound, retiring},
	{cancelled, vmAbsent, terminated},
	{cancelled, opFailed, cancelled},

	{retiring, turnGranted, stopping},
	{retiring, seenOff, halted},
	{retiring, seenGone, terminated},
	{retiring, seenUnowned, released},

	{stopping, guestAsked, draining},
	{stopping, guestDeaf, halting},
	{stopping, vmAbsent, terminated},
	{stopping, markLost, released},
	{stopping, opFailed, halting},

	{draining, seenOff, halted},
	{draining, seenGone, terminated},
	{draining, seenUnowned, released},
	{draining, deadlinePassed, halting},

	{halting, powerOffDone, halted},
	{halting, vmAbsent, terminated},
	{halting, markLost, released},
	{halting, opFailed, retiring},

	{halted, turnGranted, destroying},
	{halted, seenOn, retiring},
	{halted, seenReady, retiring},
	{halted, seenGone, terminated},
	{halted, seenUnowned, released},

	{destroying, destroyed, terminated},
	{destroying, markLost, released},
	{destroying, vmAbsent, terminated},
	{destroying, opStale, retiring},
	{destroying, opFailed, halted},

	{terminated, seenOn, clearing},
	{terminated, seenReady, clearing},
	{terminated, seenOff, clearing},
	{terminated, deadlinePassed, forgotten},

	{givenUp, seenGone, lost},
	{givenUp, seenUnowned, released},
	{givenUp, deadlinePassed, clearing},
	{givenUp, protectedAtDeadline, released},

	{rejected, seenOn, clearing},
	{rejected, seenReady, clearing},
	{rejected, seenOff, clearing},
	{rejected, deadlinePassed, forgotten},

	{clearing, turnGranted, removing},
	{clearing, seenGone, terminated},
	{clearing, seenUnowned, released},

	{removing, destroyed, terminated},
	{removing, vmAbsent, terminated},
	{removing, markLost, released},
	{removing, opFailed, clearing},

	{lost, deadlinePassed, forgotten},
	{released, deadlinePassed, forgotten},
}

type situation struct {
	in phase
	on event
}

var table = index(transitions)

func index(rows []transition) map[situation]phase {
	t := make(map[situation]phase, len(rows))
	for _, r := range rows {
		if _, twice := t[situation{r.from, r.on}]; twice {
			panic(fmt.Sprintf("two rows for %s on %q", r.from, r.on)) // a defect of the table, seen by the first test that runs
		}
		t[situation{r.from, r.on}] = r.to
	}
	return t
}

// next is where a machine goes on an event; ok is false if the event means nothing to the phase.
func next(in phase, on event) (to phase, ok bool) {
	to, ok = table[situation{in, on}]
	return to, ok
}

// resume is the phase that a machine goes on from when its actor starts over a record: whatever was in flight is looked at again.
func resume(in phase) phase {
	if r := phases[in].resumes; r != "" {
		return r
	}
	return in
}
