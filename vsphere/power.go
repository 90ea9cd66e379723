package vsphere

import (
	"context"
	"errors"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"
)

// ShutdownGuest asks the guest to shut down and returns at once. WrongState: it is off, or has no tools to ask.
func (c *Client) ShutdownGuest(ctx context.Context, o Ownership) error {
	vm, _, err := c.approach(ctx, o, c.reader)
	if err == nil && vm.Power != PoweredOn {
		err = &Error{Kind: WrongState, Err: errors.New("it is " + string(vm.Power))}
	}
	if err == nil {
		err = c.explain(ctx, object.NewVirtualMachine(c.vim, vmRef(o.Ref)).ShutdownGuest(ctx))
	}
	return wrap("shut down guest of", string(o.Ref), err)
}

// PowerOff cuts the power of a VM that is provably ours and waits for it; a VM that is off already, or gone, is a success.
func (c *Client) PowerOff(ctx context.Context, o Ownership) error {
	c.departures.note(o.Ref, nil)
	err := c.powerOff(ctx, o)
	c.departures.note(o.Ref, err)
	return wrap("power off vm", string(o.Ref), err)
}

func (c *Client) powerOff(ctx context.Context, o Ownership) error {
	vm, _, err := c.approach(ctx, o, c.reader)
	if err == nil && vm.Power != PoweredOff {
		err = c.do(ctx, powerTask, object.NewVirtualMachine(c.vim, vmRef(o.Ref)).PowerOff)
	}
	if already(err, types.VirtualMachinePowerStatePoweredOff) {
		return nil
	}
	return unlessVanished(err, o.Ref)
}

// approach proves a VM ours that is to go, and makes sure that it can: its host answers, and it does not wait for an answer itself.
func (c *Client) approach(ctx context.Context, o Ownership, by *reader, more ...string) (VM, types.ObjectContent, error) {
	vm, content, err := c.examine(ctx, o, by, append(more, "runtime.question")...)
	if err == nil {
		err = connected(vm)
	}
	if err == nil {
		err = c.answer(ctx, o.Ref, value[types.VirtualMachineQuestionInfo](content, "runtime.question"))
	}
	return vm, content, err
}

// connected is an error while vCenter has lost sight of the VM. It is never unregistered to be rid of it: it may run on, and come back.
func connected(vm VM) error {
	if vm.Connection == "" || vm.Connection == string(types.VirtualMachineConnectionStateConnected) {
		return nil
	}
	kind := Inaccessible
	if vm.Connection == string(types.VirtualMachineConnectionStateDisconnected) {
		kind = HostDown
	}
	return &Error{
		Kind: kind, Err: errors.New("vCenter calls it " + vm.Connection),
		Hint: "it is left alone until its host and storage are back; see their state in vCenter",
	}
}

// already says whether a power operation was refused because its goal had been reached.
func already(err error, goal types.VirtualMachinePowerState) bool {
	switch f := faultOf(err).(type) {
	case *types.InvalidPowerState:
		return f.ExistingState == goal
	case *types.InvalidPowerStateFault:
		return f.ExistingState == goal
	}
	return false
}
