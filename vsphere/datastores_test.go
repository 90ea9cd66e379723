package vsphere_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	vcsim "github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

const gibibyte = 1 << 30

// journal records what reaches a simulator that changes something.
type journal struct {
	mu       sync.Mutex
	requests []any
	answer   func(request any) types.BaseMethodFault
}

func (j *journal) hook(_ string, request any) types.BaseMethodFault {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.requests = append(j.requests, request)
	if j.answer == nil {
		return nil
	}
	return j.answer(request)
}

func (j *journal) refuse(answer func(request any) types.BaseMethodFault) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.answer = answer
}

// recorded are the requests of a type.
func recorded[T any](j *journal) []T {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []T
	for _, r := range j.requests {
		if typed, ok := r.(T); ok {
			found = append(found, typed)
		}
	}
	return found
}

// counter counts the calls of a client by method.
type counter struct {
	soap.RoundTripper
	mu    sync.Mutex
	calls map[string]int
}

func (c *counter) RoundTrip(ctx context.Context, req, res soap.HasFault) error {
	c.mu.Lock()
	c.calls[strings.TrimSuffix(reflect.TypeOf(req).Elem().Name(), "Body")]++
	c.mu.Unlock()
	return c.RoundTripper.RoundTrip(ctx, req, res)
}

func (c *counter) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.calls)
}

func (c *counter) count(method string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[method]
}

// shop is a simulator with three datastores, 100, 200 and 300 GiB free, what reaches it, and a client.
type shop struct {
	*site
	journal *journal
	counter *counter
}

func newShop(t *testing.T, o simulator.Options, edit func(*vsphere.Template, *vim25.Client)) *shop {
	t.Helper()
	o.Datastores = 3
	sim := newSimulator(t, o)
	for i := range 3 {
		must(t, sim.SetFreeSpace(fmt.Sprintf("LocalDS_%d", i), int64(i+1)*100*gibibyte))
	}
	admin, err := sim.Client(t.Context())
	must(t, err)
	template := sim.Template()
	if edit != nil {
		edit(&template, admin)
	}
	vc, err := sim.Client(t.Context())
	must(t, err)
	count := &counter{RoundTripper: vc.RoundTripper, calls: map[string]int{}}
	vc.RoundTripper = count
	client, err := vsphere.New(t.Context(), pool, vc, template)
	must(t, err)
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	must(t, client.Site().Flaw)
	j := &journal{}
	sim.Before(j.hook)
	count.reset()
	return &shop{site: &site{Client: client, sim: sim}, journal: j, counter: count}
}

func everyDatastore(template *vsphere.Template, _ *vim25.Client) {
	for i := range 3 {
		template.Datastores = append(template.Datastores, fmt.Sprintf("/DC0/datastore/LocalDS_%d", i))
	}
}

func (s *shop) full(t *testing.T) {
	t.Helper()
	for i := range 3 {
		must(t, s.sim.SetFreeSpace(fmt.Sprintf("LocalDS_%d", i), gibibyte))
	}
}

func TestClonesGoWhereThereIsRoom(t *testing.T) {
	t.Parallel()
	s := newShop(t, simulator.Options{}, everyDatastore)
	vm, _ := s.make(t, "web-1")
	if vm.Datastore != "LocalDS_2" {
		t.Errorf("on %s", vm.Datastore)
	}
}

func TestFullDatastoreIsAvoided(t *testing.T) {
	t.Parallel()
	s := newShop(t, simulator.Options{}, everyDatastore)
	s.journal.refuse(func(request any) types.BaseMethodFault {
		if _, ok := request.(*types.CloneVM_Task); ok {
			return &types.NoDiskSpace{Datastore: "LocalDS_2"}
		}
		return nil
	})
	task, err := s.Clone(t.Context(), order("web-1"))
	must(t, err)
	_, err = s.Await(t.Context(), task)
	wantKind(t, err, vsphere.Storage)
	s.journal.refuse(nil)
	if vm, _ := s.make(t, "web-2"); vm.Datastore != "LocalDS_1" {
		t.Errorf("on %s", vm.Datastore)
	}
}

func TestRefusedCallTriesTheNextDatastore(t *testing.T) {
	t.Parallel()
	s := newShop(t, simulator.Options{}, everyDatastore)
	s.sim.Model().Service.AddFaultRule(&vcsim.FaultInjectionRule{
		MethodName: "CloneVM_Task", ObjectType: "*", ObjectName: "*", Probability: 1, MaxCount: 2, Enabled: true,
		FaultType: vcsim.FaultTypeCustom, Fault: &types.InsufficientStorageSpace{},
	})
	if vm, _ := s.make(t, "web-1"); vm.Datastore != "LocalDS_0" {
		t.Errorf("on %s", vm.Datastore)
	}
}

func TestNoDatastoreHasRoom(t *testing.T) {
	t.Parallel()
	s := newShop(t, simulator.Options{}, everyDatastore)
	s.full(t)
	_, err := s.Clone(t.Context(), order("web-1"))
	wantKind(t, err, vsphere.Storage)
	for _, text := range []string{"web-1", "LocalDS_0 has 1.0 GiB free", "LocalDS_2 has", "a machine of 5.0 GiB"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q does not say %q", err, text)
		}
	}
	if n := len(recorded[*types.CloneVM_Task](s.journal)); n != 0 {
		t.Errorf("%d clones started", n)
	}
}

// A burst reads the free space once, and never promises more than there is: 100 GiB and more take 8 machines of 5 GiB only while others are
// left.
func TestBurstSharesOneReading(t *testing.T) {
	t.Parallel()
	s := newShop(t, simulator.Options{CloneDelay: time.Second}, everyDatastore)
	for i := range 3 {
		must(t, s.sim.SetFreeSpace(fmt.Sprintf("LocalDS_%d", i), 12*gibibyte))
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, err := s.Clone(t.Context(), order(fmt.Sprintf("web-%d", i)))
			if err != nil && vsphere.KindOf(err) != vsphere.Storage {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := s.counter.count("RetrievePropertiesEx"); n != 1 {
		t.Errorf("%d readings", n)
	}
	if n := s.counter.count("CloneVM_Task"); n != 6 {
		t.Errorf("%d clones of 5 GiB with a headroom of 1 GiB on three datastores with 12 GiB each", n)
	}
}

func TestOneDatastoreIsNotReadBeforeItRefuses(t *testing.T) {
	t.Parallel()
	s := newShop(t, simulator.Options{}, func(template *vsphere.Template, _ *vim25.Client) {
		template.Datastore = "/DC0/datastore/LocalDS_1"
	})
	task, err := s.Clone(t.Context(), order("web-1"))
	must(t, err)
	if n := s.counter.count("RetrievePropertiesEx"); n != 0 || s.counter.count("CloneVM_Task") != 1 {
		t.Errorf("%v", s.counter.calls)
	}
	_, err = s.Await(t.Context(), task)
	must(t, err)
	s.journal.refuse(func(any) types.BaseMethodFault { return &types.NoDiskSpace{} })
	task, err = s.Clone(t.Context(), order("web-2"))
	must(t, err)
	_, err = s.Await(t.Context(), task)
	wantKind(t, err, vsphere.Storage)
	s.full(t)
	_, err = s.Clone(t.Context(), order("web-3"))
	wantKind(t, err, vsphere.Storage)
	if !strings.Contains(err.Error(), "LocalDS_1 has 1.0 GiB free") {
		t.Error(err)
	}
}

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

func twoHosts(template *vsphere.Template, _ *vim25.Client) {
	template.Hosts = []string{"/DC0/host/DC0_C0/DC0_C0_H1", "/DC0/host/DC0_C0/DC0_C0_H2"}
}

func TestHostsShareTheMachines(t *testing.T) {
	t.Parallel()
	s := newShop(t, simulator.Options{}, twoHosts)
	on := map[string]int{}
	for i := range 4 {
		vm, _ := s.make(t, fmt.Sprintf("web-%d", i))
		on[vm.Host]++
	}
	if on["DC0_C0_H1"] != 2 || on["DC0_C0_H2"] != 2 {
		t.Errorf("%v", on)
	}
}

func TestHostInMaintenanceIsPassedOver(t *testing.T) {
	t.Parallel()
	s := newShop(t, simulator.Options{}, twoHosts)
	vc, err := s.sim.Client(t.Context())
	must(t, err)
	h1, err := find.NewFinder(vc).HostSystem(t.Context(), "/DC0/host/DC0_C0/DC0_C0_H1")
	must(t, err)
	task, err := h1.EnterMaintenanceMode(t.Context(), 0, false, nil)
	wait(t, task, err)
	for i := range 2 {
		if vm, _ := s.make(t, fmt.Sprintf("web-%d", i)); vm.Host != "DC0_C0_H2" {
			t.Errorf("on %s", vm.Host)
		}
	}
}

func TestHostThatRefusesIsDropped(t *testing.T) {
	t.Parallel()
	s := newShop(t, simulator.Options{}, twoHosts)
	refused := map[types.ManagedObjectReference]int{}
	s.journal.refuse(func(request any) types.BaseMethodFault {
		if clone, ok := request.(*types.CloneVM_Task); ok && len(refused) < 2 {
			refused[*clone.Spec.Location.Host]++
			return &types.InvalidHostState{}
		}
		return nil
	})
	for i := range 2 {
		task, err := s.Clone(t.Context(), order(fmt.Sprintf("web-%d", i)))
		must(t, err)
		_, err = s.Await(t.Context(), task)
		wantKind(t, err, vsphere.Capacity)
	}
	if len(refused) != 2 {
		t.Errorf("%v", refused)
	}
	_, err := s.Clone(t.Context(), order("web-3"))
	wantKind(t, err, vsphere.Capacity)
	if !strings.Contains(err.Error(), "DC0_C0_H1 refused a machine") || !strings.Contains(err.Error(), "DC0_C0_H2 refused a machine") {
		t.Error(err)
	}
}

func TestHostsOfAnotherClusterAreAFlaw(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, simulator.Options{})
	vc, err := sim.Client(t.Context())
	must(t, err)
	folder, err := find.NewFinder(vc).Folder(t.Context(), "/DC0/host")
	must(t, err)
	task, err := folder.AddStandaloneHost(t.Context(), types.HostConnectSpec{HostName: "stranger"}, true, nil, nil)
	wait(t, task, err)
	template := sim.Template()
	template.Hosts = []string{"/DC0/host/DC0_C0/DC0_C0_H1", "/DC0/host/stranger/stranger"}
	c, err := vsphere.New(t.Context(), pool, vc, template)
	must(t, err)
	defer c.Close(t.Context())
	wantKind(t, c.Site().Flaw, vsphere.Misconfigured)
	if text := c.Site().Flaw.Error(); !strings.Contains(text, "stranger: not in the cluster of the resource pool /DC0/host/DC0_C0/Resources") {
		t.Error(text)
	}
}

func TestStoragePolicy(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		policy string
		method string
		fault  types.BaseMethodFault
		kind   vsphere.Kind
		says   string
	}{
		"known":     {policy: "vSAN Default Storage Policy"},
		"unknown":   {policy: "Gold", kind: vsphere.Misconfigured, says: "vSAN Default Storage Policy"},
		"forbidden": {policy: "Gold", method: "PbmQueryProfile", fault: &types.NoPermission{}, kind: vsphere.Forbidden, says: "StorageProfile.View"},
		"broken": {
			policy: "Gold", method: "PbmRetrieveServiceContent", fault: &types.SystemErrorFault{}, kind: vsphere.Storage, says: "PBM) does not answer",
		},
	} {
		t.Run(name, func(t *testing.T) {
			sim, connection := served(t)
			if row.fault != nil {
				sim.Model().Service.AddFaultRule(&vcsim.FaultInjectionRule{
					MethodName: row.method, ObjectType: "*", ObjectName: "*", Probability: 1, Enabled: true,
					FaultType: vcsim.FaultTypeCustom, Fault: row.fault,
				})
			}
			template := sim.Template()
			template.StoragePolicy = row.policy
			c, err := vsphere.Connect(t.Context(), pool, connection, template)
			must(t, err)
			t.Cleanup(func() { _ = c.Close(context.Background()) })
			if _, err := c.Sweep(t.Context(), nil); err != nil {
				t.Errorf("machines cannot be followed: %v", err)
			}
			if row.says == "" {
				clonesWithPolicy(t, sim, c)
				return
			}
			wantKind(t, c.Site().Flaw, row.kind)
			if !strings.Contains(c.Site().Flaw.Error(), row.says) || !strings.Contains(c.Site().Flaw.Error(), "storagePolicy "+row.policy) {
				t.Error(c.Site().Flaw)
			}
			_, err = c.Clone(t.Context(), order("web-1"))
			wantKind(t, err, row.kind)
		})
	}
}

func clonesWithPolicy(t *testing.T, sim *simulator.Simulator, c *vsphere.Client) {
	t.Helper()
	must(t, c.Site().Flaw)
	j := &journal{}
	sim.Before(j.hook)
	task, err := c.Clone(t.Context(), order("web-1"))
	must(t, err)
	_, err = c.Await(t.Context(), task)
	must(t, err)
	location := recorded[*types.CloneVM_Task](j)[0].Spec.Location
	id := func(profiles []types.BaseVirtualMachineProfileSpec) string {
		return profiles[0].(*types.VirtualMachineDefinedProfileSpec).ProfileId
	}
	if len(location.Profile) != 1 || len(location.Disk) != 1 || id(location.Profile) == "" || id(location.Profile) != id(location.Disk[0].Profile) {
		t.Errorf("%+v", location)
	}
	if d := location.Disk[0]; d.DiskMoveType != location.DiskMoveType || d.Datastore != *location.Datastore || d.DiskId == 0 {
		t.Errorf("%+v", d)
	}
}

func TestStoragePolicyInProcess(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, simulator.Options{})
	vc, err := sim.Client(t.Context())
	must(t, err)
	template := sim.Template()
	template.StoragePolicy = "Gold"
	c, err := vsphere.New(t.Context(), pool, vc, template)
	must(t, err)
	defer c.Close(t.Context())
	wantKind(t, c.Site().Flaw, vsphere.Storage)
}

func TestVanishedReferencesAreNamed(t *testing.T) {
	t.Parallel()
	s := newShop(t, simulator.Options{}, nil)
	var fault func(*types.CloneVM_Task) types.BaseMethodFault
	s.journal.refuse(func(request any) types.BaseMethodFault {
		if clone, ok := request.(*types.CloneVM_Task); ok {
			return fault(clone)
		}
		return nil
	})
	missing := func(ref types.ManagedObjectReference) types.BaseMethodFault {
		return &types.ManagedObjectNotFound{Obj: ref}
	}
	for says, f := range map[string]func(*types.CloneVM_Task) types.BaseMethodFault{
		"snapshot base of template /DC0/vm/templates/ubuntu-24.04": func(c *types.CloneVM_Task) types.BaseMethodFault {
			return missing(*c.Spec.Snapshot)
		},
		"template /DC0/vm/templates/ubuntu-24.04 ":        func(c *types.CloneVM_Task) types.BaseMethodFault { return missing(c.This) },
		"folder /DC0/vm/pools/web":                        func(c *types.CloneVM_Task) types.BaseMethodFault { return missing(c.Folder) },
		"resource pool /DC0/host/DC0_C0/Resources cannot": func(c *types.CloneVM_Task) types.BaseMethodFault { return missing(*c.Spec.Location.Pool) },
		"snapshot base of template": func(*types.CloneVM_Task) types.BaseMethodFault {
			return &types.InvalidSnapshotFormat{}
		},
	} {
		fault = f
		task, err := s.Clone(t.Context(), order("web-1"))
		must(t, err)
		_, err = s.Await(t.Context(), task)
		wantKind(t, err, vsphere.Misconfigured)
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%q does not say %q", err, says)
		}
	}
}
