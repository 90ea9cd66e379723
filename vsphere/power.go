package vsphere

import (
	"context"
	"errors"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"
)

// PowerOn powers on a VM that is provably ours and waits for it; a VM that is on already is a success.
func (c *Client) PowerOn(ctx context.Context, o Ownership) error {
	vm, err := c.prove(ctx, o)
	if err == nil && vm.Power != PoweredOn {
		err = c.do(ctx, object.NewVirtualMachine(c.vim, vmRef(o.Ref)).PowerOn)
	}
	if already(err, types.VirtualMachinePowerStatePoweredOn) {
		return nil
	}
	return wrap("power on vm", string(o.Ref), err)
}

// ShutdownGuest asks the guest to shut down and returns at once. WrongState: it is off, or has no tools to ask.
func (c *Client) ShutdownGuest(ctx context.Context, o Ownership) error {
	vm, err := c.prove(ctx, o)
	if err == nil && vm.Power != PoweredOn {
		err = &Error{Kind: WrongState, Err: errors.New("it is " + string(vm.Power))}
	}
	if err == nil {
		err = object.NewVirtualMachine(c.vim, vmRef(o.Ref)).ShutdownGuest(ctx)
	}
	return wrap("shut down guest of", string(o.Ref), err)
}

// PowerOff cuts the power of a VM that is provably ours and waits for it; a VM that is off already, or gone, is a success.
func (c *Client) PowerOff(ctx context.Context, o Ownership) error {
	vm, err := c.prove(ctx, o)
	if err == nil && vm.Power != PoweredOff {
		err = c.do(ctx, object.NewVirtualMachine(c.vim, vmRef(o.Ref)).PowerOff)
	}
	if already(err, types.VirtualMachinePowerStatePoweredOff) {
		return nil
	}
	return unlessGone(wrap("power off vm", string(o.Ref), err))
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

// unlessGone makes a success of NotFound.
func unlessGone(err error) error {
	if KindOf(err) == NotFound {
		return nil
	}
	return err
}
