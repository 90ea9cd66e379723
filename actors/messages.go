package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

// All messages of the package, as sealed sets: commands are imperative, facts past tense, queries nouns. Values only, but for
// the inquiry, which is a return address.

// supervisorQuery is what [Pool] asks the supervisor about how things stand: answering it changes nothing.
//
//sumtype:decl
type supervisorQuery interface{ supervisorQuery() }

type (
	// viewQuery is answered to the inquiry, the others with an answer.
	viewQuery   struct{ inquiry *inquiry }
	statusQuery struct{}
	// standingQuery is answered with a standing.
	standingQuery struct{}
	configQuery   struct{}
	freezeQuery   struct{}
	orphansQuery  struct{}
)

func (viewQuery) supervisorQuery()     {}
func (statusQuery) supervisorQuery()   {}
func (standingQuery) supervisorQuery() {}
func (configQuery) supervisorQuery()   {}
func (freezeQuery) supervisorQuery()   {}
func (orphansQuery) supervisorQuery()  {}

// supervisorCommand is what [Pool] asks of the supervisor; each one is answered with an answer.
//
//sumtype:decl
type supervisorCommand interface{ supervisorCommand() }

type (
	// readyQuery is answered once the first view, or its outage, is known.
	readyQuery struct{}

	resize      struct{ size int }
	freezePool  struct{ reason string }
	thawPool    struct{ takeOver bool }
	startPool   struct{}
	stopPool    struct{}
	configure   struct{ document []byte }
	attach      struct{ query string }
	callMachine struct {
		id   vsphere.MachineID
		call call
	}
	// drain stops all planning for good; answered at once.
	drain struct{}
)

func (readyQuery) supervisorCommand()  {}
func (resize) supervisorCommand()      {}
func (freezePool) supervisorCommand()  {}
func (thawPool) supervisorCommand()    {}
func (startPool) supervisorCommand()   {}
func (stopPool) supervisorCommand()    {}
func (configure) supervisorCommand()   {}
func (attach) supervisorCommand()      {}
func (callMachine) supervisorCommand() {}
func (drain) supervisorCommand()       {}

// answer is the supervisor's reply to a command.
type answer struct {
	value any
	err   error
}

// supervisorFact is what the supervisor is told by its machines, its observer, the recorder, and itself.
//
//sumtype:decl
type supervisorFact interface{ supervisorFact() }

type (
	// machineChanged: a machine's record is now this. declined: it has no use for the turn it was given, or cannot retire now.
	// From machines.
	machineChanged struct {
		gen       int
		rec       record
		notBefore time.Time
		outcome   launchOutcome
		declined  bool
	}
	// claimed: the first vSphere step of a terminate or detach is done; commit it. From machines.
	claimed struct {
		gen  int
		call call
		rec  record
	}
	// called: a call is over. From machines.
	called struct {
		gen  int
		rec  record
		call call
		err  error
	}
	// swept and noticed are observations, whole and partial; sweepFailed is none. From the observer.
	// asked are the references that the sweep looked up by themselves.
	swept struct {
		inventory vsphere.Inventory
		asked     []vsphere.Ref
	}
	sweepFailed struct{ err error }
	noticed     struct {
		at  time.Time
		vms []vsphere.VM
		// absent are members' VMs that vCenter does not know.
		absent []vsphere.Ref
	}
	// loaded and stored come from the recorder.
	loaded struct {
		state State
		err   error
	}
	// journalChanged: the journal cannot be written any more, or can be again (nil). From the recorder.
	journalChanged struct{ trouble error }
	stored         struct {
		pool  PoolRecord
		steps []step
		err   error
	}
	// connected, prepared, found and marked are ends of the supervisor's own operations.
	connected struct {
		gen      int
		provider Provider
		err      error
	}
	prepared struct {
		document []byte
		config   Config
		provider Provider
		err      error
		asker    *actor.PID
	}
	// begun is when somebody asked for the VM: what was read of it may be from before it became a member.
	found struct {
		query string
		begun time.Time
		vm    vsphere.VM
		err   error
		asker *actor.PID
	}
	marked struct {
		rec record
		err error
	}
	// examined is the end of an examination of vCenter, orphanSeen of a closer look at an orphan.
	examined struct {
		provider Provider
		findings []vsphere.Finding
		err      error
	}
	orphanSeen struct {
		vms []vsphere.VM
		err error
	}
	surveyed struct {
		provider Provider
		vms      []vsphere.VM
		err      error
	}
	// reconcile and reconnect are the supervisor's reminders to itself.
	reconcile struct{}
	wake      struct{ gen int }
	reconnect struct{ gen int }
	revive    struct{ id vsphere.MachineID }
)

func (machineChanged) supervisorFact() {}
func (claimed) supervisorFact()        {}
func (called) supervisorFact()         {}
func (swept) supervisorFact()          {}
func (sweepFailed) supervisorFact()    {}
func (noticed) supervisorFact()        {}
func (loaded) supervisorFact()         {}
func (stored) supervisorFact()         {}
func (journalChanged) supervisorFact() {}
func (connected) supervisorFact()      {}
func (prepared) supervisorFact()       {}
func (found) supervisorFact()          {}
func (marked) supervisorFact()         {}
func (surveyed) supervisorFact()       {}
func (examined) supervisorFact()       {}
func (orphanSeen) supervisorFact()     {}
func (reconcile) supervisorFact()      {}
func (reconnect) supervisorFact()      {}
func (wake) supervisorFact()           {}
func (revive) supervisorFact()         {}

// launchOutcome is what a change says about the template's health.
type launchOutcome struct {
	verdict verdict
	cause   vsphere.Kind
	message string
	// cloned says that a clone is done, queued how long vCenter let it wait; pressed that a step of a launch met a vCenter with too much
	// to do.
	cloned  bool
	queued  time.Duration
	pressed bool
	// denied is the error of a step for which a privilege is missing.
	denied string
}

type verdict int

const (
	noVerdict verdict = iota
	launchSucceeded
	launchFailed
	bootFailed
)

// machineCommand is what a machine actor is told by the supervisor, the recorder, and itself.
//
//sumtype:decl
type machineCommand interface{ machineCommand() }

type (
	// takeTurn: the budget that the machine waits for has room.
	takeTurn struct{}
	// retireNow: the planner decided that it goes.
	retireNow struct{ reason string }
	// perform: a caller's request concerning this machine; answered by called or claimed.
	perform struct{ call call }
	// committed: a claim is durable, or is not and the machine has to see to it itself.
	committed struct{ err error }
	// observed: vSphere shows this. gone: vSphere has proven not to have it.
	// The addresses are those that count; conflict says why some that the VM shows don't.
	observed struct {
		at       time.Time
		vm       vsphere.VM
		conflict string
		// frozen says that nothing is ended now for not getting ready: the time for that begins anew after the freeze.
		frozen bool
	}
	gone struct{ at time.Time }
	// use: work with this provider and these settings from now on.
	use struct {
		provider Provider
		settings settings
	}
	// opDone: the machine's own operation ended.
	opDone struct {
		op      opID
		outcome outcome
	}
	// saved: the machine's record number is durable, or could not be written.
	saved struct {
		number int
		err    error
	}
	// saveDue: the journal can be written again.
	saveDue    struct{}
	timerFired struct{ gen int }
)

func (takeTurn) machineCommand()   {}
func (retireNow) machineCommand()  {}
func (perform) machineCommand()    {}
func (committed) machineCommand()  {}
func (observed) machineCommand()   {}
func (gone) machineCommand()       {}
func (use) machineCommand()        {}
func (opDone) machineCommand()     {}
func (saved) machineCommand()      {}
func (saveDue) machineCommand()    {}
func (timerFired) machineCommand() {}

// observerCommand is what the observer is told by the supervisor and itself.
//
//sumtype:decl
type observerCommand interface{ observerCommand() }

type (
	// watch: follow this provider from now on.
	watch struct {
		provider Provider
		fetch    PoolFetch
	}
	// follow: the members outside the pool's folder, those to look at closely and those of them that boot, and all that events may be
	// about.
	follow struct {
		elsewhere []vsphere.Ref
		urgent    []vsphere.Ref
		booting   []vsphere.Ref
		members   map[vsphere.Ref]vsphere.MachineID // never written after it was sent
	}
	// sweepSoon: something is in doubt.
	sweepSoon struct{}

	sweepDone struct {
		gen       int
		inventory vsphere.Inventory
		asked     []vsphere.Ref
		took      time.Duration
		err       error
	}
	glanceDone struct {
		gen    int
		at     time.Time
		vms    []vsphere.VM
		absent []vsphere.Ref
		err    error
	}
	sweepDue  struct{ gen int }
	glanceDue struct{ gen int }
)

func (watch) observerCommand()      {}
func (follow) observerCommand()     {}
func (sweepSoon) observerCommand()  {}
func (sweepDone) observerCommand()  {}
func (glanceDone) observerCommand() {}
func (sweepDue) observerCommand()   {}
func (glanceDue) observerCommand()  {}

// recorderCommand is what the recorder is told.
//
//sumtype:decl
type recorderCommand interface{ recorderCommand() }

type (
	// write: make these changes durable together, then tell the sender what done says.
	write struct {
		changes []Change
		to      *actor.PID
		done    func(error) any
	}
	// load: tell the sender what is stored, after all writes before it.
	load struct{ to *actor.PID }
	// batchDone and loadDone: the work under way ended.
	batchDone struct{ err error }
	loadDone  struct {
		to     *actor.PID
		loaded loaded
	}
	// flush is answered when nothing is left to write.
	flush struct{}
	// writeOverdue and probe are the recorder's reminders to itself: a write takes too long, and it is time to try one again.
	writeOverdue struct{ batch int }
	probe        struct{}
)

func (write) recorderCommand()        {}
func (load) recorderCommand()         {}
func (batchDone) recorderCommand()    {}
func (loadDone) recorderCommand()     {}
func (flush) recorderCommand()        {}
func (writeOverdue) recorderCommand() {}
func (probe) recorderCommand()        {}
