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
	c.departures.note(o.Ref, nil)
	err := unlessVanished(c.demolish(ctx, o), o.Ref)
	c.departures.note(o.Ref, err)
	return wrap("destroy vm", string(o.Ref), err)
}

func (c *Client) demolish(ctx context.Context, o Ownership) error {
	vm, content, err := c.approach(ctx, o, c.inspector, diskProperties...)
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
	switch {
	case err == nil:
		return c.buried(ctx, o.Ref)
	case errors.Is(err, errForgotten):
		_, err = c.glance(ctx, o.Ref)
		return absence(err, o.Ref)
	}
	return err
}

// buried makes sure that a VM does not exist whose destroy has reported success: such a one has been seen to leave the VM running
// (bosh-vsphere-cpi-release #277).
func (c *Client) buried(ctx context.Context, ref Ref) error {
	a, err := c.graves.ask(ctx, vmRef(ref), proofProperties)
	if err == nil {
		_, err = a.only(vmRef(ref))
	}
	return absence(err, ref)
}

// absence is nil if a read of the VM ended with vCenter's word that it does not exist.
func absence(err error, ref Ref) error {
	if err == nil {
		return &Error{Kind: Busy, Err: errors.New("its task has ended but the VM is still there"), Hint: "it is tried again"}
	}
	return unlessVanished(err, ref)
}

// presence tells which of several VMs exist. vCenter leaves those out that do not, as it was asked to; the pool's folder, which is read
// with them, tells such an answer from one that is about nothing.
func (c *Client) presence(ctx context.Context, specs ...types.PropertyFilterSpec) (answer, error) {
	a, err := c.study(ctx, append(specs, objects([]types.ManagedObjectReference{c.place.folder}, []string{"name"}, true))...)
	if _, complete := a.of(c.place.folder); err != nil || !complete || len(a.partial) > 0 {
		return a, err
	}
	for _, o := range specs[0].ObjectSet {
		if _, shown := a.of(o.Obj); !shown {
			a.vanished[o.Obj] = true
		}
	}
	return a, nil
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
