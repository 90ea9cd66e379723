package vsphere

import (
	"context"
	"errors"
	"path"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// Destroy deletes a powered-off VM that is provably ours and returns once it is proven absent. Disks that are not its own are
// detached first and live on. WrongState: it is not powered off. A VM that was gone already is a success.
func (c *Client) Destroy(ctx context.Context, o Ownership) error {
	vm, err := c.prove(ctx, o)
	if err == nil && vm.Power != PoweredOff {
		err = &Error{Kind: WrongState, Err: errors.New("it is " + string(vm.Power)), Hint: "power it off first"}
	}
	if err == nil {
		err = c.detach(ctx, o.Ref)
	}
	if err == nil {
		err = c.do(ctx, object.NewVirtualMachine(c.vim, vmRef(o.Ref)).Destroy)
	}
	if err == nil {
		err = c.absent(ctx, o.Ref)
	}
	return unlessGone(wrap("destroy vm", string(o.Ref), err))
}

// absent is nil if vCenter says that the VM does not exist. A destroy that reported success has been seen to leave the VM running
// (bosh-vsphere-cpi-release #277).
func (c *Client) absent(ctx context.Context, ref Ref) error {
	_, err := c.glance(ctx, ref)
	if err == nil {
		return &Error{Kind: Busy, Err: errors.New("the task succeeded but the VM is still there")}
	}
	return unlessGone(wrap("read vm", string(ref), err))
}

// detach removes the disks that are not the VM's own from it, files kept: destroying a VM deletes every disk attached to it.
func (c *Client) detach(ctx context.Context, ref Ref) error {
	var vm mo.VirtualMachine
	if err := c.properties(ctx, vmRef(ref), &vm, "config.hardware.device", "config.files.vmPathName"); err != nil {
		return err
	}
	if vm.Config == nil {
		return &Error{Kind: Busy, Err: errors.New("vCenter cannot read its configuration")}
	}
	var changes []types.BaseVirtualDeviceConfigSpec
	for _, disk := range strangers(vm.Config.Hardware.Device, vm.Config.Files.VmPathName) {
		changes = append(changes, &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationRemove, Device: disk})
	}
	if len(changes) == 0 {
		return nil
	}
	err := c.do(ctx, func(ctx context.Context) (*object.Task, error) {
		return object.NewVirtualMachine(c.vim, vmRef(ref)).Reconfigure(ctx, types.VirtualMachineConfigSpec{DeviceChange: changes})
	})
	return wrap("detach disks of", string(ref), err)
}

// strangers are the disks whose file is not in the VM's own directory, and those that are managed on their own (first class disks).
// The parent of a linked clone's disk does not matter: the clone's own child is what is attached.
func strangers(devices object.VirtualDeviceList, home string) []types.BaseVirtualDevice {
	var out []types.BaseVirtualDevice
	for _, device := range devices.SelectByType((*types.VirtualDisk)(nil)) {
		disk := device.(*types.VirtualDisk)
		file, ok := disk.Backing.(types.BaseVirtualDeviceFileBackingInfo)
		if !ok || disk.VDiskId != nil || !beside(file.GetVirtualDeviceFileBackingInfo().FileName, home) {
			out = append(out, device)
		}
	}
	return out
}

// beside says whether two datastore paths lie in the same directory of the same datastore.
func beside(a, b string) bool {
	storeA, fileA := datastorePath(a)
	storeB, fileB := datastorePath(b)
	return storeA != "" && storeA == storeB && path.Dir(fileA) == path.Dir(fileB)
}
