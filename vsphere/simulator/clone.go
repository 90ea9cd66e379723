package simulator

import (
	"fmt"
	"reflect"
	"sync/atomic"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// counter numbers things from 1.
type counter struct{ n atomic.Uint32 }

func (c *counter) next() uint32 { return c.n.Add(1) }

// prepare does what vcsim forgets before an operation's work.
func prepare(op *operation, target mo.Reference) types.BaseMethodFault {
	switch op.method {
	case "Destroy_Task":
		if folder, ok := target.(*simulator.Folder); ok {
			return destroyContent(op.ctx, folder)
		}
	case "ShutdownGuest", "StandbyGuest":
		vm, ok := target.(*simulator.VirtualMachine)
		if ok && vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
			return &types.InvalidPowerState{RequestedState: types.VirtualMachinePowerStatePoweredOn, ExistingState: vm.Runtime.PowerState}
		}
	}
	return nil
}

// destroyContent destroys what is in a folder; vcsim would leave it without a parent.
func destroyContent(ctx *simulator.Context, folder *simulator.Folder) types.BaseMethodFault {
	for _, e := range descendants(ctx, folder) {
		vm, ok := e.(*simulator.VirtualMachine)
		if !ok {
			ctx.Map.Remove(ctx, e.Reference())
			continue
		}
		if f := destroyWithin(ctx, vm); f != nil {
			return f
		}
	}
	return nil
}

func destroyWithin(ctx *simulator.Context, vm *simulator.VirtualMachine) types.BaseMethodFault {
	var task *simulator.Task
	ctx.WithLock(vm, func() {
		body := vm.DestroyTask(ctx, &types.Destroy_Task{This: vm.Self}).(*methods.Destroy_TaskBody)
		task = ctx.Map.Get(body.Res.Returnval).(*simulator.Task)
	})
	if task.Info.Error != nil {
		return task.Info.Error.Fault
	}
	return nil
}

// complete does what vcsim forgets after it: a clone's network cards get addresses of their own.
func (g *gate) complete(op *operation, res types.AnyType) {
	ref, ok := res.(types.ManagedObjectReference)
	if !ok || op.method != "CloneVM_Task" {
		return
	}
	vm, ok := op.ctx.Map.Get(ref).(*simulator.VirtualMachine)
	if !ok {
		return
	}
	op.ctx.WithLock(vm, func() {
		devices := make([]types.BaseVirtualDevice, len(vm.Config.Hardware.Device))
		for i, d := range vm.Config.Hardware.Device {
			devices[i] = g.renumber(d)
		}
		op.ctx.Update(vm, []types.PropertyChange{{Name: "config.hardware.device", Val: devices}})
	})
}

// renumber is a copy of a network card with a new address; other devices are returned as they are. Events may still refer to the
// original, so it is not changed.
func (g *gate) renumber(d types.BaseVirtualDevice) types.BaseVirtualDevice {
	if _, ok := d.(types.BaseVirtualEthernetCard); !ok {
		return d
	}
	v := reflect.New(reflect.TypeOf(d).Elem())
	v.Elem().Set(reflect.ValueOf(d).Elem())
	card := v.Interface().(types.BaseVirtualEthernetCard)
	n := g.macs.next()
	// 00:50:56:80 and up is what vCenter assigns.
	card.GetVirtualEthernetCard().MacAddress = fmt.Sprintf("00:50:56:%02x:%02x:%02x", 0x80|n>>16&0x3f, n>>8&0xff, n&0xff)
	return v.Interface().(types.BaseVirtualDevice)
}
