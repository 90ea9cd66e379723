package vsphere

import (
	"context"
	"errors"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"
)

// Destroy deletes a powered-off VM that is provably ours and returns once it is proven absent. Disks that are not its own are
// detached first and live on. WrongState: it is not powered off. A VM that was gone already is a success. Busy or Locked:
// something holds it, or it holds a disk of somebody else in a way that only a person can undo; nothing was deleted then.
func (c *Client) Destroy(ctx context.Context, o Ownership) error {
	return wrap("destroy vm", string(o.Ref), unlessVanished(c.demolish(ctx, o), o.Ref))
}

func (c *Client) demolish(ctx context.Context, o Ownership) error {
	vm, content, err := c.approach(ctx, o, diskProperties...)
	if err != nil {
		return err
	}
	if vm.Power != PoweredOff {
		return &Error{Kind: WrongState, Err: errors.New("it is " + string(vm.Power)), Hint: "power it off first"}
	}
	if err := c.spare(ctx, o.Ref, content); err != nil {
		return err
	}
	err = c.do(ctx, destroyTask, object.NewVirtualMachine(c.vim, vmRef(o.Ref)).Destroy)
	if err == nil || errors.Is(err, errForgotten) {
		return c.absent(ctx, o.Ref)
	}
	return err
}

// absent is nil if vCenter says that the VM does not exist. A destroy that reported success has been seen to leave the VM running
// (bosh-vsphere-cpi-release #277).
func (c *Client) absent(ctx context.Context, ref Ref) error {
	_, err := c.glance(ctx, ref)
	if err == nil {
		return &Error{Kind: Busy, Err: errors.New("its task has ended but the VM is still there"), Hint: "it is tried again"}
	}
	return unlessVanished(err, ref)
}

// spare takes from the VM, files kept, the disks that are not its own: destroying a VM deletes every disk attached to it.
func (c *Client) spare(ctx context.Context, ref Ref, content types.ObjectContent) error {
	found, err := inspect(content)
	if err != nil {
		return err
	}
	if err := c.unencumbered(ctx, found); err != nil {
		return err
	}
	if len(found.strangers) == 0 {
		return nil
	}
	var changes []types.BaseVirtualDeviceConfigSpec
	for _, disk := range found.strangers {
		changes = append(changes, &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationRemove, Device: disk})
	}
	err = c.do(ctx, writeTask, func(ctx context.Context) (*object.Task, error) {
		return object.NewVirtualMachine(c.vim, vmRef(ref)).Reconfigure(ctx, types.VirtualMachineConfigSpec{DeviceChange: changes})
	})
	if err != nil {
		return wrap("detach disks of", string(ref), err)
	}
	return c.spared(ctx, ref)
}

// spared makes sure that the disks are gone from the VM: what a task reports is not enough to risk somebody's data on.
func (c *Client) spared(ctx context.Context, ref Ref) error {
	content, err := c.only(ctx, vmRef(ref), diskProperties)
	if err != nil {
		return err
	}
	found, err := inspect(content)
	if err == nil && len(found.strangers) > 0 {
		err = &Error{
			Kind: Busy, Err: errors.New("the disk " + fileOf(found.strangers[0]) + " is still attached to it"),
			Hint: "it is not the machine's own and would be deleted with it; it is detached again",
		}
	}
	return err
}
