package actors

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

// observer is the actor that watches vSphere for one pool. The sweep is the truth: a complete reading, level-triggered. The glance
// between sweeps is for speed only: events name VMs to read at once, and machines that somebody waits for are read each time.
type observer struct {
	ops *operations
	log *slog.Logger

	provider Provider
	fetch    PoolFetch
	// gen makes timers and results of an earlier provider void.
	gen int

	follow   follow
	sweeping bool
	again    bool
	failures int
	glancing bool
	// unanswered says that vCenter did not answer the last glance.
	unanswered bool
	boots      boots
	// glancedAt is when the last glance ended, hintedAt when events were last asked for, nextGlance when the glance timer fires.
	glancedAt, hintedAt, nextGlance time.Time

	// nextSweep is when the sweep timer fires; zero: it is not running.
	nextSweep             time.Time
	stopSweep, stopGlance func()
}

const (
	sweepTimeout  = 30 * time.Second
	glanceTimeout = 10 * time.Second
	// soon is the pause before a sweep that confirms a doubt.
	soon = 100 * time.Millisecond
	// idleShare bounds the sweeps' share of the time: a sweep that takes long, because the pool is large, is made less often.
	idleShare = 50
)

// Receive implements actor.Actor.
func (o *observer) Receive(ctx actor.Context) {
	switch message := ctx.Message().(type) {
	case *actor.Started:
		o.stopSweep, o.stopGlance = func() {}, func() {}
	case *actor.Stopping:
		o.stopTimers()
	case observerCommand:
		o.handle(ctx, message)
	}
}

func (o *observer) handle(ctx actor.Context, command observerCommand) {
	switch c := command.(type) {
	case watch:
		o.begin(ctx, c)
	case follow:
		o.heed(ctx, c)
	case sweepSoon:
		o.sweepAfter(ctx, soon)
	case sweepDue:
		o.sweep(ctx, c)
	case sweepDone:
		o.swept(ctx, c)
	case glanceDue:
		o.glance(ctx, c)
	case glanceDone:
		o.glanced(ctx, c)
	}
}

func (o *observer) begin(ctx actor.Context, w watch) {
	o.stopTimers()
	o.gen++
	o.provider, o.fetch = w.provider, w.fetch
	o.sweeping, o.again, o.glancing, o.failures = false, false, false, 0
	o.glancedAt = time.Now()
	o.sweepAfter(ctx, 0)
	o.armGlance(ctx)
}

func (o *observer) stopTimers() {
	o.stopSweep()
	o.stopGlance()
	o.nextSweep = time.Time{}
}

// sweepAfter makes the next sweep come no later than after d.
func (o *observer) sweepAfter(ctx actor.Context, d time.Duration) {
	if o.provider == nil {
		return
	}
	if o.sweeping {
		o.again = true
		return
	}
	at := time.Now().Add(d)
	if !o.nextSweep.IsZero() && !at.Before(o.nextSweep) {
		return
	}
	o.stopSweep()
	o.nextSweep = at
	o.stopSweep = after(ctx, d, sweepDue{o.gen})
}

// heed takes in what to look at more closely; machines that boot may make the next glance come sooner.
func (o *observer) heed(ctx actor.Context, f follow) {
	o.follow = f
	o.boots = o.boots.seen(f.booting, time.Now())
	if o.provider != nil && !o.glancing {
		o.armGlance(ctx)
	}
}

func (o *observer) armGlance(ctx actor.Context) {
	o.stopGlance()
	o.nextGlance = o.glancedAt.Add(o.boots.pause(time.Now(), o.fetch.EventInterval.Std()))
	o.stopGlance = after(ctx, time.Until(o.nextGlance), glanceDue{o.gen})
}

func (o *observer) sweep(ctx actor.Context, due sweepDue) {
	if due.gen != o.gen || o.sweeping {
		return
	}
	o.sweeping, o.nextSweep = true, time.Time{}
	gen, provider, elsewhere := o.gen, o.provider, slices.Clone(o.follow.elsewhere)
	o.ops.start(ctx, blockingCall{
		timeout:     sweepTimeout,
		abandonable: true,
		run: func(c context.Context) any {
			begun := time.Now()
			inventory, err := provider.Sweep(c, elsewhere)
			return sweepDone{gen: gen, inventory: inventory, asked: elsewhere, took: time.Since(begun), err: err}
		},
		failed: func(err error) any { return sweepDone{gen: gen, err: err} },
	})
}

func (o *observer) swept(ctx actor.Context, done sweepDone) {
	if done.gen != o.gen {
		return
	}
	o.sweeping = false
	if done.err != nil {
		o.failures++
		ctx.Send(ctx.Parent(), sweepFailed{done.err})
		o.sweepAfter(ctx, o.retryPause())
		return
	}
	o.failures = 0
	ctx.Send(ctx.Parent(), swept{done.inventory, done.asked})
	pause := o.pauseAfter(done.took)
	if o.again {
		o.again, pause = false, soon
	}
	o.sweepAfter(ctx, pause)
}

// pauseAfter is the time between sweeps: as configured, or up to twice as long if a sweep takes long, so that no view gets too old to
// act on (see [supervisor.staleAfter]), nor to read: one sweep may as well have been slow because of a passing trouble.
func (o *observer) pauseAfter(took time.Duration) time.Duration {
	refresh := o.fetch.RefreshInterval.Std()
	return max(refresh, min(idleShare*took, 2*refresh, o.fetch.ReachabilityTimeout.Std()/2))
}

// retryPause follows the configured retries and then goes on at the regular pace.
func (o *observer) retryPause() time.Duration {
	regular := o.fetch.RefreshInterval.Std()
	if o.failures > max(o.fetch.Retries.MaxRetries, 1) {
		return regular
	}
	return min(o.fetch.Retries.InitialBackoffDelay.Std()<<(o.failures-1), regular)
}

func (o *observer) glance(ctx actor.Context, due glanceDue) {
	now := time.Now()
	if due.gen != o.gen || o.glancing || now.Before(o.nextGlance) { // a timer that was stopped too late
		return
	}
	o.glancing = true
	look := look{provider: o.provider, follow: o.follow, events: now.Sub(o.hintedAt) >= o.fetch.EventInterval.Std(), log: o.log}
	if look.events {
		o.hintedAt = now
	}
	gen := o.gen
	o.ops.start(ctx, blockingCall{
		timeout:     glanceTimeout,
		abandonable: true,
		run: func(c context.Context) any {
			done := look.take(c)
			done.gen = gen
			return done
		},
		failed: func(err error) any { return glanceDone{gen: gen, err: err} },
	})
}

// look is one glance: what somebody waits for, and, if it is time for that, what events name.
type look struct {
	follow   follow
	provider Provider
	events   bool
	log      *slog.Logger
}

// take reads everything in one call; none if there is nothing to read. Without events it goes on.
func (l look) take(ctx context.Context) glanceDone {
	refs, err := l.hinted(ctx)
	refs = append(refs, l.follow.urgent...)
	slices.Sort(refs)
	refs = slices.Compact(refs)
	if len(refs) == 0 {
		return glanceDone{err: err}
	}
	at := time.Now()
	vms, absent, err := l.provider.Read(ctx, refs)
	return glanceDone{at: at, vms: vms, absent: absent, err: err}
}

// hinted are the members that something happened to.
func (l look) hinted(ctx context.Context) (refs []vsphere.Ref, err error) {
	if !l.events {
		return nil, nil
	}
	hints, err := l.provider.Hints(ctx)
	if err != nil {
		l.log.Debug("events cannot be read", "err", err)
	}
	for _, ref := range hints {
		if l.follow.members[ref] != "" {
			refs = append(refs, ref)
		}
	}
	return refs, err
}

// glanced passes on what was seen. What it means that vCenter did not answer a glance, or answers again after it did not, is for the sweep
// to tell that this asks for; a glance itself proves nothing.
func (o *observer) glanced(ctx actor.Context, done glanceDone) {
	if done.gen != o.gen {
		return
	}
	o.glancing, o.glancedAt = false, time.Now()
	o.armGlance(ctx)
	if len(done.vms)+len(done.absent) > 0 {
		ctx.Send(ctx.Parent(), noticed{done.at, done.vms, done.absent})
	}
	unanswered := vsphere.KindOf(done.err) == vsphere.Unreachable
	if unanswered != o.unanswered {
		o.sweepAfter(ctx, 0)
	}
	o.unanswered = unanswered
}
