package vsphere_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

func (g *guarded) examine(t *testing.T) []vsphere.Finding {
	t.Helper()
	found, err := g.Examine(t.Context())
	must(t, err)
	return found
}

func bad(found []vsphere.Finding) []vsphere.Finding {
	return slices.DeleteFunc(slices.Clone(found), func(f vsphere.Finding) bool { return f.Severity == vsphere.Fine })
}

func TestExamineHealthySite(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*vsphere.Template){"linked": nil, "sized": sized} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGuarded(t, edit)
			g.make(t, "web-1")
			before := g.calls
			found := g.examine(t)
			if len(bad(found)) > 0 {
				t.Errorf("found %+v", bad(found))
			}
			if g.calls-before > 15 {
				t.Errorf("%d calls", g.calls-before)
			}
			for _, check := range []string{"vcenter", "privileges", "template", "datastores", "drs"} {
				if !slices.ContainsFunc(found, func(f vsphere.Finding) bool { return f.Check == check }) {
					t.Errorf("nothing said of %s", check)
				}
			}
		})
	}
}

// TestExamineEachPrivilege takes one privilege after the other away: exactly that one is reported, with its object and its purpose.
func TestExamineEachPrivilege(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, sized)
	tried := 0
	for _, p := range g.template.Privileges() {
		if p.Uncertain() && p.ID != "VirtualMachine.Provisioning.DeployTemplate" { // the source is a template, without encryption and vApp
			continue
		}
		tried++
		g.without(p)
		found := bad(g.examine(t))
		if len(found) != 1 {
			t.Errorf("without %s on %s: %+v", p.ID, p.On, found)
			continue
		}
		f, want := found[0], vsphere.Failure
		if p.Optional() {
			want = vsphere.Warning
		}
		if f.Severity != want || f.Check != "privileges" || !strings.Contains(f.Object, string(p.On)) || f.Remedy == "" {
			t.Errorf("without %s on %s: %+v", p.ID, p.On, f)
		}
		for _, part := range []string{p.ID + " on ", "administrator@vsphere.local", "the pool cannot " + p.For, p.Otherwise} {
			if !strings.Contains(f.Message, part) {
				t.Errorf("without %s: %q does not say %q", p.ID, f.Message, part)
			}
		}
	}
	if tried < 20 {
		t.Errorf("only %d privileges tried", tried)
	}
}

// TestExamineMissingRole is what a folder without a permission looks like: one finding with all that is missing.
func TestExamineMissingRole(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, nil)
	g.grant(func(p vsphere.Privilege) bool { return p.On != vsphere.OnFolder })
	found := bad(g.examine(t))
	if len(found) != 2 || found[0].Severity != vsphere.Failure || found[1].Severity != vsphere.Warning {
		t.Fatalf("found %+v", found)
	}
	want := "the account administrator@vsphere.local lacks VirtualMachine.Inventory.CreateFromExisting, VirtualMachine.Config.AddNewDisk, " +
		"VirtualMachine.Config.AdvancedConfig, VirtualMachine.Config.Settings, VirtualMachine.Interact.PowerOn, " +
		"VirtualMachine.Interact.PowerOff, VirtualMachine.Inventory.Delete on folder /DC0/vm/pools/web: the pool cannot make machines, " +
		"mark machines as its own, give machines their identity, power machines on, shut machines down, destroy machines"
	if found[0].Message != want {
		t.Errorf("message is\n%s, want\n%s", found[0].Message, want)
	}
}

// TestExamineUnpropagated finds a permission that is on the folder only.
func TestExamineUnpropagated(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, nil)
	vm, _ := g.make(t, "web-1")
	g.grants[types.ManagedObjectReference{Type: "VirtualMachine", Value: string(vm.Ref)}] = []string{"VirtualMachine.Interact.PowerOn"}
	found := bad(g.examine(t))
	if len(found) != 2 || !strings.Contains(found[0].Object, "web-1") || !strings.Contains(found[0].Remedy, "propagate") {
		t.Errorf("found %+v", found)
	}
	if strings.Contains(found[0].Message, "PowerOn") || strings.Contains(found[0].Message, "CreateFromExisting") {
		t.Errorf("%q says too much", found[0].Message)
	}
}

func TestExamineAsksAnotherWay(t *testing.T) {
	t.Parallel()
	ways := []string{"FetchUserPrivilegeOnEntities", "HasUserPrivilegeOnEntities", "HasPrivilegeOnEntities"}
	for refused := range ways {
		g := newGuarded(t, nil)
		for _, way := range ways[:refused] {
			g.broken[way] = &types.NoPermission{PrivilegeId: "System.View"}
		}
		g.without(vsphere.Privilege{ID: "VirtualMachine.Inventory.Delete", On: vsphere.OnFolder})
		found := bad(g.examine(t))
		if len(found) != 1 || !strings.Contains(found[0].Message, "VirtualMachine.Inventory.Delete") {
			t.Errorf("with %d ways refused: %+v", refused, found)
		}
	}
}

// TestExamineUnknownAccount is a vCenter that does not recognize the session's name of its user.
func TestExamineUnknownAccount(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, nil)
	g.ignorant = true
	if found := bad(g.examine(t)); len(found) > 0 {
		t.Errorf("found %+v", found)
	}
	g.broken["HasUserPrivilegeOnEntities"], g.broken["HasPrivilegeOnEntities"] = &types.NoPermission{}, &types.NoPermission{}
	found := bad(g.examine(t))
	if len(found) != 1 || found[0].Severity != vsphere.Warning || !strings.Contains(found[0].Message, "vCenter knows of none") {
		t.Errorf("found %+v", found)
	}
}

// TestExamineGoesOn is that a check which fails by itself says so and keeps no other from being made.
func TestExamineGoesOn(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, nil)
	for _, way := range []string{"FetchUserPrivilegeOnEntities", "HasUserPrivilegeOnEntities", "HasPrivilegeOnEntities", "CurrentTime"} {
		g.broken[way] = &types.NoPermission{Object: &g.folder, PrivilegeId: "System.View"}
	}
	found := g.examine(t)
	failed := bad(found)
	if len(failed) != 2 || failed[0].Check != "clock" || failed[1].Check != "privileges" {
		t.Fatalf("found %+v", failed)
	}
	for _, f := range failed {
		if f.Severity != vsphere.Warning || !strings.Contains(f.Message, "could not be checked") {
			t.Errorf("found %+v", f)
		}
	}
	if len(found) < 5 {
		t.Errorf("only %d findings", len(found))
	}
}

func TestExamineOutage(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, nil)
	g.broken["CurrentTime"] = &types.NotAuthenticated{}
	_, err := g.Examine(t.Context())
	wantKind(t, err, vsphere.Unreachable)
}

// TestExamineFlaw reports all references that do not resolve, not only the first.
func TestExamineFlaw(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(t *vsphere.Template) {
		t.Datastore, t.ResourcePool, t.Networks = "/DC0/datastore/x", "/DC0/host/DC0_C0/Resources/none", []string{"/DC0/network/none"}
	})
	found, err := s.Examine(t.Context())
	must(t, err)
	var failed []string
	for _, f := range found {
		if f.Severity == vsphere.Failure {
			failed = append(failed, f.Object)
		}
	}
	slices.Sort(failed)
	want := []string{"/DC0/datastore/x", "/DC0/host/DC0_C0/Resources/none", "/DC0/network/none"}
	if !slices.Equal(failed, want) {
		t.Errorf("failures are about %v, want %v: %+v", failed, want, found)
	}
}

// TestPrivilegesSuffice lives a machine's life, with a disk of somebody else's, on nothing but what the table says.
func TestPrivilegesSuffice(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*vsphere.Template){"linked": nil, "sized": sized} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGuarded(t, edit)
			if err := g.live(t, "web-1"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPrivilegesAreNeeded takes each required privilege away: the machine's life breaks off with an error that names it and its object.
func TestPrivilegesAreNeeded(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, sized)
	for _, p := range g.template.Privileges() {
		unenforced := p.System() || p.On == vsphere.OnParent || p.ID == "VirtualMachine.Interact.AnswerQuestion" ||
			p.Uncertain() && p.ID != "VirtualMachine.Provisioning.DeployTemplate"
		if unenforced || p.On == vsphere.OnDatacenter {
			continue
		}
		g.without(p)
		err := g.live(t, "web-"+strings.ToLower(strings.ReplaceAll(p.ID, ".", "-")))
		wantKind(t, err, vsphere.Forbidden)
		if !strings.Contains(err.Error(), p.ID) {
			t.Errorf("without %s: %v", p.ID, err)
		}
		if ref := g.objects[p.On]; p.On != vsphere.OnFolder && !strings.Contains(err.Error(), ref.Value) {
			t.Errorf("without %s on %s: %v", p.ID, ref, err)
		}
	}
}

// TestPrivilegesWithout is that the pool works without those that it can do without.
func TestPrivilegesWithout(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, nil)
	g.grant(func(p vsphere.Privilege) bool { return !p.Optional() || p.ID == "VirtualMachine.Config.RemoveDisk" })
	if err := g.live(t, "web-1"); err != nil {
		t.Error(err)
	}
}

// TestExamineDatastoreCluster asks for the privileges on the cluster, and looks at the datastores in it.
func TestExamineDatastoreCluster(t *testing.T) {
	t.Parallel()
	s := newShop(t, simulator.Options{}, func(template *vsphere.Template, admin *vim25.Client) { withCluster(t, template, admin) })
	must(t, s.sim.SetFreeSpace("LocalDS_0", 0))
	found, err := s.Examine(t.Context())
	must(t, err)
	if failed := bad(found); len(failed) != 1 || failed[0].Check != "datastores" || !strings.Contains(failed[0].Message, "LocalDS_0") {
		t.Errorf("found %+v", failed)
	}
}

// live makes a machine, attaches another's disk to it, uses it and destroys it. The first error ends it.
func (g *guarded) live(t *testing.T, name string) error {
	t.Helper()
	ctx, o := t.Context(), order(name)
	task, err := g.Clone(ctx, o)
	if err != nil {
		return err
	}
	made, err := g.Await(ctx, task)
	must(t, err)
	own := vsphere.Ownership{Ref: made.Ref, Machine: o.ID}
	g.attachDisk(t, made.Ref)
	for _, step := range []func() error{
		func() error { return g.PowerOn(ctx, own) },
		func() error { return g.Write(ctx, own, vsphere.Change{Status: &o.Status}) },
		func() error { return g.PowerOff(ctx, own) },
		func() error { return g.Destroy(ctx, own) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// attachDisk is what an administrator does, who may do everything.
func (g *guarded) attachDisk(t *testing.T, ref vsphere.Ref) {
	t.Helper()
	devices, err := g.admin(t, ref).Device(t.Context())
	must(t, err)
	controller, err := devices.FindDiskController("")
	must(t, err)
	disk := devices.CreateDisk(controller, g.objects[vsphere.OnDatastore], "[LocalDS_0] "+string(ref)+"-data.vmdk")
	disk.CapacityInKB = 1 << 20
	spec, err := object.VirtualDeviceList{disk}.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	must(t, err)
	g.reconfigure(t, ref, types.VirtualMachineConfigSpec{DeviceChange: spec})
}
