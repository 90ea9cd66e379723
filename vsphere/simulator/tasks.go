package simulator

import (
	"context"
	"fmt"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// execution is what vcsim runs as a task.
type execution func(*simulator.Task) (types.AnyType, types.BaseMethodFault)

// PutObject notes the VMs that an operation makes.
func (g *gate) PutObject(_ *simulator.Context, obj mo.Reference) {
	vm, ok := obj.(*simulator.VirtualMachine)
	if !ok {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy != nil {
		g.busy.created = append(g.busy.created, vm)
	}
}

// RemoveObject does nothing.
func (g *gate) RemoveObject(*simulator.Context, types.ManagedObjectReference) {}

// UpdateObject sees each task when vcsim sets it running, in the goroutine that starts it and before it has one of its own, and when
// it is complete.
func (g *gate) UpdateObject(ctx *simulator.Context, obj mo.Reference, changes []types.PropertyChange) {
	task, ok := obj.(*mo.Task)
	if !ok {
		return
	}
	for _, c := range changes {
		if c.Name != "info.state" {
			continue
		}
		if fmt.Sprint(c.Val) == string(types.TaskInfoStateRunning) {
			g.started(ctx, task.Self)
			return
		}
		g.ended(task.Self)
	}
}

// started takes over a task: the first of an operation gets its own turn, one started within an operation is run at once, and any
// other (a test's own) can at least not panic.
func (g *gate) started(ctx *simulator.Context, ref types.ManagedObjectReference) {
	t, ok := g.model.Map().Get(ref).(*simulator.Task)
	if !ok || t.Execute == nil {
		return
	}
	op, own, seen := g.attribute(ctx, ref)
	switch {
	case seen: // a client repeated the state
	case op == nil:
		t.Execute = g.guarded(t.Execute)
	case own:
		g.postpone(op, t)
	case op.method == "PowerOnMultiVM_Task":
		g.branch(op, ctx, t)
	default:
		g.runWithin(op, ctx, t)
	}
}

// attribute finds the operation that a task belongs to, if any: own says that it is the operation's very task.
func (g *gate) attribute(ctx *simulator.Context, ref types.ManagedObjectReference) (op *operation, own, seen bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, seen = g.tasks[ref]
	op = g.ops[ctx]
	if op == nil {
		op = g.busy
	}
	own = op != nil && op.ctx == ctx && op.async && op.task == nil
	if !seen && (op == nil || own || op.method == "PowerOnMultiVM_Task") {
		g.tasks[ref] = nil
	}
	return op, own, seen
}

// ended counts the goroutine of a task that ran within an operation as gone.
func (g *gate) ended(ref types.ManagedObjectReference) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if op := g.tasks[ref]; op != nil {
		op.tails.Done()
	}
	delete(g.tasks, ref)
}

// postpone gives an operation's task a stand-in entity, because vcsim locks a task's entity for as long as it runs.
func (g *gate) postpone(op *operation, t *simulator.Task) {
	run := t.Execute
	op.task, op.entity = t, *t.Info.Entity
	room := waitingRoom(t.Self)
	t.Info.Entity = &room
	g.inFlight.Add(1)
	t.Execute = func(*simulator.Task) (types.AnyType, types.BaseMethodFault) { return g.perform(op, run) }
}

// branch makes a task that an operation only starts an operation of its own, with a turn of its own: a power-on of several VMs has
// ended when each of them has begun.
func (g *gate) branch(op *operation, ctx *simulator.Context, t *simulator.Task) {
	sub := &operation{
		method: "PowerOnVM_Task", req: &types.PowerOnVM_Task{This: *t.Info.Entity}, ctx: ctx, async: true, done: make(chan struct{}),
	}
	g.mu.Lock()
	g.ops[ctx] = sub
	g.mu.Unlock()
	op.branches = append(op.branches, sub)
	g.postpone(sub, t)
}

// showEntity gives the task its entity back, once vcsim has locked the stand-in.
func (g *gate) showEntity(op *operation) {
	c := &simulator.Context{Context: context.Background(), Map: op.ctx.Map}
	entity := op.entity
	c.WithLock(op.task, func() { op.task.Info.Entity = &entity })
}

func waitingRoom(task types.ManagedObjectReference) types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "VspherepoolWaitingRoom", Value: task.Value}
}

// runWithin runs a task at once and completes it. Its goroutine, which vcsim starts regardless, waits until the operation is over,
// because it will write the same outcome again.
func (g *gate) runWithin(op *operation, ctx *simulator.Context, t *simulator.Task) {
	unlock := ctx.Map.AcquireLock(ctx, *t.Info.Entity)
	var res types.AnyType
	var f types.BaseMethodFault
	run := t.Execute
	if panicked := g.contain(t.Info.DescriptionId, func() { res, f = run(t) }); panicked != nil {
		res, f, op.dirty = nil, panicked, true
	}
	unlock()
	ctx.Update(t, outcome(res, f))
	g.mu.Lock()
	g.tasks[t.Self] = op
	op.tails.Add(1)
	g.mu.Unlock()
	t.Execute = func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		<-op.done
		return res, f
	}
}

// outcome is what vcsim writes into a task at its end.
func outcome(res types.AnyType, f types.BaseMethodFault) []types.PropertyChange {
	state := types.TaskInfoStateSuccess
	var fault any
	if f != nil {
		state = types.TaskInfoStateError
		fault = types.LocalizedMethodFault{Fault: f, LocalizedMessage: fmt.Sprintf("%T", f)}
	}
	return []types.PropertyChange{
		{Name: "info.completeTime", Val: time.Now()},
		{Name: "info.state", Val: state},
		{Name: "info.result", Val: res},
		{Name: "info.error", Val: fault},
	}
}
