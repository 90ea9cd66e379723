package vsphere

import (
	"maps"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

// spec is the clone spec of one machine. Everything that makes the VM ours is in it, so that there is no moment in which a VM of
// ours exists without its mark; power comes later, because a clone that fails to power on would leave no trace of why.
func (p placement) spec(pool string, order CloneOrder, at spot) (types.VirtualMachineCloneSpec, error) {
	config, err := p.config(pool, order)
	spec := types.VirtualMachineCloneSpec{
		Location:      p.location(at),
		Config:        config,
		Snapshot:      p.snapshot,
		Customization: p.customization,
	}
	if p.renewTPM {
		spec.TpmProvisionPolicy = string(types.VirtualMachineCloneSpecTpmProvisionPolicyReplace)
	}
	return spec, err
}

func (p placement) location(at spot) types.VirtualMachineRelocateSpec {
	move := types.VirtualMachineRelocateDiskMoveOptionsMoveAllDiskBackingsAndDisallowSharing
	if p.linked {
		move = types.VirtualMachineRelocateDiskMoveOptionsCreateNewChildDiskBacking
	}
	location := types.VirtualMachineRelocateSpec{
		Folder:       &p.folder,
		Pool:         &p.pool,
		Datastore:    given(at.store),
		Host:         given(at.host),
		DiskMoveType: string(move),
	}
	if p.profile == "" {
		return location
	}
	location.Profile = []types.BaseVirtualMachineProfileSpec{&types.VirtualMachineDefinedProfileSpec{ProfileId: p.profile}}
	if at.store.Value == "" {
		return location // Storage DRS places the disks
	}
	for _, key := range p.disks {
		location.Disk = append(location.Disk, types.VirtualMachineRelocateSpecDiskLocator{
			DiskId: key, Datastore: at.store, DiskMoveType: string(move), Profile: location.Profile,
		})
	}
	return location
}

// given is nil for the zero reference.
func given(ref types.ManagedObjectReference) *types.ManagedObjectReference {
	if ref.Value == "" {
		return nil
	}
	return &ref
}

func (p placement) config(pool string, order CloneOrder) (*types.VirtualMachineConfigSpec, error) {
	values, err := p.extraConfig(pool, order)
	if err != nil {
		return nil, err
	}
	spec := &types.VirtualMachineConfigSpec{
		InstanceUuid: string(order.ID),
		NumCPUs:      int32(p.template.CPUs),
		MemoryMB:     int64(p.template.MemoryMiB),
		DeviceChange: p.devices,
		ExtraConfig:  options(values),
	}
	if p.coresPerSocket > 0 {
		spec.NumCoresPerSocket = &p.coresPerSocket
	}
	if p.dropVApp {
		spec.VAppConfigRemoved = &p.dropVApp // or cloud-init prefers the OVF properties to guestinfo
	}
	return spec, nil
}

// extraConfig is what the template asks for, what the guest is told, and the marks.
func (p placement) extraConfig(pool string, order CloneOrder) (map[string]string, error) {
	values, err := p.template.CloudInit.guestinfo(newNaming(order.Name, pool, order.ID), p.userData)
	if err != nil {
		return nil, err
	}
	maps.Copy(values, p.template.Ignition.guestinfo(p.ignition))
	maps.Copy(values, p.template.ExtraConfig)
	values[markKey] = Mark{Pool: pool, Machine: order.ID, UUID: string(order.ID), Writer: order.Writer}.String()
	values[statusKey] = order.Status.String()
	return values, fitting(values)
}

// options is extraConfig in a fixed order.
func options(values map[string]string) []types.BaseOptionValue {
	var out []types.BaseOptionValue
	for _, key := range slices.Sorted(maps.Keys(values)) {
		out = append(out, &types.OptionValue{Key: key, Value: values[key]})
	}
	return out
}

// freeKeys refuses keys that are the marks' own.
func freeKeys(extra map[string]string) error {
	for key := range extra {
		if strings.HasPrefix(strings.ToLower(key), keyPrefix) {
			return misconfigured("extraConfig", key+" is reserved", "choose a key that does not start with "+keyPrefix)
		}
	}
	return nil
}
