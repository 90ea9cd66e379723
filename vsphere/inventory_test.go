package vsphere_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
)

func (s *site) sweep(t *testing.T, elsewhere ...vsphere.Ref) map[vsphere.Ref]vsphere.VM {
	t.Helper()
	inventory, err := s.Sweep(t.Context(), elsewhere)
	must(t, err)
	if inventory.At.IsZero() {
		t.Error("no time")
	}
	seen := map[vsphere.Ref]vsphere.VM{}
	for _, vm := range inventory.VMs {
		if _, twice := seen[vm.Ref]; twice {
			t.Errorf("%s twice", vm.Ref)
		}
		seen[vm.Ref] = vm
	}
	return seen
}

func (s *site) move(t *testing.T, ref vsphere.Ref, path string) {
	t.Helper()
	folder, err := find.NewFinder(s.admin(t, ref).Client()).Folder(t.Context(), path)
	must(t, err)
	task, err := folder.MoveInto(t.Context(), []types.ManagedObjectReference{s.admin(t, ref).Reference()})
	wait(t, task, err)
}

func TestSweep(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	if got := s.sweep(t); len(got) != 0 {
		t.Errorf("new folder has %v", got)
	}
	vm, own := s.make(t, "web-1")
	_, moved := s.make(t, "web-2")
	_, gone := s.make(t, "web-3")
	s.move(t, moved.Ref, "/DC0/vm")
	must(t, s.Destroy(t.Context(), gone))
	got := s.sweep(t, moved.Ref, own.Ref, gone.Ref, moved.Ref)
	if len(got) != 2 || !got[own.Ref].Owned(pool) || got[moved.Ref].Mark.Machine != moved.Machine {
		t.Errorf("%v", got)
	}
	light, want := got[own.Ref], vm
	want.Detail, want.CreateDate, want.CPUs, want.MemoryMiB, want.Host, want.Datastore = false, time.Time{}, 0, 0, "", ""
	if !reflect.DeepEqual(light, want) {
		t.Errorf("sweep has %+v, read without detail is %+v", light, want)
	}
	if got := s.sweep(t); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

func TestSweepSeesWhatTheGuestSays(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	_, own := s.make(t, "web-1")
	if got := s.sweep(t)[own.Ref]; got.ToolsRunning || len(got.IPs) != 0 {
		t.Errorf("off: %+v", got)
	}
	must(t, s.PowerOn(t.Context(), own))
	s.setExtra(t, own.Ref, "SET.guest.ipAddress", "10.1.2.3")
	light, detailed := s.sweep(t)[own.Ref], s.read(t, own.Ref)
	if !slices.Contains(light.IPs, "10.1.2.3") || !slices.Equal(light.IPs, detailed.IPs) {
		t.Errorf("sweep has %v, read has %v", light.IPs, detailed.IPs)
	}
}

func TestSweepShowsForeignVMs(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	_, own := s.make(t, "web-1")
	admin := s.admin(t, own.Ref).Client()
	finder := find.NewFinder(admin)
	folder, err := finder.Folder(t.Context(), s.sim.Template().Folder)
	must(t, err)
	template := s.sim.Template()
	resources, err := finder.ResourcePool(t.Context(), template.ResourcePool)
	must(t, err)
	task, err := folder.CreateVM(t.Context(), types.VirtualMachineConfigSpec{
		Name: "foreign", GuestId: "otherGuest", Files: &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0]"},
	}, resources, nil)
	foreign := wait(t, task, err).Result.(types.ManagedObjectReference)
	got := s.sweep(t)
	if len(got) != 2 || got[vsphere.Ref(foreign.Value)].Mark != nil {
		t.Errorf("%v", got)
	}
}

func TestFolderDeleted(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	_, own := s.make(t, "web-1")
	s.move(t, own.Ref, "/DC0/vm")
	folder, err := find.NewFinder(s.admin(t, own.Ref).Client()).Folder(t.Context(), s.sim.Template().Folder)
	must(t, err)
	task, err := folder.Destroy(t.Context())
	wait(t, task, err)
	_, err = s.Sweep(t.Context(), []vsphere.Ref{own.Ref})
	wantKind(t, err, vsphere.NotFound)
}

func TestDamagedMarksCountAsNone(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	_, own := s.make(t, "web-1")
	s.setExtra(t, own.Ref, "vspherepool.mark", "v9;whatever")
	s.setExtra(t, own.Ref, "vspherepool.status", "nonsense")
	if got := s.sweep(t)[own.Ref]; got.Mark != nil || got.Status != nil {
		t.Errorf("%+v", got)
	}
	wantKind(t, s.Destroy(t.Context(), own), vsphere.NotOurs)
}

func TestHints(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := t.Context()
	_, first := s.make(t, "web-1")
	_, second := s.make(t, "web-2")
	hints := func() []vsphere.Ref {
		t.Helper()
		refs, err := s.Hints(ctx)
		must(t, err)
		return refs
	}
	hints() // may still name what was made this very moment
	if refs := hints(); len(refs) != 0 {
		t.Errorf("nothing happened: %v", refs)
	}
	must(t, s.PowerOn(ctx, vsphere.Ownership{Ref: first.Ref, Machine: first.Machine}))
	if refs := hints(); !slices.Equal(refs, []vsphere.Ref{first.Ref}) {
		t.Errorf("power on of %s: %v", first.Ref, refs)
	}
	s.sweep(t)
	must(t, s.Destroy(ctx, second))
	if refs := hints(); slices.Contains(refs, second.Ref) {
		t.Errorf("destroyed %s, which is known: %v", second.Ref, refs)
	}
	task, err := s.admin(t, first.Ref).PowerOff(ctx)
	wait(t, task, err)
	task, err = s.admin(t, first.Ref).Destroy(ctx)
	wait(t, task, err)
	if refs := hints(); !slices.Contains(refs, first.Ref) {
		t.Errorf("destroyed from outside %s: %v", first.Ref, refs)
	}
}
