package vsphere

import (
	"cmp"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// linkedReserve is what a linked clone is expected to write in its first hours: its disks start empty and share the template's.
const linkedReserve = 1 << 30

// footprint is what a clone takes of its datastore, in bytes: its disks while it is made, its swap file at power-on.
type footprint struct {
	disks, swap int64
}

func (f footprint) total() int64 { return f.disks + f.swap }

// footprintOf is what a clone takes of its datastore. The disks of a full clone keep the template's format: a thick one takes its whole
// size, grown to diskGiB; a thin one what the template has written, which growing does not change. That thin disks fill up later is the
// operator's bet and not promised for. The swap file has the size of the memory that is not reserved.
func footprintOf(t Template, linked bool, source mo.VirtualMachine) footprint {
	f := footprint{swap: swapOf(cmp.Or(int64(t.MemoryMiB), int64(source.Config.Hardware.MemoryMB)), source.Config)}
	if linked {
		f.disks = linkedReserve
		return f
	}
	var grown, thick, thin int64
	for i, disk := range disksOf(source.Config.Hardware.Device) {
		size := disk.CapacityInKB << 10
		if thinDisk(disk) {
			thin += size
			continue
		}
		thick += size
		if i == 0 {
			grown = max(0, int64(t.DiskGiB)<<30-size)
		}
	}
	f.disks = thick + grown + min(thin, written(source, thick, thin))
	return f
}

// written is how much of the template's thin disks is in use: what it uses in all, less its thick disks. All of it if that is not known.
func written(source mo.VirtualMachine, thick, thin int64) int64 {
	used := source.Summary.Storage
	if used == nil {
		return thin
	}
	return max(0, used.Committed-thick)
}

func swapOf(memoryMiB int64, config *types.VirtualMachineConfigInfo) int64 {
	if config.MemoryReservationLockedToMax != nil && *config.MemoryReservationLockedToMax {
		return 0
	}
	var reserved int64
	if config.MemoryAllocation != nil && config.MemoryAllocation.Reservation != nil {
		reserved = *config.MemoryAllocation.Reservation
	}
	return max(0, memoryMiB-reserved) << 20
}

func disksOf(devices object.VirtualDeviceList) []*types.VirtualDisk {
	var disks []*types.VirtualDisk
	for _, device := range devices.SelectByType((*types.VirtualDisk)(nil)) {
		disks = append(disks, device.(*types.VirtualDisk))
	}
	return disks
}

func thinDisk(disk *types.VirtualDisk) bool {
	switch backing := disk.Backing.(type) {
	case *types.VirtualDiskFlatVer2BackingInfo:
		return backing.ThinProvisioned != nil && *backing.ThinProvisioned
	case *types.VirtualDiskSeSparseBackingInfo, *types.VirtualDiskSparseVer2BackingInfo:
		return true
	}
	return false
}
