package vsphere

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"
)

// diskProperties are what tells a VM's own disks from others.
var diskProperties = []string{"config.hardware.device", "config.files.vmPathName", "snapshot"}

// furniture is what a VM holds that may not be its own.
type furniture struct {
	// home is the VM's configuration file, whose directory is the VM's own.
	home string
	// strangers are the attached disks that are not its own.
	strangers []types.BaseVirtualDevice
	snapshots []types.VirtualMachineSnapshotTree
}

// inspect reads an answer to diskProperties. A VM without devices does not exist: such an answer hides them.
func inspect(content types.ObjectContent) (furniture, error) {
	f := furniture{home: value[string](content, "config.files.vmPathName")}
	devices := object.VirtualDeviceList(value[types.ArrayOfVirtualDevice](content, "config.hardware.device").VirtualDevice)
	if f.home == "" || len(devices) == 0 {
		return f, &Error{
			Kind: Busy, Err: errors.New("vCenter cannot read its disks"), Hint: "it is not deleted before it is known whose they are",
		}
	}
	f.strangers = strangers(devices, f.home)
	for tree := value[types.VirtualMachineSnapshotInfo](content, "snapshot").RootSnapshotList; len(tree) > 0; {
		f.snapshots = append(f.snapshots, tree[0])
		tree = append(tree[0].ChildSnapshotList, tree[1:]...)
	}
	return f, nil
}

// strangers are the disks whose file is not in the VM's own directory, and those that are managed on their own (first class disks),
// whatever their mode and controller. The parent of a linked clone's disk does not matter: the clone's own child is what is attached.
func strangers(devices object.VirtualDeviceList, home string) []types.BaseVirtualDevice {
	var out []types.BaseVirtualDevice
	for _, device := range devices.SelectByType((*types.VirtualDisk)(nil)) {
		if device.(*types.VirtualDisk).VDiskId != nil || !beside(fileOf(device), home) {
			out = append(out, device)
		}
	}
	return out
}

// fileOf is the datastore path of a disk, empty if it has none.
func fileOf(disk types.BaseVirtualDevice) string {
	file, ok := disk.GetVirtualDevice().Backing.(types.BaseVirtualDeviceFileBackingInfo)
	if !ok {
		return ""
	}
	return file.GetVirtualDeviceFileBackingInfo().FileName
}

// beside says whether two datastore paths lie in the same directory of the same datastore. A datastore's root is nobody's directory.
func beside(a, b string) bool {
	storeA, fileA := datastorePath(a)
	storeB, fileB := datastorePath(b)
	return storeA != "" && storeA == storeB && path.Dir(fileA) == path.Dir(fileB) && path.Dir(fileA) != "."
}

// unencumbered fails if one of the VM's snapshots holds a disk that is not its own. What is attached now is then only a child of that
// disk, which may well lie in the VM's own directory, and detaching it would not keep the destruction from deleting the disk beneath.
func (c *Client) unencumbered(ctx context.Context, f furniture) error {
	if len(f.snapshots) == 0 {
		return nil
	}
	var refs []types.ManagedObjectReference
	names := map[string]string{}
	for _, s := range f.snapshots {
		refs = append(refs, s.Snapshot)
		names[s.Snapshot.Value] = s.Name
	}
	found, err := c.retrieve(ctx, objects(refs, []string{"config.hardware.device"}, false))
	if err != nil {
		return wrap("read snapshots", "", err)
	}
	for _, o := range found {
		if err := unmixed(o, f.home, names[o.Obj.Value]); err != nil {
			return err
		}
		delete(names, o.Obj.Value)
	}
	if len(names) > 0 {
		return &Error{Kind: Busy, Err: errors.New("vCenter cannot read its snapshots"), Hint: "it is not deleted before their disks are known"}
	}
	return nil
}

// unmixed fails unless all disks of a snapshot are the VM's own.
func unmixed(snapshot types.ObjectContent, home, name string) error {
	devices := value[types.ArrayOfVirtualDevice](snapshot, "config.hardware.device").VirtualDevice
	if len(devices) == 0 {
		return &Error{Kind: Busy, Err: fmt.Errorf("vCenter cannot read the disks of its snapshot %q", name)}
	}
	if disks := strangers(devices, home); len(disks) > 0 {
		return &Error{
			Kind: Locked, Err: fmt.Errorf("its snapshot %q holds the disk %s, which is not the machine's own", name, fileOf(disks[0])),
			Hint: "the disk would be deleted with it: remove the snapshot in vCenter, and the disk is then detached and kept",
		}
	}
	return nil
}
