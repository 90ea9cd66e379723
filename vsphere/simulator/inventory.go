package simulator

import (
	"context"
	"fmt"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/esx"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	templateName = "ubuntu-24.04"
	vmPath       = "/DC0/vm"
	templatePath = vmPath + "/templates/" + templateName
	poolsPath    = vmPath + "/pools"
	clusterPath  = "/DC0/host/DC0_C0"
	networkPath  = "/DC0/network/DC0_DVPG0"
)

// The template's size, which its clones inherit.
const (
	templateCPUs      = 2
	templateMemoryMiB = 4096
	templateDiskGiB   = 10
)

func createModel(opts Options) (*simulator.Model, error) {
	creation.Lock()
	defer creation.Unlock()
	model := simulator.VPX()
	model.Host = 0
	model.Machine = 0
	model.Datastore = max(1, opts.Datastores)
	if err := model.Create(); err != nil {
		if model.Service != nil {
			model.Remove()
		}
		return nil, err
	}
	return model, nil
}

// furnish adds the folders and the template, as a client would.
func (s *Simulator) furnish(ctx context.Context) error {
	client, err := s.Client(ctx)
	if err != nil {
		return err
	}
	f := find.NewFinder(client)
	root, err := f.Folder(ctx, vmPath)
	if err != nil {
		return err
	}
	if _, err := root.CreateFolder(ctx, "pools"); err != nil {
		return fmt.Errorf("create folder: %w", err)
	}
	templates, err := root.CreateFolder(ctx, "templates")
	if err != nil {
		return fmt.Errorf("create folder: %w", err)
	}
	vm, err := createTemplate(ctx, f, templates)
	if err != nil {
		return fmt.Errorf("create template: %w", err)
	}
	return sealTemplate(ctx, vm)
}

func createTemplate(ctx context.Context, f *find.Finder, folder *object.Folder) (*object.VirtualMachine, error) {
	pool, err := f.ResourcePool(ctx, clusterPath+"/Resources")
	if err != nil {
		return nil, err
	}
	net, err := f.Network(ctx, networkPath)
	if err != nil {
		return nil, err
	}
	devices, err := templateDevices(ctx, net)
	if err != nil {
		return nil, err
	}
	task, err := folder.CreateVM(ctx, types.VirtualMachineConfigSpec{
		Name:         templateName,
		GuestId:      string(types.VirtualMachineGuestOsIdentifierUbuntu64Guest),
		NumCPUs:      templateCPUs,
		MemoryMB:     templateMemoryMiB,
		Annotation:   "Template of the simulator's default pool.",
		Files:        &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0]"},
		DeviceChange: devices,
	}, pool, nil)
	if err != nil {
		return nil, err
	}
	info, err := task.WaitForResult(ctx)
	if err != nil {
		return nil, err
	}
	return object.NewVirtualMachine(folder.Client(), info.Result.(types.ManagedObjectReference)), nil
}

func templateDevices(ctx context.Context, net object.NetworkReference) ([]types.BaseVirtualDeviceConfigSpec, error) {
	var devices object.VirtualDeviceList
	scsi, err := devices.CreateSCSIController("pvscsi")
	if err != nil {
		return nil, err
	}
	disk := devices.CreateDisk(scsi.(types.BaseVirtualController), types.ManagedObjectReference{}, "")
	disk.CapacityInKB = templateDiskGiB << 20
	backing, err := net.EthernetCardBackingInfo(ctx)
	if err != nil {
		return nil, err
	}
	nic := esx.EthernetCard
	nic.Backing = backing
	return append(devices, scsi, disk, &nic).ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
}

// sealTemplate takes the snapshot that linked clones need, and then marks the VM, which forbids both afterwards.
func sealTemplate(ctx context.Context, vm *object.VirtualMachine) error {
	task, err := vm.CreateSnapshot(ctx, "base", "what clones are linked to", false, false)
	if err != nil {
		return fmt.Errorf("create snapshot: %w", err)
	}
	if err := task.Wait(ctx); err != nil {
		return fmt.Errorf("create snapshot: %w", err)
	}
	if err := vm.MarkAsTemplate(ctx); err != nil {
		return fmt.Errorf("mark as template: %w", err)
	}
	return nil
}
