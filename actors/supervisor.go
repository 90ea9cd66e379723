package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

// supervisor is the actor that owns one pool: its desired size, its configuration and its members. It does no I/O and never waits:
// what takes time is done by operations, by the recorder, the observer and the machines, and comes back as a fact.
type supervisor struct {
	Options
	ops      *operations
	recorder *actor.PID
	observer *actor.PID
	events   *events

	// pool is what is durable; commits wait for the write under way to end.
	pool       PoolRecord
	commits    []pendingCommit
	committing bool
	// unwritable is why the journal cannot be written, since when; nil: it can.
	unwritable error
	failedAt   time.Time
	loaded     bool
	config     *Config
	provider   Provider
	// connection numbers attempts to connect, so that one for an older configuration is void.
	connection  int
	attempts    int
	connectedAt time.Time
	configuring bool
	surveying   bool
	// parted are the providers that the shutdown has to close.
	parted []Provider

	seats map[vsphere.MachineID]*seat
	// lineup are the seats' members; nil after one came or went.
	lineup []*member
	// directory is what vms keeps; nil after a VM came or went.
	directory map[vsphere.Ref]vsphere.MachineID
	// followed are the seats to look at more closely.
	followed map[vsphere.MachineID]*seat
	// intended are the new members whose intents are not written yet.
	intended []vsphere.MachineID
	// byPID finds the seat of a child.
	byPID map[string]vsphere.MachineID
	gens  int
	sight sight

	breaker breaker
	held    railMemory
	checkup checkup
	// rival is somebody else who keeps this pool, and outranks this writer; zero: nobody.
	rival vsphere.Writer
	// resizes counts changes of the desired size.
	resizes int
	// attaching are the VMs that are being made members, with what is left of an earlier membership.
	attaching map[vsphere.MachineID]attachment

	views   views
	waiting []*actor.PID
	// dismiss lets readers wait no more once this is over.
	dismiss func()
	// planned: a pass is on its way. rest: not before that.
	planned  bool
	rest     time.Time
	draining bool
	// leaving: this supervisor is ending, and so its children's ends are nothing to mend.
	leaving  bool
	wakeGen  int
	stopWake func()
}

// seat is a member and the actor that drives it; pid is nil until its first record is durable.
type seat struct {
	member
	pid *actor.PID
	gen int
	// connection is vCenter's word for how it can reach the VM.
	connection string
	// missing counts complete sweeps in a row without the VM; doubted says that the last look, of whatever kind, did not find it; elsewhere
	// asks sweeps to look it up by itself.
	missing            int
	doubted, elsewhere bool
	// addresses are what the VM shows of its guest's, shown is when the actor was last sent an observation.
	addresses addressing
	shown     time.Time
	revivals  int
	// open are the callers' requests that the actor has not answered.
	open []call
}

// Receive implements actor.Actor. Answers that readers hold are suspended while anything is done that could change them.
func (s *supervisor) Receive(ctx actor.Context) {
	if query, ok := ctx.Message().(supervisorQuery); ok {
		s.tell(ctx, query)
		return
	}
	s.views.suspend()
	s.receive(ctx)
	s.renew()
}

func (s *supervisor) receive(ctx actor.Context) {
	switch message := ctx.Message().(type) {
	case *actor.Started:
		s.begin(ctx)
	case *actor.Stopping:
		s.leave()
		s.dismiss()
	case *actor.Restarting:
		s.leave()
	case *actor.Terminated:
		s.childEnded(ctx, message.Who)
	case supervisorCommand:
		s.obey(ctx, message)
	case supervisorFact:
		if !s.leaving {
			s.learn(ctx, message)
		}
	}
}

func (s *supervisor) leave() {
	s.leaving = true
	s.stopWake()
}

func (s *supervisor) begin(ctx actor.Context) {
	s.stopWake = func() {}
	s.views = newViews(time.Now())
	s.spawnObserver(ctx)
	ctx.Send(s.recorder, load{ctx.Self()})
}

// tell answers a question; it changes nothing.
func (s *supervisor) tell(ctx actor.Context, query supervisorQuery) {
	switch q := query.(type) {
	case viewQuery:
		s.tellView(q.inquiry)
	case statusQuery:
		ctx.Respond(answer{value: s.standing().status})
	case standingQuery:
		ctx.Respond(answer{value: s.standing()})
	case configQuery:
		s.tellConfig(ctx)
	case freezeQuery:
		ctx.Respond(answer{value: s.standing().freeze})
	case orphansQuery:
		s.answer(ctx, s.strays)
	}
}

func (s *supervisor) obey(ctx actor.Context, command supervisorCommand) {
	switch c := command.(type) {
	case readyQuery:
		s.waiting = append(s.waiting, ctx.Sender())
		s.answerWaiting(ctx)
	case resize:
		s.resize(ctx, c)
	case freezePool:
		s.freezeByHand(ctx, c)
	case thawPool:
		s.thaw(ctx, c)
	case startPool:
		s.setStarted(ctx, true)
	case stopPool:
		s.setStarted(ctx, false)
	case configure:
		s.configure(ctx, c)
	case attach:
		s.attach(ctx, c)
	case callMachine:
		s.callMachine(ctx, c)
	case drain:
		s.draining = true
		ctx.Respond(answer{value: s.partings()})
	}
}

func (s *supervisor) learn(ctx actor.Context, fact supervisorFact) {
	if _, first := fact.(loaded); !s.loaded && !first {
		return // meant for an earlier incarnation
	}
	switch f := fact.(type) {
	case machineChanged:
		s.machineChanged(ctx, f)
	case claimed:
		s.machineClaimed(ctx, f)
	case called:
		s.machineCalled(ctx, f)
	case swept:
		s.swept(ctx, f)
	case sweepFailed:
		s.sweepFailed(ctx, f)
	case noticed:
		s.noticed(ctx, f)
	case loaded:
		s.journalLoaded(ctx, f)
	case journalChanged:
		s.journalChanged(ctx, f)
	case stored:
		s.stored(ctx, f)
	case connected:
		s.connected(ctx, f)
	case prepared:
		s.prepared(ctx, f)
	case found:
		s.attachFound(ctx, f)
	case marked:
		s.attachMarked(ctx, f)
	case surveyed:
		s.surveyed(ctx, f)
	case examined:
		s.examined(ctx, f)
	case orphanSeen:
		s.orphanSeen(ctx, f)
	case reconcile:
		s.reconcile(ctx)
	case wake:
		s.woken(ctx, f)
	case reconnect:
		s.reconnect(ctx, f)
	case revive:
		s.revive(ctx, f)
	}
}

// passShare bounds the passes' share of the supervisor's time: in a large pool, where a pass takes long, more changes share one.
const passShare = 10

// reconcileSoon asks for one pass after the messages that are waiting now: many changes, one plan.
func (s *supervisor) reconcileSoon(ctx actor.Context) {
	if s.planned {
		return
	}
	s.planned = true
	if pause := time.Until(s.rest); pause > 0 {
		after(ctx, pause, reconcile{})
		return
	}
	ctx.Send(ctx.Self(), reconcile{})
}

// reconcile is the pass: plan, carry out, follow.
func (s *supervisor) reconcile(ctx actor.Context) {
	s.planned = false
	if s.config == nil {
		return
	}
	begun := time.Now()
	defer func() { s.rest = begun.Add(passShare * time.Since(begun)) }()
	in := s.planInput()
	s.settleAccounts(in)
	in.owed, in.rate = s.held.owed, s.held.rate
	s.noteHolding(in)
	for _, d := range plan(in) {
		s.carryOut(ctx, in, d)
	}
	s.requestMachines(ctx)
	s.sendFollow(ctx)
	s.setWake(ctx, in.now, wakeAt(in))
}

func (s *supervisor) planInput() planInput {
	in := planInput{
		now:     time.Now(),
		limits:  s.config.Limits,
		rails:   s.config.Rails,
		policy:  s.config.ScaleIn.VictimSelectionPolicy,
		breaker: s.breaker,
		rate:    s.held.rate,
		churn:   s.held.churn,
		owed:    s.held.owed,
		strays:  len(s.sight.strays),
		frozen:  s.frozen(),
		still:   s.pool.Still != nil,
	}
	in.failures = recent(s.held.failures, in.now, in.rails.FreezeWindow.Std())
	in.desired, _ = s.desired()
	if s.provider != nil && s.provider.Site().Flaw != nil {
		in.limits.Creates = 0
	}
	in.members = s.members()
	return in.count()
}

func (s *supervisor) carryOut(ctx actor.Context, in planInput, d decision) {
	switch d.kind {
	case request:
		s.newSeat(d)
		return
	case replace:
		s.held.owed--
		s.held.churn = s.held.churn.spend(in.now, in.rails.churnLimit(in.desired), 1)
		s.newSeat(d)
		return
	case grant, retire:
	}
	seat := s.seats[d.machine]
	if seat.pid == nil {
		return
	}
	if d.kind == grant {
		seat.granted = true
		ctx.Send(seat.pid, takeTurn{})
		return
	}
	seat.leaving = true
	s.Log.Info("machine is to go", "pool", s.config.Name, "machine", d.machine, "reason", d.reason)
	ctx.Send(seat.pid, retireNow{d.reason})
}

// setWake makes the next pass come when time alone changes the plan, and at the update interval at the latest.
func (s *supervisor) setWake(ctx actor.Context, planned, at time.Time) {
	pause := s.config.PoolUpdate.UpdateInterval.Std()
	times := append([]time.Time{at, s.sight.settled}, s.failuresEnd()...)
	for _, t := range times {
		if t.After(planned) {
			pause = min(pause, time.Until(t))
		}
	}
	s.stopWake()
	s.wakeGen++
	s.stopWake = after(ctx, pause, wake{s.wakeGen})
}

func (s *supervisor) woken(ctx actor.Context, w wake) {
	if w.gen == s.wakeGen {
		s.reconcileSoon(ctx)
	}
}
