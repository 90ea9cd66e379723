package vsphere

import (
	"testing"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func sized(gib int64, backing types.BaseVirtualDeviceBackingInfo) *types.VirtualDisk {
	return &types.VirtualDisk{CapacityInKB: gib << 20, VirtualDevice: types.VirtualDevice{Backing: backing}}
}

func TestFootprint(t *testing.T) {
	thick := func(gib int64) *types.VirtualDisk { return sized(gib, &types.VirtualDiskFlatVer2BackingInfo{}) }
	thin := func(gib int64) *types.VirtualDisk {
		return sized(gib, &types.VirtualDiskFlatVer2BackingInfo{ThinProvisioned: new(true)})
	}
	sparse := func(gib int64) *types.VirtualDisk { return sized(gib, &types.VirtualDiskSeSparseBackingInfo{}) }
	two := []*types.VirtualDisk{thick(10), thick(5)}
	for name, row := range map[string]struct {
		template  Template
		linked    bool
		disks     []*types.VirtualDisk
		committed int64 // GiB; 0: not known
		reserved  int64 // MiB
		locked    bool
		wantDisks int64 // GiB
		wantSwap  int64 // MiB
	}{
		"thick":         {disks: two, committed: 3, wantDisks: 15, wantSwap: 4096},
		"thick, grown":  {template: Template{DiskGiB: 40}, disks: two, wantDisks: 45, wantSwap: 4096},
		"thin, written": {disks: []*types.VirtualDisk{thin(100)}, committed: 3, wantDisks: 3, wantSwap: 4096},
		"thin, growing is free": {
			template: Template{DiskGiB: 400}, disks: []*types.VirtualDisk{thin(100)}, committed: 3, wantDisks: 3, wantSwap: 4096,
		},
		"thin, not known":        {disks: []*types.VirtualDisk{thin(100)}, wantDisks: 100, wantSwap: 4096},
		"thin with snapshots":    {disks: []*types.VirtualDisk{sparse(10)}, committed: 300, wantDisks: 10, wantSwap: 4096},
		"both":                   {disks: []*types.VirtualDisk{thick(10), thin(100)}, committed: 13, wantDisks: 13, wantSwap: 4096},
		"both, less than it has": {disks: []*types.VirtualDisk{thick(10), thin(100)}, committed: 4, wantDisks: 10, wantSwap: 4096},
		"more memory":            {template: Template{MemoryMiB: 8192}, disks: []*types.VirtualDisk{thick(1)}, wantDisks: 1, wantSwap: 8192},
		"reserved":               {disks: []*types.VirtualDisk{thick(1)}, reserved: 1096, wantDisks: 1, wantSwap: 3000},
		"all reserved":           {template: Template{MemoryMiB: 1024}, disks: []*types.VirtualDisk{thick(1)}, reserved: 4096, wantDisks: 1},
		"locked":                 {disks: []*types.VirtualDisk{thick(1)}, locked: true, wantDisks: 1},
		"linked":                 {linked: true, disks: []*types.VirtualDisk{thick(100)}, committed: 100, wantDisks: 1, wantSwap: 4096},
		"no disk":                {wantSwap: 4096},
	} {
		source := mo.VirtualMachine{Config: &types.VirtualMachineConfigInfo{
			MemoryAllocation: &types.ResourceAllocationInfo{Reservation: &row.reserved}, MemoryReservationLockedToMax: &row.locked,
		}}
		source.Config.Hardware.MemoryMB = 4096
		for _, d := range row.disks {
			source.Config.Hardware.Device = append(source.Config.Hardware.Device, d)
		}
		if row.committed > 0 {
			source.Summary.Storage = &types.VirtualMachineStorageSummary{Committed: row.committed * gibibyte}
		}
		want := footprint{disks: row.wantDisks * gibibyte, swap: row.wantSwap << 20}
		if got := footprintOf(row.template, row.linked, source); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}
