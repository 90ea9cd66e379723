package actors

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

// calls are the callers' requests that a machine has to serve, one at a time and in order.
type calls struct {
	queue   []call
	current call
	// running: its vSphere step is under way. claimed: that is done and the supervisor commits it. storing: the machine's record
	// with it is being written.
	running, claimed, storing bool
}

// occupied machines neither move on nor take observations in, or the commit would overwrite what they learned.
func (c calls) occupied() bool { return c.running || c.claimed }

// nextCall begins the next request that can be begun.
func (m *machineActor) nextCall(ctx actor.Context) {
	for len(m.calls.queue) > 0 && !m.calls.occupied() && !m.calls.storing {
		c := m.calls.queue[0]
		if err := m.refuse(c); err != nil {
			m.calls.queue = m.calls.queue[1:]
			m.reply(ctx, c, err)
			continue
		}
		if m.rec.Ref != "" && m.busy {
			return
		}
		m.calls.queue = m.calls.queue[1:]
		m.beginCall(ctx, c)
	}
}

func (m *machineActor) refuse(c call) error {
	switch {
	case time.Now().After(c.until):
		return refuse(Unavailable, "machine %s was busy with vSphere for too long; nothing was changed", m.rec.ID)
	case m.rec.Ref != "" && m.provider == nil:
		return refuse(Unavailable, "vCenter has not been reached yet; nothing was changed")
	}
	return c.admit(m.rec)
}

// beginCall does the request's vSphere step; before there is a VM there is none to do.
func (m *machineActor) beginCall(ctx actor.Context, c call) {
	m.calls.current = c
	if m.rec.Ref == "" || c.idle(m.rec) {
		m.callEnded(ctx, outcome{})
		return
	}
	m.calls.running = true
	change := c.change(m.rec, m.settings)
	m.start(ctx, operation{
		timeout: time.Until(c.until),
		run: func(j job, opCtx context.Context) outcome {
			return outcome{err: j.provider.Write(opCtx, j.own(), change)}
		},
	})
}

// callEnded goes on after the vSphere step: a machine that leaves is committed together with the desired size, by the supervisor.
func (m *machineActor) callEnded(ctx actor.Context, o outcome) {
	c := m.calls.current
	m.calls.running = false
	switch {
	case o.err != nil:
		m.reply(ctx, c, m.callFailure(o.err))
		if message := denied(o.err); message != "" {
			m.publish(ctx, launchOutcome{denied: message})
		}
	case c.leaves():
		m.calls.claimed = true
		ctx.Send(ctx.Parent(), claimed{gen: m.gen, call: c, rec: m.claimedRecord(c)})
	default:
		m.calls.storing, m.calls.current.before = true, m.rec.Status
		m.rec.Status = c.status(m.rec.Status)
		m.save(ctx)
		m.publish(ctx, launchOutcome{})
	}
}

func (m *machineActor) callFailure(err error) error {
	switch vsphere.KindOf(err) {
	case vsphere.NotFound, vsphere.NotOurs:
		return &Error{Kind: NotFound, Message: notMember(m.rec.ID).Error(), Err: err}
	default:
		return &Error{Kind: Unavailable, Message: "vSphere failed the request; nothing was changed", Err: err}
	}
}

// departure is the transition that a leaving machine's request makes.
func (c call) departure() outcome {
	if c.kind == detachCall {
		return outcome{on: releaseOrdered, reason: "detached by request"}
	}
	return outcome{on: retireRequested, reason: "terminated by request"}
}

func (m *machineActor) claimedRecord(c call) record {
	o := c.departure()
	to, _ := next(m.rec.Phase, o.on)
	return m.rec.enter(to, o, time.Now())
}

// settleClaim moves on after the commit. If that failed, a machine of which vSphere has the word already moves on all the same.
func (m *machineActor) settleClaim(ctx actor.Context, err error) {
	if !m.calls.claimed {
		return
	}
	m.calls.claimed = false
	missed := m.missed
	m.missed = nil
	switch {
	case err == nil || m.rec.Ref != "":
		m.happen(ctx, m.calls.current.departure())
	case missed != nil:
		m.happen(ctx, m.judge(*missed))
	}
}

// replyStored answers the request whose record was being written.
func (m *machineActor) replyStored(ctx actor.Context, err error) {
	if !m.calls.storing {
		return
	}
	m.calls.storing = false
	if err != nil {
		err = &Error{Kind: Internal, Message: "the machine's record could not be written", Err: err}
	}
	m.reply(ctx, m.calls.current, err)
}

func (m *machineActor) reply(ctx actor.Context, c call, err error) {
	ctx.Send(ctx.Parent(), called{gen: m.gen, rec: m.rec, call: c, err: err})
}
