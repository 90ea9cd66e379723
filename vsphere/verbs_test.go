package vsphere_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
)

// admin is a VM as an administrator with another client sees it.
func (s *site) admin(t *testing.T, ref vsphere.Ref) *object.VirtualMachine {
	t.Helper()
	vc, err := s.sim.Client(t.Context())
	must(t, err)
	return object.NewVirtualMachine(vc, types.ManagedObjectReference{Type: "VirtualMachine", Value: string(ref)})
}

func wait(t *testing.T, task *object.Task, err error) *types.TaskInfo {
	t.Helper()
	must(t, err)
	info, err := task.WaitForResult(t.Context())
	must(t, err)
	return info
}

func (s *site) reconfigure(t *testing.T, ref vsphere.Ref, spec types.VirtualMachineConfigSpec) {
	t.Helper()
	task, err := s.admin(t, ref).Reconfigure(t.Context(), spec)
	wait(t, task, err)
}

func (s *site) setExtra(t *testing.T, ref vsphere.Ref, key, value string) {
	t.Helper()
	s.reconfigure(t, ref, types.VirtualMachineConfigSpec{ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: key, Value: value}}})
}

// copyOf is what an administrator's clone of a member is: everything copied but the uuid.
func (s *site) copyOf(t *testing.T, vm vsphere.VM, name string) vsphere.VM {
	t.Helper()
	finder := find.NewFinder(s.admin(t, vm.Ref).Client())
	folder, err := finder.Folder(t.Context(), s.sim.Template().Folder)
	must(t, err)
	task, err := s.admin(t, vm.Ref).Clone(t.Context(), folder, name, types.VirtualMachineCloneSpec{Config: &types.VirtualMachineConfigSpec{
		ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "vspherepool.mark", Value: vm.Mark.String()}},
	}})
	made := wait(t, task, err).Result.(types.ManagedObjectReference)
	return s.read(t, vsphere.Ref(made.Value))
}

func TestNameTaken(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.make(t, "web-1")
	task, err := s.Clone(t.Context(), order("web-1"))
	if err == nil {
		_, err = s.Await(t.Context(), task)
	}
	wantKind(t, err, vsphere.NameTaken)
}

func TestAwaitUnknownTask(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	_, err := s.Await(t.Context(), "task-99999")
	wantKind(t, err, vsphere.NotFound)
}

func TestCloneFault(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.sim.Before(func(method string, _ any) types.BaseMethodFault {
		if method == "CloneVM_Task" {
			return &types.NoDiskSpace{Datastore: "LocalDS_0"}
		}
		return nil
	})
	task, err := s.Clone(t.Context(), order("web-1"))
	if err == nil {
		_, err = s.Await(t.Context(), task)
	}
	wantKind(t, err, vsphere.Storage)
}

func TestClonesAreSeenWhileTheyRun(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	release := make(chan struct{})
	s.sim.Before(func(method string, _ any) types.BaseMethodFault {
		if method == "CloneVM_Task" {
			<-release
		}
		return nil
	})
	task, err := s.Clone(t.Context(), order("web-1"))
	must(t, err)
	running, err := s.Clones(t.Context(), s.Site().Source)
	must(t, err)
	if !slices.Equal(running, []vsphere.Task{task}) {
		t.Errorf("running %v, want %s", running, task)
	}
	close(release)
	_, err = s.Await(t.Context(), task)
	must(t, err)
	if running, err = s.Clones(t.Context(), s.Site().Source); err != nil || len(running) != 0 {
		t.Errorf("running %v, %v", running, err)
	}
}

func TestLocate(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	vm, own := s.make(t, "web-1")
	s.copyOf(t, vm, "web-1-copy")
	_, err := s.admin(t, own.Ref).Rename(t.Context(), "renamed")
	must(t, err)
	for _, path := range []string{s.sim.Template().Folder, "/DC0/vm"} {
		folder, err := find.NewFinder(s.admin(t, own.Ref).Client()).Folder(t.Context(), path)
		must(t, err)
		if path == "/DC0/vm" {
			task, err := folder.MoveInto(t.Context(), []types.ManagedObjectReference{s.admin(t, own.Ref).Reference()})
			wait(t, task, err)
		}
		got, err := s.Locate(t.Context(), own.Machine, "")
		if err != nil || got.Ref != own.Ref || !got.Detail {
			t.Errorf("in %s: %+v, %v", path, got, err)
		}
	}
	_, err = s.Locate(t.Context(), vsphere.MachineID(uuid.NewString()), "")
	wantKind(t, err, vsphere.NotFound)
}

func TestOnlyOursIsTouched(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := t.Context()
	vm, own := s.make(t, "web-1")
	copied := s.copyOf(t, vm, "copy")
	foreign, other := s.make(t, "web-2")
	foreign.Mark.Pool = "db"
	s.setExtra(t, other.Ref, "vspherepool.mark", foreign.Mark.String())
	must(t, s.PowerOn(ctx, own))
	for name, o := range map[string]vsphere.Ownership{
		"another machine": {Ref: own.Ref, Machine: other.Machine},
		"a copy":          {Ref: copied.Ref, Machine: own.Machine},
		"another pool's":  other,
		"the template":    {Ref: s.Site().Source, Machine: own.Machine},
	} {
		t.Run(name, func(t *testing.T) {
			wantKind(t, s.Destroy(ctx, o), vsphere.NotOurs)
			wantKind(t, s.PowerOff(ctx, o), vsphere.NotOurs)
			wantKind(t, s.ShutdownGuest(ctx, o), vsphere.NotOurs)
			wantKind(t, s.Write(ctx, o, vsphere.Change{Unmark: true}), vsphere.NotOurs)
		})
	}
	if got := s.read(t, own.Ref); got.Power != vsphere.PoweredOn {
		t.Errorf("%+v", got)
	}
}

func TestMarksChange(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := t.Context()
	vm, own := s.make(t, "web-1")
	retiring := *vm.Mark
	retiring.Retiring = true
	hold := vsphere.Status{Service: "IN_SERVICE", Hold: true}
	must(t, s.Write(ctx, own, vsphere.Change{Mark: &retiring}))
	must(t, s.Write(ctx, own, vsphere.Change{Status: &hold}))
	if got := s.read(t, own.Ref); *got.Mark != retiring || *got.Status != hold {
		t.Errorf("%+v %+v", got.Mark, got.Status)
	}
	must(t, s.Write(ctx, own, vsphere.Change{Unmark: true}))
	if got := s.read(t, own.Ref); got.Mark != nil || got.Status != nil {
		t.Errorf("%+v %+v", got.Mark, got.Status)
	}
	wantKind(t, s.Write(ctx, own, vsphere.Change{Status: &hold}), vsphere.NotOurs)
	must(t, s.Claim(ctx, own.Ref, vsphere.Change{Mark: vm.Mark, Status: &hold}))
	must(t, s.Write(ctx, own, vsphere.Change{Status: &hold}))
	if got := s.read(t, own.Ref); !got.Owned(pool) {
		t.Errorf("%+v", got)
	}
}

func TestClaim(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := t.Context()
	vm, own := s.make(t, "web-1")
	copied := s.copyOf(t, vm, "copy")
	claim := func(vm vsphere.VM) vsphere.Change {
		status := vsphere.DefaultStatus()
		mark := vsphere.Mark{Pool: pool, Machine: vsphere.MachineID(vm.InstanceUUID), UUID: vm.InstanceUUID}
		return vsphere.Change{Mark: &mark, Status: &status}
	}
	must(t, s.Claim(ctx, copied.Ref, claim(copied)))
	must(t, s.Claim(ctx, own.Ref, claim(vm)))
	vm.Mark.Pool = "db"
	s.setExtra(t, own.Ref, "vspherepool.mark", vm.Mark.String())
	wantKind(t, s.Claim(ctx, own.Ref, claim(vm)), vsphere.NotOurs)
	wantKind(t, s.Claim(ctx, s.Site().Source, claim(vm)), vsphere.WrongState)
	wantKind(t, s.Claim(ctx, "vm-99999", claim(vm)), vsphere.NotFound)
}

func TestClaimIsACompareAndSet(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	vm, own := s.make(t, "web-1")
	must(t, s.Write(t.Context(), own, vsphere.Change{Unmark: true}))
	var versions []string
	s.sim.Before(func(_ string, request any) types.BaseMethodFault {
		if r, ok := request.(*types.ReconfigVM_Task); ok {
			versions = append(versions, r.Spec.ChangeVersion)
			return &types.ConcurrentAccess{}
		}
		return nil
	})
	current := s.read(t, own.Ref).ChangeVersion
	wantKind(t, s.Claim(t.Context(), own.Ref, vsphere.Change{Mark: vm.Mark}), vsphere.Conflict)
	wantKind(t, s.Claim(t.Context(), own.Ref, vsphere.Change{Mark: vm.Mark, IfVersion: "seen"}), vsphere.Conflict)
	if !slices.Equal(versions, []string{current, "seen"}) || current == "" {
		t.Errorf("versions %q, current %q", versions, current)
	}
}

func TestDestroyDetachesForeignDisks(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := t.Context()
	_, own := s.make(t, "web-1")
	_, other := s.make(t, "web-2")
	foreign := s.diskOf(t, other.Ref)
	devices, err := s.admin(t, own.Ref).Device(ctx)
	must(t, err)
	controller, err := devices.FindDiskController("")
	must(t, err)
	disk := devices.CreateDisk(controller, types.ManagedObjectReference{}, foreign)
	must(t, s.admin(t, own.Ref).AddDevice(ctx, disk))
	var detached []string
	s.sim.Before(func(_ string, request any) types.BaseMethodFault {
		if r, ok := request.(*types.ReconfigVM_Task); ok {
			for _, change := range r.Spec.DeviceChange {
				spec := change.GetVirtualDeviceConfigSpec()
				file := spec.Device.GetVirtualDevice().Backing.(types.BaseVirtualDeviceFileBackingInfo)
				detached = append(detached, string(spec.Operation)+" "+file.GetVirtualDeviceFileBackingInfo().FileName+string(spec.FileOperation))
			}
		}
		return nil
	})
	must(t, s.Destroy(ctx, own))
	if !slices.Equal(detached, []string{"remove " + foreign}) {
		t.Errorf("detached %q, want %q", detached, foreign)
	}
	if again := s.diskOf(t, other.Ref); again != foreign {
		t.Errorf("disk %q became %q", foreign, again)
	}
}

func (s *site) diskOf(t *testing.T, ref vsphere.Ref) string {
	t.Helper()
	devices, err := s.admin(t, ref).Device(t.Context())
	must(t, err)
	disks := devices.SelectByType((*types.VirtualDisk)(nil))
	return disks[0].GetVirtualDevice().Backing.(types.BaseVirtualDeviceFileBackingInfo).GetVirtualDeviceFileBackingInfo().FileName
}

func TestFullCloneWithOptions(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(template *vsphere.Template) {
		template.CloneMode = vsphere.CloneFull
		template.CPUs, template.MemoryMiB, template.DiskGiB = 4, 8192, 20
		template.Networks = []string{"/DC0/network/VM Network", "/DC0/network/DC0_DVPG0"}
		template.Datastores = []string{"/DC0/datastore/LocalDS_0"}
		template.ResourcePool = ""
		template.ExtraConfig = map[string]string{"answer": "42"}
		template.CloudInit.UserData = "#cloud-config"
	})
	got := s.Site()
	got.VCenter, got.Source = "", ""
	want := vsphere.Site{Region: "DC0", CloneMode: vsphere.CloneFull, CPUs: 4, MemoryMiB: 8192}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("site %+v, want %+v", got, want)
	}
	vm, own := s.make(t, "web-1")
	if vm.CPUs != 4 || vm.MemoryMiB != 8192 || vm.Datastore != "LocalDS_0" {
		t.Errorf("%+v", vm)
	}
	devices, err := s.admin(t, own.Ref).Device(t.Context())
	must(t, err)
	if disk := devices.SelectByType((*types.VirtualDisk)(nil))[0].(*types.VirtualDisk); disk.CapacityInKB != 20<<20 {
		t.Errorf("disk has %d KiB", disk.CapacityInKB)
	}
	cards := devices.SelectByType((*types.VirtualEthernetCard)(nil))
	macs := map[string]bool{}
	for _, card := range cards {
		macs[card.(types.BaseVirtualEthernetCard).GetVirtualEthernetCard().MacAddress] = true
	}
	if len(cards) != 2 || len(macs) != 2 || macs[""] {
		t.Errorf("%d cards, addresses %v", len(cards), macs)
	}
	var config mo.VirtualMachine
	must(t, s.admin(t, own.Ref).Properties(t.Context(), s.admin(t, own.Ref).Reference(), []string{"config.extraConfig"}, &config))
	var keys []string
	for _, o := range config.Config.ExtraConfig {
		keys = append(keys, o.GetOptionValue().Key)
	}
	for _, want := range []string{"answer", "guestinfo.userdata", "guestinfo.metadata.encoding", "vspherepool.status"} {
		if !slices.Contains(keys, want) {
			t.Errorf("no %s in %s", want, strings.Join(keys, " "))
		}
	}
}
