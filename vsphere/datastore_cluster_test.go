package vsphere_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// withCluster puts all datastores into a datastore cluster.
func withCluster(t *testing.T, template *vsphere.Template, admin *vim25.Client) *object.StoragePod {
	t.Helper()
	finder := find.NewFinder(admin)
	root, err := finder.Folder(t.Context(), "/DC0/datastore")
	must(t, err)
	pod, err := root.CreateStoragePod(t.Context(), "Gold")
	must(t, err)
	stores, err := finder.DatastoreList(t.Context(), "/DC0/datastore/LocalDS_*")
	must(t, err)
	var refs []types.ManagedObjectReference
	for _, s := range stores {
		refs = append(refs, s.Reference())
	}
	task, err := pod.MoveInto(t.Context(), refs)
	wait(t, task, err)
	template.DatastoreCluster = "/DC0/datastore/Gold"
	return pod
}

func TestDatastoreCluster(t *testing.T) {
	t.Parallel()
	s := newShop(t, simulator.Options{}, func(template *vsphere.Template, admin *vim25.Client) { withCluster(t, template, admin) })
	must(t, s.sim.SetFreeSpace("LocalDS_0", gibibyte))
	vm, _ := s.make(t, "web-1")
	if vm.Datastore != "LocalDS_1" {
		t.Errorf("on %s, though vcsim recommends them in order and LocalDS_0 has no room", vm.Datastore)
	}
	asked := recorded[*types.RecommendDatastores](s.journal)
	if len(asked) != 1 {
		t.Fatalf("asked %d times", len(asked))
	}
	spec := asked[0].StorageSpec
	if spec.Type != "clone" || spec.CloneName != "web-1" || spec.CloneSpec.Location.Datastore != nil || spec.Vm == nil || spec.Folder == nil {
		t.Errorf("%+v", spec)
	}
	if cancelled := recorded[*types.CancelStorageDrsRecommendation](s.journal); len(cancelled) != 1 || len(cancelled[0].Key) != 3 {
		t.Errorf("cancelled %+v", cancelled)
	}
}

// Between the question and the clone nobody else asks.
func TestDatastoreClusterIsAskedInTurn(t *testing.T) {
	t.Parallel()
	s := newShop(t, simulator.Options{}, func(template *vsphere.Template, admin *vim25.Client) { withCluster(t, template, admin) })
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			task, err := s.Clone(t.Context(), order(fmt.Sprintf("web-%d", i)))
			if err == nil {
				_, err = s.Await(t.Context(), task)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	open := 0
	for _, r := range recorded[any](s.journal) {
		switch r.(type) {
		case *types.RecommendDatastores:
			open++
		case *types.CancelStorageDrsRecommendation:
			open--
		}
		if open > 1 {
			t.Fatal("asked again before the last recommendations were used up")
		}
	}
}

func TestDatastoreClusterIsAskedAgainOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, simulator.Options{}, func(template *vsphere.Template, admin *vim25.Client) { withCluster(t, template, admin) })
		s.full(t)
		began := time.Now()
		_, err := s.Clone(t.Context(), order("web-1"))
		wantKind(t, err, vsphere.Storage)
		if !strings.Contains(err.Error(), "LocalDS_0 has 1.0 GiB free") {
			t.Error(err)
		}
		asked, cancelled := recorded[*types.RecommendDatastores](s.journal), recorded[*types.CancelStorageDrsRecommendation](s.journal)
		if len(asked) != 2 || len(cancelled) != 2 || time.Since(began) < 5*time.Second {
			t.Errorf("asked %d times within %s, cancelled %d times", len(asked), time.Since(began), len(cancelled))
		}
		go func() {
			time.Sleep(time.Second)
			_ = s.sim.SetFreeSpace("LocalDS_2", 100*gibibyte)
		}()
		vm, _ := s.make(t, "web-2")
		if vm.Datastore != "LocalDS_2" {
			t.Errorf("on %s", vm.Datastore)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s.full(t)
		time.Sleep(10 * time.Second)
		_, err = s.Clone(ctx, order("web-3"))
		wantKind(t, err, vsphere.Unreachable)
	})
}

func TestStorageDrsThatIsOffIsAFlaw(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, simulator.Options{})
	vc, err := sim.Client(t.Context())
	must(t, err)
	template := sim.Template()
	pod := withCluster(t, &template, vc)
	off := types.StorageDrsConfigSpec{PodConfigSpec: &types.StorageDrsPodConfigSpec{Enabled: new(false)}}
	task, err := object.NewStorageResourceManager(vc).ConfigureStorageDrsForPod(t.Context(), pod, off, true)
	wait(t, task, err)
	c, err := vsphere.New(t.Context(), pool, vc, template)
	must(t, err)
	defer c.Close(t.Context())
	wantKind(t, c.Site().Flaw, vsphere.Misconfigured)
	if !strings.Contains(c.Site().Flaw.Error(), "/DC0/datastore/Gold: Storage DRS is off") {
		t.Error(c.Site().Flaw)
	}
}
