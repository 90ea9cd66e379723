package actors

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere/simulator"
)

// TestAShareOfTheMembersLost loses three of ten machines at once, as with a host or a datastore: the pool freezes and thaws by itself.
func TestAShareOfTheMembersLost(t *testing.T) {
	t.Parallel()
	type state = types.VirtualMachineConnectionState
	together(t, map[string]state{
		"disconnected": types.VirtualMachineConnectionStateDisconnected, "inaccessible": types.VirtualMachineConnectionStateInaccessible,
		"orphaned": types.VirtualMachineConnectionStateOrphaned, "invalid": types.VirtualMachineConnectionStateInvalid,
	}, func(t *testing.T, state state) {
		p := throughProxy(t, 1, nil)
		p.grow(10)
		before := p.running()
		var lost []string
		for _, m := range p.in(Running)[:3] {
			lost = append(lost, m.Metadata.VM)
		}
		p.proxy.Reset()
		p.make(simulator.Trouble{Rewrite: simulator.Lose(state, func(vm string) bool { return slices.Contains(lost, vm) })})
		p.within(15*time.Second, "frozen", func() bool {
			f, err := p.pool.Frozen(t.Context())
			return err == nil && f.Frozen && !f.Manual && len(f.Reasons) > 0
		})
		f, _ := p.pool.Frozen(t.Context())
		t.Logf("%q", f.Reasons)
		p.holds(lasting(3*time.Second), func() bool { return true })
		p.untouched(before)
		p.make(simulator.Trouble{})
		p.within(comeToRest, "thawed", func() bool { f, err := p.pool.Frozen(t.Context()); return err == nil && !f.Frozen })
		p.untouched(before)
		p.grow(11)
	})
}

// untouched says that the machines are the ones from before, and that vSphere was not asked to change anything.
func (p *proxied) untouched(before []string) {
	p.t.Helper()
	if now := p.running(); !slices.Equal(now, before) {
		p.t.Errorf("the machines were %v, are %v\n%s", before, now, p.log.String())
	}
	for name, n := range p.proxy.Calls() {
		if strings.HasSuffix(name, "_Task") {
			p.t.Errorf("%d calls of %s", n, name)
		}
	}
}

// TestListingsThatTellLessChangeNothing lets vCenter leave VMs out of its answers, once and for a while.
func TestListingsThatTellLessChangeNothing(t *testing.T) {
	all := func(string) bool { return true }
	type rewrite = func(bool, *types.RetrieveResult)
	t.Parallel()
	together(t, map[string]rewrite{
		"empty":                 simulator.Empty,
		"an empty folder":       simulator.Omit(all, false),
		"no VM anywhere":        simulator.Omit(all, true),
		"a third is left out":   simulator.Omit(simulator.Some(1, 0.34), false),
		"truncated":             simulator.Truncate(""),
		"a token of no page":    simulator.Truncate("none"),
		"everything is hidden":  simulator.Hide(&types.NoPermission{PrivilegeId: "System.Read"}),
		"the session is hidden": simulator.Hide(&types.NotAuthenticated{}),
	}, func(t *testing.T, less rewrite) {
		p := throughProxy(t, 1, nil)
		p.grow(10)
		before := p.running()
		p.proxy.Reset()
		var told atomic.Bool
		p.make(simulator.Trouble{Rewrite: func(listing bool, result *types.RetrieveResult) {
			if !listing || told.CompareAndSwap(false, true) {
				less(listing, result)
			}
		}})
		p.holds(lasting(time.Second), func() bool { return true })
		p.untouched(before)
		p.make(simulator.Trouble{Rewrite: less})
		p.holds(lasting(3*time.Second), func() bool { return true })
		p.untouched(before)
		p.make(simulator.Trouble{})
		p.recover("the machines from before", 10)
		p.untouched(before)
		if n := p.logins(); n > 1 {
			t.Errorf("%d logins", n)
		}
		p.grow(11)
	})
}

// TestLostPrivilegesAreReported takes privileges away, one after the other: the status says in one sentence which, where and what for.
func TestLostPrivilegesAreReported(t *testing.T) {
	folder := &types.ManagedObjectReference{Type: "Folder", Value: "group-v42"}
	t.Parallel()
	type loss struct {
		method, privilege string
		// cause makes the pool do what it may not.
		cause func(*proxied)
		// purpose is part of what the status says that it was for.
		purpose string
	}
	together(t, map[string]loss{
		"clone":    {"CloneVM_Task", "VirtualMachine.Inventory.CreateFromExisting", func(p *proxied) { p.resize(4) }, "clone"},
		"power on": {"PowerOnVM_Task", "VirtualMachine.Interact.PowerOn", func(p *proxied) { p.resize(4) }, "power on"},
		"destroy":  {"Destroy_Task", "VirtualMachine.Inventory.Delete", func(p *proxied) { p.resize(2) }, "destroy"},
		"list":     {"RetrievePropertiesEx Folder", "System.Read", func(*proxied) {}, "list"},
	}, func(t *testing.T, test loss) {
		p := throughProxy(t, 1, nil)
		p.grow(3)
		p.make(simulator.Trouble{Inject: []simulator.Injection{
			{Method: test.method, Fault: &types.NoPermission{PrivilegeId: test.privilege, Object: folder}},
			{Method: "PowerOnMultiVM_Task", Fault: &types.NotSupported{}},
		}})
		test.cause(p)
		said := ""
		p.within(comeToRest, "reported: "+test.privilege, func() bool {
			st, err := p.pool.Status(t.Context())
			said = fmt.Sprintf("%+v", st)
			return err == nil && strings.Contains(said, test.privilege) && strings.Contains(said, "group-v42") &&
				strings.Contains(strings.ToLower(said), test.purpose)
		})
		t.Log(said)
		p.make(simulator.Trouble{})
		size, err := p.pool.Size(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.within(2*comeToRest, "the privilege is back", func() bool { return p.settled(size.Desired) })
	})
}
