package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vspherepool/vsphere"
)

// The operations of a machine: what each activity does against vSphere, as a sequence of steps that may all be repeated. They run
// outside the actor and see only values.

// outcome is how an operation ended: an event for the table, and what it brought to light.
type outcome struct {
	on     event
	ref    vsphere.Ref
	task   vsphere.Task
	vm     *vsphere.VM
	err    error
	reason string
	// queued is how long vCenter let a clone wait before it began.
	queued time.Duration
}

const (
	shortCall = 2 * time.Minute
	powerCall = 15 * time.Minute
	// cloneCall bounds a clone. The longest of healthy ones that neighbours report took a bit more than an hour (rakuten; 48 min in
	// cluster-api-provider-vsphere #488).
	cloneCall = 2 * time.Hour
)

// job is one operation's knowledge.
type job struct {
	provider Provider
	settings settings
	rec      record
}

// operation is an activity's work: what to run, for how long at most, and whether a shutdown may leave it because what it waits
// for is on record.
type operation struct {
	run         func(job, context.Context) outcome
	timeout     time.Duration
	abandonable bool
}

var operationOf = map[activity]operation{
	doClone:    {run: job.clone, timeout: shortCall},
	doAwait:    {run: job.await, timeout: cloneCall, abandonable: true},
	doLookUp:   {run: job.lookUp, timeout: cloneCall, abandonable: true},
	doVerify:   {run: job.verify, timeout: shortCall},
	doAdopt:    {run: job.adopt, timeout: shortCall},
	doPowerOn:  {run: job.powerOn, timeout: powerCall, abandonable: true},
	doShutdown: {run: job.shutDown, timeout: shortCall},
	doPowerOff: {run: job.powerOff, timeout: powerCall, abandonable: true},
	doDestroy:  {run: job.destroy, timeout: powerCall, abandonable: true},
	doRemove:   {run: job.remove, timeout: powerCall, abandonable: true},
}

// cloneTrouble tells a clone that was refused from one that may be asked for again, and from one whose outcome is unknown.
func cloneTrouble(err error) outcome {
	o := outcome{on: reactionTo(vsphere.KindOf(err)).clone, err: err}
	if o.on == opRefused {
		o.reason = surrendered[cloning]
	}
	return o
}

func (j job) clone(ctx context.Context) outcome {
	if j.provider.Site().Source != j.rec.Source { // the configuration changed since the record was written
		return outcome{on: clonePostponed}
	}
	task, err := j.provider.Clone(ctx, vsphere.CloneOrder{ID: j.rec.ID, Name: j.rec.Name, Status: j.rec.Status, Writer: j.settings.Writer})
	if err != nil {
		return cloneTrouble(err)
	}
	return outcome{on: cloneAccepted, task: task}
}

func (j job) await(ctx context.Context) outcome {
	made, err := j.provider.Await(ctx, j.rec.Task)
	switch {
	case err == nil:
		return outcome{on: cloneDone, ref: made.Ref, queued: made.Queued}
	case vsphere.KindOf(err) == vsphere.NotFound: // of the task, after a restart of vCenter
		return outcome{on: outcomeLost, err: &vsphere.Error{Op: "clone vm", Object: j.rec.Name, Kind: vsphere.Cancelled, Err: err}}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return j.hung(ctx, err)
	}
	o := cloneTrouble(err)
	if o.on == clonePostponed { // the task may leave something behind
		o.on = outcomeLost
	}
	return o
}

// hung ends a clone that takes longer than any does; what became of it is looked up.
func (j job) hung(ctx context.Context, err error) outcome {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shortCall)
	defer cancel()
	hint := fmt.Sprintf("%s ran for %s and was cancelled; see in vCenter what held it up", j.rec.Task, cloneCall)
	if refused := j.provider.Cancel(ctx, j.rec.Task); refused != nil {
		hint = fmt.Sprintf("%s has run for %s and cannot be cancelled (%s); see it in vCenter", j.rec.Task, cloneCall, refused)
	}
	return outcome{on: outcomeLost, err: &vsphere.Error{
		Op: "clone vm", Object: j.rec.Name, Kind: vsphere.Cancelled, Task: j.rec.Task, Err: err, Hint: hint,
	}}
}

// lookUp finds out what became of a clone: it waits for the task if that is known and for every clone of the template that may be
// the one, and only then takes the inventory's word.
func (j job) lookUp(ctx context.Context) outcome {
	if err := j.settleClones(ctx); err != nil {
		return outcome{on: opFailed, err: err}
	}
	vm, err := j.provider.Locate(ctx, j.rec.ID, j.rec.Name)
	if err == nil && !j.rec.owns(vm, j.settings.Pool) {
		err = j.claim(ctx, vm)
	}
	switch {
	case err == nil:
		return outcome{on: vmFound, ref: vm.Ref, vm: &vm}
	case vsphere.KindOf(err) == vsphere.NotFound:
		return outcome{on: vmAbsent}
	default:
		return outcome{on: opFailed, err: err}
	}
}

func (j job) settleClones(ctx context.Context) error {
	var known []vsphere.Task
	if j.rec.Task != "" {
		known = append(known, j.rec.Task)
	}
	return settleClones(ctx, j.provider, j.rec.Source, known...)
}

// settleClones waits until the known tasks have ended, and every clone of the source that runs now.
func settleClones(ctx context.Context, p Provider, source vsphere.Ref, known ...vsphere.Task) error {
	tasks, err := p.Clones(ctx, source)
	if err != nil {
		return err
	}
	for _, task := range append(tasks, known...) {
		if _, err := p.Await(ctx, task); vsphere.KindOf(err) == vsphere.Unreachable {
			return err
		}
	}
	return nil
}

// verify makes sure that the clone carries what it was ordered with, and mends what it doesn't.
func (j job) verify(ctx context.Context) outcome {
	vm, trouble := j.read(ctx)
	if vm == nil {
		return j.halfMade(trouble)
	}
	owned := j.rec.owns(*vm, j.settings.Pool)
	var err error
	switch {
	case !owned && !j.rec.ordered(*vm, j.settings.Pool):
		return outcome{on: markLost, reason: markLostReason}
	case !owned:
		err = j.claim(ctx, *vm)
	case vm.Status == nil || *vm.Status != j.rec.Status:
		err = j.provider.Write(ctx, j.own(), vsphere.Change{Status: &j.rec.Status})
	}
	if err != nil {
		return j.unlessOurs(err)
	}
	return outcome{on: vmVerified, vm: vm}
}

// halfMade doubts the absence of a VM whose clone has just ended.
func (j job) halfMade(o outcome) outcome {
	if o.on != vmAbsent {
		return o
	}
	return outcome{on: opFailed, err: &vsphere.Error{
		Op: "verify vm", Object: j.rec.Name, Kind: vsphere.HalfMade, Err: fmt.Errorf("its clone has ended, but %s is not there", j.rec.Ref),
	}}
}

// claim marks a clone of ours to which vCenter gave another instance UUID than it was ordered with.
func (j job) claim(ctx context.Context, vm vsphere.VM) error {
	mark := vsphere.Mark{Pool: j.settings.Pool, Machine: j.rec.ID, UUID: vm.InstanceUUID, Writer: j.settings.Writer}
	return j.provider.Claim(ctx, vm.Ref, vsphere.Change{Mark: &mark, Status: &j.rec.Status})
}

// adopt decides about a powered-off VM with our mark of which nothing else is known: a young one was being made, an old one was
// stopped.
func (j job) adopt(ctx context.Context) outcome {
	vm, trouble := j.read(ctx)
	switch {
	case vm == nil:
		return trouble
	case !j.rec.owns(*vm, j.settings.Pool):
		return outcome{on: markLost, reason: markLostReason}
	case vm.Power == vsphere.PoweredOn, time.Since(vm.CreateDate) < j.settings.BootTimeout:
		return outcome{on: adoptedFresh, vm: vm}
	case !j.rec.evictable():
		return outcome{on: adoptedProtected, vm: vm, reason: "found powered off"}
	default:
		return outcome{on: adoptedStale, vm: vm, reason: "found powered off"}
	}
}

func (j job) read(ctx context.Context) (*vsphere.VM, outcome) {
	found, gone, err := j.provider.Read(ctx, []vsphere.Ref{j.rec.Ref})
	switch {
	case err != nil:
		return nil, outcome{on: opFailed, err: err}
	case len(gone) > 0:
		return nil, outcome{on: vmAbsent, reason: "the VM vanished"}
	case len(found) == 0 || !found[0].Connected:
		return nil, outcome{on: opFailed, err: refuse(Unavailable, "vm %s cannot be read now", j.rec.Ref)}
	}
	return &found[0], outcome{}
}

func (j job) powerOn(ctx context.Context) outcome {
	if err := j.provider.PowerOn(ctx, j.own()); err != nil {
		return j.unlessOurs(err)
	}
	return outcome{on: powerOnDone}
}

func (j job) shutDown(ctx context.Context) outcome {
	if j.settings.ShutdownTimeout <= 0 {
		return outcome{on: guestDeaf}
	}
	err := j.provider.ShutdownGuest(ctx, j.own())
	if err == nil {
		return outcome{on: guestAsked}
	}
	if vsphere.KindOf(err) == vsphere.WrongState {
		return outcome{on: guestDeaf}
	}
	return j.unlessOurs(err)
}

func (j job) powerOff(ctx context.Context) outcome {
	if err := j.provider.PowerOff(ctx, j.own()); err != nil {
		return j.unlessOurs(err)
	}
	return outcome{on: powerOffDone}
}

func (j job) destroy(ctx context.Context) outcome {
	err := j.provider.Destroy(ctx, j.own())
	switch {
	case err == nil:
		return outcome{on: destroyed}
	case vsphere.KindOf(err) == vsphere.WrongState:
		return outcome{on: opStale, err: err}
	default:
		return j.unlessOurs(err)
	}
}

// remove takes away what is left of a machine that is no member any more.
func (j job) remove(ctx context.Context) outcome {
	off := j.powerOff(ctx)
	if off.on != powerOffDone {
		return off
	}
	gone := j.destroy(ctx)
	if gone.on == opStale {
		gone.on = opFailed
	}
	return gone
}

func (j job) own() vsphere.Ownership {
	return vsphere.Ownership{Ref: j.rec.Ref, Machine: j.rec.ID}
}

// unlessOurs turns the loss of the mark into a release, and everything else into a retry.
func (j job) unlessOurs(err error) outcome {
	switch vsphere.KindOf(err) {
	case vsphere.NotOurs:
		return outcome{on: markLost, err: err, reason: markLostReason}
	case vsphere.NotFound:
		return outcome{on: vmAbsent, err: err}
	default:
		return outcome{on: opFailed, err: err}
	}
}

const markLostReason = "the VM does not carry our mark any more; it was left alone"
