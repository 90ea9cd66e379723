package simulator

import (
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// contain runs f and turns a panic into a fault. The panic is logged: it is a hole in the checks.
func (g *gate) contain(method string, f func()) (fault types.BaseMethodFault) {
	defer func() {
		if r := recover(); r != nil {
			g.log.Warn("simulator panic contained", "op", method, "err", fmt.Sprint(r), "stack", string(debug.Stack()))
			fault = &types.SystemErrorFault{Reason: fmt.Sprintf("vcsim: %v", r)}
		}
	}()
	f()
	return nil
}

func (g *gate) guarded(run execution) execution {
	return func(t *simulator.Task) (res types.AnyType, f types.BaseMethodFault) {
		if panicked := g.contain(t.Info.DescriptionId, func() { res, f = run(t) }); panicked != nil {
			return nil, panicked
		}
		return res, f
	}
}

// cleanUp removes what an operation that panicked left behind. The operation has the turn.
func (g *gate) cleanUp(op *operation) {
	g.mu.Lock()
	made := op.created
	g.mu.Unlock()
	for _, vm := range made {
		g.contain(op.method, func() { unmake(op.ctx, vm) })
	}
	op.end()
	op.tails.Wait() // they release locks of their own, which must not be taken for leaked ones
	g.freeLocks(op.ctx)
}

// unmake takes a half-made VM out of the inventory. A VM without a name would make every later lookup in its folder panic.
func unmake(ctx *simulator.Context, vm *simulator.VirtualMachine) {
	forget := func(obj mo.Reference, refs *[]types.ManagedObjectReference) {
		ctx.WithLock(obj, func() {
			*refs = slices.DeleteFunc(slices.Clone(*refs), func(r types.ManagedObjectReference) bool { return r == vm.Self })
		})
	}
	for _, e := range ctx.Map.All("") {
		switch x := e.(type) {
		case *simulator.Folder:
			forget(x, &x.ChildEntity)
		case *simulator.HostSystem:
			forget(x, &x.Vm)
		case *simulator.Datastore:
			forget(x, &x.Vm)
		case *simulator.ResourcePool:
			forget(x, &x.Vm)
		case *simulator.VirtualApp:
			forget(x, &x.Vm)
		}
	}
	ctx.Map.Remove(ctx, vm.Self)
}

// freeLocks releases every lock that ctx still holds. vcsim's locks count per context, and can only be asked by taking and releasing
// them; one that somebody else holds is waited for in a goroutine of its own. Tasks are spared: the operation's own task is about to
// write down its end, under its lock and with the same context.
func (g *gate) freeLocks(ctx *simulator.Context) {
	for _, obj := range append(ctx.Map.AllReference(""), ctx.Session.AllReference("")...) {
		_, own := obj.(sync.Locker)
		if _, task := obj.(*simulator.Task); own || task {
			continue
		}
		go func() {
			release := ctx.Map.AcquireLock(ctx, obj)
			for released(release) {
			}
		}()
	}
}

// released reports whether there was still something to release.
func released(release func()) (ok bool) {
	defer func() { ok = recover() == nil }()
	release()
	return true
}
