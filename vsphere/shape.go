package vsphere

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// chooseMode decides between linked and full clones. A linked clone that was asked for is never made a full one instead.
func (p *placement) chooseMode(source mo.VirtualMachine) error {
	t := p.template
	snapshot, err := pickSnapshot(t.Snapshot, source)
	if err != nil {
		return err
	}
	switch t.CloneMode {
	case CloneLinked:
		p.linked = true
	case CloneFull:
	case "":
		p.linked = snapshot != nil && t.DiskGiB == 0
	default:
		return misconfigured(t.CloneMode, "it is no clone mode", "set cloneMode to linked or full")
	}
	if err := linkable(p, snapshot); err != nil {
		return err
	}
	if snapshot != nil && (p.linked || t.Snapshot != "") {
		p.snapshot, p.snapshotName = snapshot, titleOf(*snapshot, source.Snapshot.RootSnapshotList)
	}
	return nil
}

// shapeProperties are what of a configuration a clone takes over.
var shapeProperties = []string{
	"config.hardware", "config.vAppConfig", "config.guestId", "config.memoryAllocation", "config.memoryReservationLockedToMax",
}

// origin is the configuration that clones start from: the snapshot's, for the template may have been changed since it was taken. A host
// that does not keep the configurations of snapshots shows none.
func (c *Client) origin(ctx context.Context, p placement, source mo.VirtualMachine) (*types.VirtualMachineConfigInfo, error) {
	if p.snapshot == nil {
		return source.Config, nil
	}
	var taken mo.VirtualMachineSnapshot
	if err := c.properties(ctx, *p.snapshot, &taken, shapeProperties...); err != nil {
		return nil, wrap("read snapshot", p.snapshotText(), err)
	}
	if len(taken.Config.Hardware.Device) == 0 {
		return source.Config, nil
	}
	taken.Config.Files = source.Config.Files
	return &taken.Config, nil
}

func linkable(p *placement, snapshot *types.ManagedObjectReference) error {
	switch {
	case p.linked && snapshot == nil:
		return misconfigured(p.template.Template, "a linked clone needs a snapshot, and the template has none",
			"take a snapshot of the powered-off template, or set cloneMode to full")
	case p.linked && p.template.DiskGiB > 0:
		return misconfigured(p.template.Template, "the disk of a linked clone cannot grow", "leave diskGiB out, or set cloneMode to full")
	}
	return nil
}

// pickSnapshot is the named snapshot, or the current one without a name; nil if there is none.
func pickSnapshot(name string, source mo.VirtualMachine) (*types.ManagedObjectReference, error) {
	if name == "" {
		if source.Snapshot == nil {
			return nil, nil
		}
		return source.Snapshot.CurrentSnapshot, nil
	}
	var found []types.ManagedObjectReference
	if source.Snapshot != nil {
		found = named(source.Snapshot.RootSnapshotList, name)
	}
	if len(found) != 1 {
		return nil, misconfigured(source.Name, fmt.Sprintf("it has %d snapshots named %s", len(found), name),
			"set snapshot to the name of exactly one")
	}
	return &found[0], nil
}

func titleOf(ref types.ManagedObjectReference, trees []types.VirtualMachineSnapshotTree) string {
	for _, t := range trees {
		if t.Snapshot == ref {
			return t.Name
		}
		if name := titleOf(ref, t.ChildSnapshotList); name != "" {
			return name
		}
	}
	return ""
}

func named(trees []types.VirtualMachineSnapshotTree, name string) []types.ManagedObjectReference {
	var found []types.ManagedObjectReference
	for _, t := range trees {
		if t.Name == name {
			found = append(found, t.Snapshot)
		}
		found = append(found, named(t.ChildSnapshotList, name)...)
	}
	return found
}

// chooseDevices prepares the changes to the template's devices. They go into the clone spec's config: location.deviceChange is the
// newer place, but takes no added or removed cards and no disk sizes (API reference of VirtualMachineRelocateSpec), and
// cluster-api-provider-vsphere has changed cards and disks in config on real vCenters for years.
func (c *Client) chooseDevices(ctx context.Context, p *placement, source mo.VirtualMachine) error {
	devices := object.VirtualDeviceList(source.Config.Hardware.Device)
	disk, err := growDisk(p.template, devices)
	if err != nil {
		return err
	}
	cards, err := c.replaceCards(ctx, p.template.Networks, devices)
	p.devices = append(disk, cards...)
	p.coresPerSocket = coresPerSocket(p.template.CPUs, source.Config.Hardware.NumCoresPerSocket)
	p.dropVApp = source.Config.VAppConfig != nil && p.template.CloudInit.used()
	p.chooseTPM(devices, c.vim.ServiceContent.About.ApiVersion)
	return err
}

// tpmRenewal is the first version of the API that can replace a clone's TPM (API reference, VirtualMachineCloneSpec).
const tpmRenewal = "8.0.0.1"

// chooseTPM has each clone's virtual TPM replaced: by default it is copied, and all machines share its secrets.
func (p *placement) chooseTPM(devices object.VirtualDeviceList, version string) {
	if len(devices.SelectByType((*types.VirtualTPM)(nil))) == 0 {
		return
	}
	if p.renewTPM = !older(version, tpmRenewal); !p.renewTPM {
		p.notes = append(p.notes, fmt.Sprintf("all machines will share the secrets of the virtual TPM of %s: vCenter replaces it in clones "+
			"from version 8.0 on; remove it from the template, or update vCenter.", p.template.Template))
	}
}

// coresPerSocket is 0 where the template's own fits: vCenter refuses a number of CPUs that it does not divide.
func coresPerSocket(cpus int, own *int32) int32 {
	if cpus == 0 || own == nil || *own <= 1 || int32(cpus)%*own == 0 {
		return 0
	}
	return 1
}

func growDisk(t Template, devices object.VirtualDeviceList) ([]types.BaseVirtualDeviceConfigSpec, error) {
	if t.DiskGiB == 0 {
		return nil, nil
	}
	disks := devices.SelectByType((*types.VirtualDisk)(nil))
	if len(disks) == 0 {
		return nil, misconfigured(t.Template, "the template has no disk", "leave diskGiB out")
	}
	disk := *disks[0].(*types.VirtualDisk)
	wanted := int64(t.DiskGiB) << 20 // KiB
	switch {
	case wanted < disk.CapacityInKB:
		return nil, misconfigured(t.Template, fmt.Sprintf("its disk has %d GiB already and a disk cannot shrink", disk.CapacityInKB>>20),
			"raise diskGiB")
	case wanted == disk.CapacityInKB:
		return nil, nil
	}
	disk.CapacityInKB, disk.CapacityInBytes = wanted, wanted<<10
	return []types.BaseVirtualDeviceConfigSpec{&types.VirtualDeviceConfigSpec{
		Operation: types.VirtualDeviceConfigSpecOperationEdit, Device: &disk,
	}}, nil
}

// replaceCards removes the template's network cards and adds one per network, each with a MAC address that vCenter generates.
func (c *Client) replaceCards(
	ctx context.Context, networks []string, devices object.VirtualDeviceList,
) ([]types.BaseVirtualDeviceConfigSpec, error) {
	if len(networks) == 0 {
		return nil, nil
	}
	var changes []types.BaseVirtualDeviceConfigSpec
	for _, card := range devices.SelectByType((*types.VirtualEthernetCard)(nil)) {
		changes = append(changes, &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationRemove, Device: card})
	}
	for i, network := range networks {
		backing, err := c.network(ctx, network)
		if err != nil {
			return nil, err
		}
		changes = append(changes, addCard(int32(-100-i), backing))
	}
	return changes, nil
}

func (c *Client) network(ctx context.Context, text string) (types.BaseVirtualDeviceBackingInfo, error) {
	ref, err := c.reference(ctx, text, "Network", "DistributedVirtualPortgroup", "OpaqueNetwork")
	if err != nil {
		return nil, setting("network", err)
	}
	network, ok := object.NewReference(c.vim, ref).(object.NetworkReference)
	if !ok {
		return nil, misconfigured(text, "it is no network", "name a network or a port group")
	}
	backing, err := network.EthernetCardBackingInfo(ctx)
	var broken net.Error
	if err != nil && faultOf(err) == nil && !errors.As(err, &broken) {
		err = &Error{Kind: Forbidden, Err: err, Hint: "grant System.Read on its distributed switch"} // govmomi's own finding, not vCenter's
	}
	return backing, wrap("read network", text, err)
}

func addCard(key int32, backing types.BaseVirtualDeviceBackingInfo) types.BaseVirtualDeviceConfigSpec {
	card := &types.VirtualVmxnet3{}
	card.Key = key // negative: vCenter assigns the real one
	card.Backing = backing
	card.AddressType = string(types.VirtualEthernetCardMacTypeGenerated)
	card.Connectable = &types.VirtualDeviceConnectInfo{StartConnected: true, AllowGuestControl: true, Connected: true}
	return &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: card}
}
