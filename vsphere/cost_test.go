package vsphere_test

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/vmware/govmomi/event"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// tally counts calls by the type of their bodies.
type tally struct {
	next soap.RoundTripper

	mu    sync.Mutex
	calls map[string]int
	total int
}

func (c *tally) RoundTrip(ctx context.Context, req, res soap.HasFault) error {
	c.mu.Lock()
	c.calls[reflect.TypeOf(req).Elem().Name()]++
	c.total++
	c.mu.Unlock()
	return c.next.RoundTrip(ctx, req, res)
}

// since is the number of calls that work makes.
func (c *tally) since(work func()) int {
	c.mu.Lock()
	before := c.total
	c.mu.Unlock()
	work()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total - before
}

// counted is a client whose calls are counted, over a folder of that many VMs.
func counted(t *testing.T, vms int) (*vsphere.Client, *tally) {
	t.Helper()
	sim := newSimulator(t, simulator.Options{})
	vc, err := sim.Client(t.Context())
	must(t, err)
	counter := &tally{next: vc.RoundTripper, calls: map[string]int{}}
	vc.RoundTripper = counter
	client, err := vsphere.New(t.Context(), pool, vc, sim.Template())
	must(t, err)
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	admin, err := sim.Client(t.Context())
	must(t, err)
	finder := find.NewFinder(admin)
	folder, err := finder.Folder(t.Context(), sim.Template().Folder)
	must(t, err)
	resources, err := finder.ResourcePool(t.Context(), sim.Template().ResourcePool)
	must(t, err)
	var tasks []*object.Task
	for i := range vms {
		task, err := folder.CreateVM(t.Context(), types.VirtualMachineConfigSpec{
			Name: fmt.Sprintf("vm%d", i), GuestId: "otherGuest", Files: &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0]"},
		}, resources, nil)
		must(t, err)
		tasks = append(tasks, task)
	}
	for _, task := range tasks {
		wait(t, task, nil)
	}
	return client, counter
}

func TestSteadyCost(t *testing.T) {
	t.Parallel()
	client, counter := counted(t, 200)
	ctx := t.Context()
	_, err := client.Hints(ctx)
	must(t, err)
	const sweepsPerMinute = 2
	minute := counter.since(func() {
		for range sweepsPerMinute {
			inventory, err := client.Sweep(ctx, nil)
			must(t, err)
			if len(inventory.VMs) != 200 {
				t.Errorf("%d VMs", len(inventory.VMs))
			}
		}
	})
	if minute > 10 {
		t.Errorf("%d calls a minute at rest: %v", minute, counter.calls)
	}
	if poll := counter.since(func() { _, err = client.Hints(ctx) }); poll != 1 || err != nil {
		t.Errorf("a poll for events made %d calls, %v", poll, err)
	}
	inventory, err := client.Sweep(ctx, nil)
	must(t, err)
	var refs []vsphere.Ref
	for _, vm := range inventory.VMs[:50] {
		refs = append(refs, vm.Ref)
	}
	for range 2 {
		if read := counter.since(func() { _, _, err = client.Read(ctx, refs) }); read > 2 || err != nil {
			t.Errorf("a detailed read of 50 VMs made %d calls, %v", read, err)
		}
	}
	if read := counter.since(func() { _, _, err = client.Read(ctx, refs) }); read != 1 || err != nil {
		t.Errorf("once hosts are known it made %d calls, %v", read, err)
	}
}

func TestLargeFoldersAreReadPageByPage(t *testing.T) {
	t.Parallel()
	client, counter := counted(t, 1100)
	var inventory vsphere.Inventory
	var err error
	calls := counter.since(func() { inventory, err = client.Sweep(t.Context(), nil) })
	must(t, err)
	seen := map[vsphere.Ref]bool{}
	for _, vm := range inventory.VMs {
		seen[vm.Ref] = true
	}
	if len(inventory.VMs) != 1100 || len(seen) != 1100 || calls != 3 {
		t.Errorf("%d VMs, %d different ones, in %d calls", len(inventory.VMs), len(seen), calls)
	}
}

func TestCustomizationIsKnownFromEvents(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := t.Context()
	_, own := s.make(t, "web-1")
	_, err := s.Hints(ctx)
	must(t, err)
	admin := s.admin(t, own.Ref)
	task, err := admin.Customize(ctx, types.CustomizationSpec{
		Identity: &types.CustomizationLinuxPrep{HostName: &types.CustomizationVirtualMachineName{}, Domain: "example"},
		NicSettingMap: []types.CustomizationAdapterMapping{
			{Adapter: types.CustomizationIPSettings{Ip: &types.CustomizationDhcpIpGenerator{}}},
		},
	})
	wait(t, task, err)
	expect := func(when string, want vsphere.Customization) {
		t.Helper()
		_, err = s.Hints(ctx)
		must(t, err)
		if light, detailed := s.sweep(t)[own.Ref].Customization, s.read(t, own.Ref).Customization; light != want || detailed != want {
			t.Errorf("%s: %q, in detail %q, want %q", when, light, detailed, want)
		}
	}
	expect("off", "")
	must(t, s.PowerOn(ctx, own))
	expect("on", vsphere.CustomizationSucceeded)
	failure := &types.CustomizationSysprepFailed{SysprepVersion: "3", SystemVersion: "3"}
	failure.Vm = &types.VmEventArgument{Vm: admin.Reference()}
	must(t, event.NewManager(admin.Client()).PostEvent(ctx, failure))
	expect("failed", vsphere.CustomizationFailed)
}
