package actors

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

// machineActor drives one machine's life. It is a shell: the transition table decides what happens, operations.go does it, and this
// file runs one operation at a time, each only after the record that calls for it is durable.
type machineActor struct {
	ops      *operations
	log      *slog.Logger
	recorder *actor.PID
	// gen tells this actor's facts from those of an earlier actor for the same machine.
	gen int

	provider Provider
	settings settings
	rec      record

	// running operation; its results count only while the phase it was started in lasts.
	op       opID
	busy     bool
	opPhase  phase
	cancelOp context.CancelFunc
	// todo is the phase's activity while it has not been started.
	todo activity
	// attempts counts failures of one kind in a row, trouble; notBefore ends the pause after the last one.
	attempts  int
	trouble   vsphere.Kind
	notBefore time.Time

	// written and durable number the record's versions.
	written, durable int

	calls calls
	// missed is how an operation ended while a claim was being committed.
	missed *outcome
	// orders are the supervisor's decisions that wait for a caller's request to be over.
	orders []outcome
	// since is the time of the last thing known first hand: observations from before it are history.
	since     time.Time
	lastSeen  time.Time
	bootUntil time.Time
	// tools says that VMware Tools ran when the machine was last seen.
	tools     bool
	timerGen  int
	stopTimer func()
}

// Receive implements actor.Actor.
func (m *machineActor) Receive(ctx actor.Context) {
	switch message := ctx.Message().(type) {
	case *actor.Started:
		m.begin(ctx)
	case *actor.Stopping:
		m.stopTimer()
		m.cancelOp()
	case machineCommand:
		m.handle(ctx, message)
		m.advance(ctx)
	}
}

func (m *machineActor) handle(ctx actor.Context, command machineCommand) {
	switch c := command.(type) {
	case takeTurn:
		m.told(ctx, outcome{on: turnGranted})
	case retireNow:
		m.told(ctx, outcome{on: retireRequested, reason: c.reason})
	case perform:
		m.calls.queue = append(m.calls.queue, c.call)
	case committed:
		m.settleClaim(ctx, c.err)
	case observed:
		m.observe(ctx, c)
	case gone:
		m.observeGone(ctx, c)
	case use:
		m.provider, m.settings = c.provider, c.settings
	case opDone:
		m.opEnded(ctx, c)
	case saved:
		m.recordSaved(ctx, c)
	case saveDue:
		m.saveUnsaved(ctx)
	case timerFired:
		m.timerFired(ctx, c)
	}
}

// begin goes on from the record.
func (m *machineActor) begin(ctx actor.Context) {
	m.stopTimer, m.cancelOp = func() {}, func() {}
	m.since = time.Now()
	m.enterPhase(ctx)
	m.advance(ctx)
}

// enterPhase arms what comes with the phase: its activity and its deadline.
func (m *machineActor) enterPhase(ctx actor.Context) {
	m.todo = phases[m.rec.Phase].does
	m.stopTimer()
	switch {
	case m.rec.Phase == booting:
		m.bootUntil = time.Now().Add(m.settings.BootTimeout)
	case m.rec.Phase == draining:
		m.arm(ctx, m.settings.ShutdownTimeout)
	case forgettable(m.rec.Phase):
		m.arm(ctx, time.Until(m.rec.Ended.Add(m.settings.Retention)))
	}
}

// forgettable phases end with the retention period.
func forgettable(p phase) bool {
	_, ends := next(p, deadlinePassed)
	return ends && !phases[p].state.lasting()
}

func (m *machineActor) arm(ctx actor.Context, d time.Duration) {
	m.stopTimer()
	m.timerGen++
	m.stopTimer = after(ctx, d, timerFired{m.timerGen})
}

// told does what the supervisor decided, or says that it has no use for it. While a caller's request is served it has to wait, and if that
// protects the machine meanwhile, the decision to retire it is void.
func (m *machineActor) told(ctx actor.Context, o outcome) {
	if m.calls.occupied() {
		m.orders = append(m.orders, o)
		return
	}
	protected := o.on == retireRequested && !m.rec.evictable()
	if protected || !m.happen(ctx, o) {
		m.decline(ctx)
	}
}

// obeyOrders does what had to wait.
func (m *machineActor) obeyOrders(ctx actor.Context) {
	for len(m.orders) > 0 && !m.calls.occupied() {
		o := m.orders[0]
		m.orders = m.orders[1:]
		m.told(ctx, o)
	}
}

// happen is the one place where a machine changes its phase.
func (m *machineActor) happen(ctx actor.Context, o outcome) bool {
	from := m.rec.Phase
	to, ok := next(from, o.on)
	if !ok || m.calls.occupied() {
		return false
	}
	m.rec = m.rec.enter(to, o, time.Now())
	m.fill(o)
	m.logTransition(from, o)
	m.since = time.Now()
	if m.busy && operationOf[phases[from].does].abandonable {
		m.cancelOp()
	}
	m.pace(o)
	m.enterPhase(ctx)
	m.retryLater(ctx, from)
	m.save(ctx)
	m.publish(ctx, verdictOf(transition{from, o.on, to}, o, m.last()))
	return true
}

// fill completes the record of a phase that was just entered.
func (m *machineActor) fill(o outcome) {
	if o.vm != nil {
		m.rec = m.rec.withVM(*o.vm)
	}
	switch {
	case m.rec.Phase == requested:
		m.rename()
	case m.rec.Phase == cloning && m.provider != nil:
		m.rec.Source = m.provider.Site().Source
	}
}

func (m *machineActor) rename() {
	if name, err := nameOf(m.settings.NameTemplate, m.settings.Pool, m.rec.ID, m.rec.Names); err == nil {
		m.rec.Name = name
	}
	m.rec.Task = ""
}

// pace keeps the pause after failures: it grows with each trouble in a row, and what neither is one nor overcomes one leaves it.
func (m *machineActor) pace(o outcome) {
	switch o.on {
	case opFailed, clonePostponed, outcomeLost, nameTaken:
		kind := vsphere.KindOf(o.err)
		m.attempts, m.trouble = m.tries(kind), kind
		m.notBefore = time.Now().Add(reactionTo(kind).pausesIn(m.rec.Phase).after(m.attempts, rand.Float64()))
	case turnGranted, cloneAccepted, vmAbsent:
	default:
		m.attempts, m.trouble, m.notBefore = 0, vsphere.Unknown, time.Time{}
	}
}

// tries is how often in a row the step was tried, this time included, and failed in this way.
func (m *machineActor) tries(kind vsphere.Kind) int {
	if kind != m.trouble {
		return 1
	}
	return m.attempts + 1
}

// retryLater postpones an activity that follows its own failure; the ones that wait for a turn are postponed by the planner.
func (m *machineActor) retryLater(ctx actor.Context, from phase) {
	if m.todo != doNothing && m.rec.Phase == from && m.attempts > 0 {
		m.todo = doNothing
		m.arm(ctx, time.Until(m.notBefore))
	}
}

func (m *machineActor) timerFired(ctx actor.Context, t timerFired) {
	does := phases[m.rec.Phase].does
	switch {
	case t.gen != m.timerGen:
	case does != doNothing:
		m.todo = does
	case m.rec.Phase == givenUp && !m.rec.evictable():
		m.happen(ctx, outcome{on: protectedAtDeadline, reason: "powered off from outside and protected; the VM was left alone"})
	default:
		m.happen(ctx, outcome{on: deadlinePassed})
	}
}

// advance starts what can be started now: a caller's request first, then the phase's activity.
func (m *machineActor) advance(ctx actor.Context) {
	m.obeyOrders(ctx)
	m.nextCall(ctx)
	if m.busy || m.calls.occupied() || m.provider == nil || m.durable < m.written || m.todo == doNothing {
		return
	}
	work := operationOf[m.todo]
	m.todo = doNothing
	m.start(ctx, work)
}

// start runs one operation; the actor has none running.
func (m *machineActor) start(ctx actor.Context, work operation) {
	m.op++
	m.busy, m.opPhase = true, m.rec.Phase
	op, j := m.op, job{m.provider, m.settings, m.rec}
	m.cancelOp = m.ops.start(ctx, blockingCall{
		timeout:     work.timeout,
		abandonable: work.abandonable,
		run:         func(c context.Context) any { return opDone{op, work.run(j, c)} },
		failed:      func(err error) any { return opDone{op, outcome{on: opFailed, err: err}} },
	})
}

func (m *machineActor) opEnded(ctx actor.Context, done opDone) {
	if done.op != m.op {
		return
	}
	m.busy = false
	m.since = time.Now()
	switch {
	case m.calls.running:
		m.callEnded(ctx, done.outcome)
	case m.calls.claimed || m.opPhase != m.rec.Phase:
		m.learn(ctx, done.outcome)
	default:
		m.happen(ctx, m.judge(done.outcome))
	}
}

// learn keeps what an operation brought to light after the machine had moved on: a clone that was started after all must be found.
// It does not save while a claim is being committed, or it would overwrite the claim.
func (m *machineActor) learn(ctx actor.Context, o outcome) {
	if m.calls.claimed {
		m.missed = &o
	}
	if o.task == "" {
		return
	}
	m.rec.Task = o.task
	if !m.calls.claimed {
		m.save(ctx)
	}
}

// judge turns a failure into a final one when it went on for long enough, and counts the names that were taken.
func (m *machineActor) judge(o outcome) outcome {
	if o.on == nameTaken {
		m.rec.Names++
	}
	return o.surrender(m.rec, m.tries(vsphere.KindOf(o.err)))
}

// last is the failure that the step before this one ended with, if it did.
func (m *machineActor) last() failure { return failure{m.trouble, m.rec.Error} }

func (m *machineActor) logTransition(from phase, o outcome) {
	args := []any{"pool", m.settings.Pool, "machine", m.rec.ID, "vm", m.rec.Name, "from", from, "to", m.rec.Phase, "reason", o.on}
	if o.reason != "" {
		args = append(args, "detail", o.reason)
	}
	if o.err != nil {
		args = append(args, "err", o.err)
	}
	level := slog.LevelInfo
	if m.rec.Phase == forgotten {
		level = slog.LevelDebug // it was never there, or has been told of already
	}
	m.log.Log(context.Background(), level, "machine transition", args...) //nolint:forbidigo // slog wants one; nothing reads it
}
