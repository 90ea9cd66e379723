package vsphere_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

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
