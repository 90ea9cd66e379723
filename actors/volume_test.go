package actors

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// TestADiskFromElsewhereSurvivesTheTermination attaches a volume to a member, as a storage plug-in does, and one more to a machine that is
// then powered off from outside.
func TestADiskFromElsewhereSurvivesTheTermination(t *testing.T) {
	inSimulator(t, func(t *testing.T, s *stack) {
		ms := s.in(Running)
		files := []string{s.attachVolume(ms[0], "one"), s.attachVolume(ms[1], "two")}
		if _, err := s.pool.Terminate(t.Context(), string(ms[0].ID), true); err != nil {
			t.Fatal(err)
		}
		s.done(s.vm(ms[1]).PowerOff(t.Context()))
		s.after(30 * time.Minute)
		for i, file := range files {
			if s.exists(s.vm(ms[i])) {
				t.Errorf("machine %d is still there", i)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("the disk is gone with machine %d: %v", i, err)
			}
		}
	})
}

// attachVolume makes a disk in a directory of its own and attaches it; the result is its file.
func (s *stack) attachVolume(m Machine, name string) string {
	s.t.Helper()
	ctx := s.t.Context()
	datacenter, err := find.NewFinder(s.admin).Datacenter(ctx, "DC0")
	if err != nil {
		s.t.Fatal(err)
	}
	home := "[" + m.Metadata.Datastore + "] volume-" + name
	if err := object.NewFileManager(s.admin).MakeDirectory(ctx, home, datacenter, true); err != nil {
		s.t.Fatal(err)
	}
	file := home + "/" + name + ".vmdk"
	s.done(object.NewVirtualDiskManager(s.admin).CreateVirtualDisk(ctx, file, datacenter, &types.FileBackedVirtualDiskSpec{
		VirtualDiskSpec: types.VirtualDiskSpec{AdapterType: "lsiLogic", DiskType: "thin"}, CapacityKb: 1024,
	}))
	devices, err := s.vm(m).Device(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	controller, err := devices.FindDiskController("")
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.vm(m).AddDevice(ctx, devices.CreateDisk(controller, types.ManagedObjectReference{}, file)); err != nil {
		s.t.Fatal(err)
	}
	found, err := find.NewFinder(s.admin).Datastore(ctx, "/DC0/datastore/"+m.Metadata.Datastore)
	if err != nil {
		s.t.Fatal(err)
	}
	var store mo.Datastore
	if err := found.Properties(ctx, found.Reference(), []string{"summary.url"}, &store); err != nil {
		s.t.Fatal(err)
	}
	return filepath.Join(store.Summary.Url, "volume-"+name, name+".vmdk")
}
