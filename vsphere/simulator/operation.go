package simulator

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// operation is one call that may change the inventory, with the task that does its work, if it has one. Its vcsim context is its
// own, so the locks left behind by a panic can be told from others'.
type operation struct {
	method string
	req    any
	ctx    *simulator.Context
	refuse types.BaseMethodFault // known when the call came in; the task answers it, undelayed
	delay  time.Duration
	name   takenName
	async  bool // the first task waits its turn and is not part of the call

	task   *simulator.Task
	entity types.ManagedObjectReference

	// Written only by whoever has the turn.
	dirty   bool // a panic was contained
	created []*simulator.VirtualMachine
	// branches are the operations that it started.
	branches []*operation

	done  chan struct{} // closed when the work has ended
	tails sync.WaitGroup
}

// takenName is a name in a folder that a clone in progress will use.
type takenName struct {
	folder types.ManagedObjectReference
	name   string
}

func (g *gate) newOperation(ctx *simulator.Context, m *simulator.Method) *operation {
	op := &operation{method: m.Name, req: m.Body, ctx: ctx, done: make(chan struct{})}
	op.async = strings.HasSuffix(m.Name, "_Task") || m.Name == "ShutdownGuest" || m.Name == "StandbyGuest"
	switch m.Name {
	case "CloneVM_Task":
		op.delay = g.delays.clone
	case "ShutdownGuest", "StandbyGuest":
		op.delay = g.delays.shutdown
	}
	return op
}

// change makes a call that may change the inventory. A task that it starts goes on in [gate.perform].
func (g *gate) change(ctx *simulator.Context, m *simulator.Method, target mo.Reference) soap.HasFault {
	op := g.newOperation(ctx, m)
	if !strings.HasSuffix(m.Name, "_Task") {
		if f := g.ask(m.Name, m.Body); f != nil {
			return refusal("", f)
		}
	}
	g.turn.Lock()
	defer g.turn.Unlock()
	g.begin(op)
	body := g.start(op, m, target)
	g.begin(nil)
	if op.task == nil {
		g.finish(op)
	}
	return body
}

// start checks and makes the call.
func (g *gate) start(op *operation, m *simulator.Method, target mo.Reference) (body soap.HasFault) {
	f := g.contain(m.Name, func() { body = g.admit(op, m, target) })
	if f == nil && body == nil {
		f = g.contain(m.Name, func() { body = invoke(op.ctx, m, target) })
	}
	if f != nil {
		op.dirty, op.refuse = true, f
		body = refusal("", f)
	}
	if op.task != nil {
		g.showEntity(op)
	}
	if op.dirty {
		g.cleanUp(op)
	}
	return body
}

// admit answers what must not get to vcsim, and nil for the rest.
func (g *gate) admit(op *operation, m *simulator.Method, target mo.Reference) soap.HasFault {
	var f types.BaseMethodFault
	op.ctx.WithLock(target, func() { f = check(op.ctx, m.Name, m.Body, target) })
	if f != nil {
		return refusal("", f)
	}
	switch r := m.Body.(type) {
	case *types.CloneVM_Task:
		op.refuse = g.reserve(op, r)
	case *types.AnswerVM:
		return reply(op.ctx, target, r)
	}
	return nil
}

// reserve takes the clone's name, or is the fault of a clone whose name is taken.
func (g *gate) reserve(op *operation, clone *types.CloneVM_Task) types.BaseMethodFault {
	folder, ok := op.ctx.Map.Get(clone.Folder).(*simulator.Folder)
	if !ok {
		return &types.InvalidFolder{Target: clone.Folder}
	}
	if e := op.ctx.Map.FindByName(clone.Name, folder.ChildEntity); e != nil {
		return &types.DuplicateName{Name: clone.Name, Object: e.Reference()}
	}
	name := takenName{folder: clone.Folder, name: clone.Name}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.names[name] {
		return &types.DuplicateName{Name: clone.Name, Object: clone.Folder}
	}
	g.names[name] = true
	op.name = name
	return nil
}

// perform is the body of an operation's task: vcsim's own (run), after the delay and in turn.
func (g *gate) perform(op *operation, run execution) (types.AnyType, types.BaseMethodFault) {
	defer g.inFlight.Done()
	defer g.finish(op)
	if f := g.await(op); f != nil {
		return nil, f
	}
	g.turn.Lock()
	defer g.turn.Unlock()
	g.begin(op)
	defer g.begin(nil)
	return g.execute(op, run)
}

// await lets the time pass that the work is to take, and says why it shall not be done.
func (g *gate) await(op *operation) (f types.BaseMethodFault) {
	if f := g.refused(op); f != nil {
		return f
	}
	if strings.HasSuffix(op.method, "_Task") {
		if panicked := g.contain(op.method, func() { f = g.ask(op.method, op.req) }); panicked != nil {
			return panicked
		}
	}
	if f != nil {
		return f
	}
	timer := time.NewTimer(op.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-g.ctx.Done():
		return &types.RequestCanceled{}
	}
}

// refused waits for the call to end, and reads what it found.
func (g *gate) refused(op *operation) types.BaseMethodFault {
	g.turn.Lock()
	defer g.turn.Unlock()
	return op.refuse
}

func (g *gate) execute(op *operation, run execution) (res types.AnyType, f types.BaseMethodFault) {
	target := op.ctx.Map.Get(op.entity)
	if target == nil {
		return nil, &types.ManagedObjectNotFound{Obj: op.entity}
	}
	unlock := op.ctx.Map.AcquireLock(op.ctx, op.entity)
	panicked := g.contain(op.method, func() { res, f = g.work(op, target, run) })
	unlock()
	if panicked != nil {
		res, f, op.dirty = nil, panicked, true
	}
	if op.dirty {
		g.cleanUp(op)
	}
	return res, f
}

// work checks again what was fine when it was asked for, and then does it.
func (g *gate) work(op *operation, target mo.Reference, run execution) (types.AnyType, types.BaseMethodFault) {
	if op.cancelled() {
		return nil, &types.RequestCanceled{}
	}
	if f := check(op.ctx, op.method, op.req, target); f != nil {
		return nil, f
	}
	if f := pending(op, target); f != nil {
		return nil, f
	}
	if f := prepare(op, target); f != nil {
		return nil, f
	}
	res, f := run(op.task)
	for _, sub := range op.branches {
		g.showEntity(sub)
	}
	if f == nil {
		g.complete(op, res)
	}
	return res, f
}

func (op *operation) cancelled() (yes bool) {
	c := &simulator.Context{Context: context.Background(), Map: op.ctx.Map}
	c.WithLock(op.task, func() { yes = op.task.Info.Cancelled })
	return yes
}

// begin notes whose turn it is; nil at its end.
func (g *gate) begin(op *operation) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy = op
	if op != nil {
		g.ops[op.ctx] = op
	}
}

func (g *gate) finish(op *operation) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.ops, op.ctx)
	if op.name != (takenName{}) {
		delete(g.names, op.name)
	}
	op.end()
}

// end lets the goroutines of tasks within the operation go. It is called by one goroutine at a time.
func (op *operation) end() {
	select {
	case <-op.done:
	default:
		close(op.done)
	}
}
