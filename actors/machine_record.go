package actors

import "github.com/asynkron/protoactor-go/actor"

// save writes the record; operations wait until it is durable.
func (m *machineActor) save(ctx actor.Context) {
	m.written++
	number, rec := m.written, m.rec
	change := Change{machine: &rec}
	if rec.Phase == forgotten {
		change = Change{forget: rec.ID}
	}
	ctx.Send(m.recorder, write{
		changes: []Change{change},
		to:      ctx.Self(),
		done:    func(err error) any { return saved{number, err} },
	})
}

func (m *machineActor) recordSaved(ctx actor.Context, s saved) {
	if s.err != nil {
		m.replyStored(ctx, s.err) // nothing new is done to the machine until the journal can be written again: see saveUnsaved
		return
	}
	m.durable = max(m.durable, s.number)
	if m.durable < m.written {
		return
	}
	m.replyStored(ctx, nil)
	if m.rec.Phase == forgotten {
		m.publish(ctx, launchOutcome{})
	}
}

// saveUnsaved writes what could not be written before.
func (m *machineActor) saveUnsaved(ctx actor.Context) {
	if m.durable < m.written && !m.calls.claimed {
		m.save(ctx)
	}
}

// publish tells the supervisor how the machine is; that it is forgotten only when nothing is stored of it any more.
func (m *machineActor) publish(ctx actor.Context, o launchOutcome) {
	if m.rec.Phase == forgotten && m.durable < m.written {
		return
	}
	ctx.Send(ctx.Parent(), machineChanged{gen: m.gen, rec: m.rec, notBefore: m.notBefore, outcome: o})
}

// decline tells the supervisor that what it said had no effect.
func (m *machineActor) decline(ctx actor.Context) {
	ctx.Send(ctx.Parent(), machineChanged{gen: m.gen, rec: m.rec, notBefore: m.notBefore, declined: true})
}
