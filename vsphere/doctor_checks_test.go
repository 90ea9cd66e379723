package vsphere

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

var (
	theTemplate  = types.ManagedObjectReference{Type: "VirtualMachine", Value: "vm-1"}
	theFolder    = types.ManagedObjectReference{Type: "Folder", Value: "group-v1"}
	thePool      = types.ManagedObjectReference{Type: "ResourcePool", Value: "resgroup-1"}
	theCluster   = types.ManagedObjectReference{Type: "ClusterComputeResource", Value: "domain-c1"}
	theStore     = types.ManagedObjectReference{Type: "Datastore", Value: "datastore-1"}
	otherStore   = types.ManagedObjectReference{Type: "Datastore", Value: "datastore-2"}
	theStorePod  = types.ManagedObjectReference{Type: "StoragePod", Value: "group-p1"}
	theNetwork   = types.ManagedObjectReference{Type: "Network", Value: "network-1"}
	oneHost      = types.ManagedObjectReference{Type: "HostSystem", Value: "host-1"}
	anotherHost  = types.ManagedObjectReference{Type: "HostSystem", Value: "host-2"}
	everySetting = Template{
		Template: "/DC0/vm/t", Folder: "/DC0/vm/web", CPUs: 1, MemoryMiB: 1, DiskGiB: 1, Networks: []string{"/DC0/network/n"},
		DatastoreCluster: "/DC0/datastore/pod", StoragePolicy: "gold", Customization: "linux",
		CloudInit: CloudInit{UserData: "#cloud-config"},
	}
)

// examined is an examination of a healthy site, as if it had been read.
func examined(edit func(*examination)) *examination {
	e := &examination{
		c: &Client{pool: "web", vim: &vim25.Client{}, place: placement{
			folder: theFolder, source: theTemplate, needs: footprint{disks: 1 << 30, swap: 4 << 30},
		}},
		template: Template{Template: "/DC0/vm/t", Folder: "/DC0/vm/web"},
		account:  "svc-pool@vsphere.local",
		targets: []target{
			{OnFolder, theFolder, "/DC0/vm/web"},
			{OnTemplate, theTemplate, "/DC0/vm/t"},
			{OnResourcePool, thePool, ""},
			{OnCluster, theCluster, ""},
			{OnDatastore, theStore, ""},
			{OnNetwork, theNetwork, "/DC0/network/n"},
		},
		seen: map[types.ManagedObjectReference]types.ObjectContent{},
	}
	e.show(theFolder, "name", "web")
	e.show(theTemplate, "name", "t", "config.template", true, "runtime.connectionState", types.VirtualMachineConnectionStateConnected,
		"runtime.powerState", types.VirtualMachinePowerStatePoweredOff, "guest.toolsVersionStatus2", "guestToolsUnmanaged")
	e.show(thePool, "name", "Resources", "owner", theCluster)
	e.show(theCluster, "name", "C0", "host", listOf(oneHost, anotherHost), "configurationEx", drs(true))
	e.show(theStore, "name", "ds1", "summary", types.DatastoreSummary{Name: "ds1", Accessible: true, FreeSpace: 1 << 40},
		"host", types.ArrayOfDatastoreHostMount{DatastoreHostMount: []types.DatastoreHostMount{{Key: oneHost}, {Key: anotherHost}}})
	e.show(theNetwork, "name", "n", "host", listOf(oneHost, anotherHost))
	for _, host := range []types.ManagedObjectReference{oneHost, anotherHost} {
		e.show(host, "name", "esx-"+host.Value, "runtime.connectionState", types.HostSystemConnectionStateConnected)
	}
	if edit != nil {
		edit(e)
	}
	return e
}

// show sets properties, given as names and values in turn.
func (e *examination) show(ref types.ManagedObjectReference, properties ...any) {
	o := e.seen[ref]
	o.Obj = ref
	for i := 0; i < len(properties); i += 2 {
		name := properties[i].(string)
		o.PropSet = slices.DeleteFunc(o.PropSet, func(p types.DynamicProperty) bool { return p.Name == name })
		o.PropSet = append(o.PropSet, types.DynamicProperty{Name: name, Val: properties[i+1]})
	}
	e.seen[ref] = o
}

func listOf(refs ...types.ManagedObjectReference) types.ArrayOfManagedObjectReference {
	return types.ArrayOfManagedObjectReference{ManagedObjectReference: refs}
}

func drs(on bool) types.ClusterConfigInfoEx {
	return types.ClusterConfigInfoEx{DrsConfig: types.ClusterDrsConfigInfo{Enabled: &on, DefaultVmBehavior: types.DrsBehaviorFullyAutomated}}
}

func summary(free int64, accessible bool, maintenance string) types.DatastoreSummary {
	return types.DatastoreSummary{Name: "ds", Accessible: accessible, FreeSpace: free, MaintenanceMode: maintenance}
}

// TestDoctorChecks has one row per finding that a check can make; says is part of its message.
func TestDoctorChecks(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		edit     func(*examination)
		check    string
		severity Severity
		says     string
	}{
		"clock ahead":  {func(e *examination) { e.skew = 61 * time.Second }, "clock", Warning, "is 1m0s ahead of"},
		"clock behind": {func(e *examination) { e.skew = -31 * time.Second }, "clock", Warning, "is 30s behind"},
		"flaw": {func(e *examination) {
			e.c.site.Flaw = misconfigured("/DC0/vm/t", "a linked clone needs a snapshot", "take one")
		}, "template", Failure, "a linked clone needs a snapshot"},
		"unreadable": {func(e *examination) {
			e.seen[theStore] = lacking("x", "summary", &types.NoPermission{PrivilegeId: "System.Read"})
		}, "visibility", Warning, "datastore datastore-1 cannot be read"},
		"invisible": {func(e *examination) { delete(e.seen, theNetwork) }, "visibility", Warning, "/DC0/network/n cannot be read"},
		"template disconnected": {func(e *examination) {
			e.show(theTemplate, "runtime.connectionState", types.VirtualMachineConnectionStateInaccessible)
		}, "template", Failure, "is inaccessible"},
		"template running": {func(e *examination) {
			e.show(theTemplate, "runtime.powerState", types.VirtualMachinePowerStatePoweredOn)
		}, "template", Warning, "is powered on"},
		"no tools": {func(e *examination) {
			e.show(theTemplate, "guest.toolsVersionStatus2", "guestToolsNotInstalled")
		}, "tools", Warning, "no VMware Tools in /DC0/vm/t"},
		"name too long": {func(e *examination) { e.c.pool = strings.Repeat("w", 72) }, "names", Failure, "of 81 characters"},
		"Windows name": {func(e *examination) {
			e.c.pool, e.c.site.NameLimit = "windows", 15
		}, "names", Failure, "of 16 characters"},
		"datastore inaccessible": {func(e *examination) {
			e.show(theStore, "summary", summary(1<<40, false, ""))
		}, "datastores", Failure, "not accessible"},
		"datastore in maintenance": {func(e *examination) {
			e.show(theStore, "summary", summary(1<<40, true, "inMaintenance"))
		}, "datastores", Failure, "maintenance"},
		"datastore full": {func(e *examination) {
			e.show(theStore, "summary", summary(6<<30-1, true, "normal"))
		}, "datastores", Failure, "a machine takes"},
		"one of two datastores full": {func(e *examination) {
			e.targets = append(e.targets, target{on: OnDatastore, ref: otherStore})
			e.show(otherStore, "name", "ds2", "summary", summary(0, true, "normal"),
				"host", types.ArrayOfDatastoreHostMount{DatastoreHostMount: []types.DatastoreHostMount{{Key: oneHost}, {Key: anotherHost}}})
		}, "datastores", Warning, "ds2 (datastore-2) has 0.0 GiB free"},
		"datastore of a cluster full": {func(e *examination) {
			e.targets = append(e.targets, target{on: OnDatastoreCluster, ref: theStorePod})
			e.show(theStorePod, "childEntity", listOf(otherStore))
			e.show(otherStore, "name", "ds2", "summary", summary(0, true, "normal"),
				"host", types.ArrayOfDatastoreHostMount{DatastoreHostMount: []types.DatastoreHostMount{{Key: oneHost}, {Key: anotherHost}}})
		}, "datastores", Warning, "ds2 (datastore-2) has 0.0 GiB free"},
		"host disconnected": {func(e *examination) {
			e.show(oneHost, "runtime.connectionState", types.HostSystemConnectionStateNotResponding)
		}, "hosts", Warning, "esx-host-1 (host-1) is notResponding"},
		"host in maintenance": {func(e *examination) { e.show(oneHost, "runtime.inMaintenanceMode", true) }, "hosts", Warning, "maintenance"},
		"datastore unseen by one": {func(e *examination) {
			e.show(theStore, "host", types.ArrayOfDatastoreHostMount{DatastoreHostMount: []types.DatastoreHostMount{
				{Key: oneHost}, {Key: anotherHost, MountInfo: types.HostMountInfo{Accessible: new(false)}},
			}})
		}, "reach", Warning, "datastore ds1 (datastore-1) is not seen by esx-host-2"},
		"datastore unseen by all": {func(e *examination) {
			e.show(theStore, "host", types.ArrayOfDatastoreHostMount{})
		}, "reach", Failure, "no host"},
		"network unseen by one": {func(e *examination) {
			e.show(theNetwork, "host", listOf(oneHost))
		}, "reach", Warning, "/DC0/network/n is not seen"},
		"template's network unseen": {func(e *examination) {
			e.targets = slices.DeleteFunc(e.targets, func(t target) bool { return t.on == OnNetwork })
			e.show(theTemplate, "network", listOf(theNetwork))
			e.show(theNetwork, "host", listOf(anotherHost))
		}, "reach", Warning, "network n (network-1) is not seen by esx-host-1"},
		"named host only": {func(e *examination) {
			e.targets = append(e.targets, target{onHost, oneHost, "/DC0/host/C0/esx-host-1"})
			e.show(anotherHost, "runtime.inMaintenanceMode", true) // does not matter
			e.show(theNetwork, "host", listOf(anotherHost))
		}, "reach", Failure, "no host"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var found []Finding
			e := examined(row.edit)
			for _, check := range checks {
				found = append(found, check(e)...)
			}
			found = slices.DeleteFunc(found, func(f Finding) bool { return f.Severity == Fine })
			if len(found) != 1 || found[0].Check != row.check || found[0].Severity != row.severity || !strings.Contains(found[0].Message, row.says) {
				t.Fatalf("found %+v", found)
			}
			if found[0].Remedy == "" {
				t.Error("it does not say what to do")
			}
		})
	}
}

func TestDoctorHealthySite(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		edit func(*examination)
		says []string
	}{
		"as it is": {nil, []string{"the template /DC0/vm/t is there", "ds1 (datastore-1) has 1024.0 GiB free", "DRS is on in cluster C0"}},
		"linked": {func(e *examination) {
			e.c.place.linked, e.c.place.snapshot, e.c.place.snapshotName = true, &types.ManagedObjectReference{}, "base"
		}, []string{"linked clones of snapshot base of /DC0/vm/t"}},
		"no DRS": {func(e *examination) { e.show(theCluster, "configurationEx", drs(false)) }, []string{"DRS is off on cluster C0"}},
		"ready without tools": {func(e *examination) {
			e.template.Ready = ReadyPoweredOn
			e.show(theTemplate, "guest.toolsVersionStatus2", "guestToolsNotInstalled")
		}, nil},
		"network's hosts unknown": {func(e *examination) { e.show(theNetwork, "host", listOf()) }, nil},
		"longest names":           {func(e *examination) { e.c.pool = strings.Repeat("w", 71) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := examined(row.edit)
			var texts []string
			for _, check := range checks {
				for _, f := range check(e) {
					texts = append(texts, f.Message)
					if f.Severity != Fine {
						t.Errorf("found %+v", f)
					}
				}
			}
			for _, text := range row.says {
				if !strings.Contains(strings.Join(texts, "\n"), text) {
					t.Errorf("%q is not among %q", text, texts)
				}
			}
		})
	}
}

func TestDoctorNoHosts(t *testing.T) {
	t.Parallel()
	e := examined(func(e *examination) {
		e.show(oneHost, "runtime.inMaintenanceMode", true)
		e.show(anotherHost, "runtime.connectionState", types.HostSystemConnectionStateDisconnected)
	})
	found := ordered(checkHosts(e))
	if len(found) != 3 || found[0].Severity != Failure || found[0].Message != "no host can take machines" {
		t.Errorf("found %+v", found)
	}
}

// TestPrivilegeTable takes each row of the whole table away in turn, with every setting used and every premise true.
func TestPrivilegeTable(t *testing.T) {
	t.Parallel()
	objects := map[Scope]types.ManagedObjectReference{
		OnRoot: {Type: "Folder", Value: "group-d1"}, OnDatacenter: {Type: "Datacenter", Value: "datacenter-1"}, OnCluster: theCluster,
		OnTemplate: theTemplate, OnFolder: theFolder, OnParent: {Type: "Folder", Value: "group-v0"}, OnResourcePool: thePool,
		OnDatastore: theStore, OnDatastoreCluster: theStorePod, OnNetwork: theNetwork,
	}
	for _, gone := range privileges {
		e := examined(func(e *examination) {
			e.template, e.targets, e.allowed = everySetting, nil, map[types.ManagedObjectReference][]string{}
			for scope, ref := range objects {
				e.involve(scope, ref, "")
			}
			for _, p := range privileges {
				if p.ID != gone.ID || p.On != gone.On {
					e.allowed[objects[p.On]] = append(e.allowed[objects[p.On]], p.ID)
				}
			}
			e.show(theTemplate, "config.keyId", types.CryptoKeyId{}, "config.vAppConfig", types.VmConfigInfo{},
				"config.template", gone.ID != "VirtualMachine.Provisioning.Clone")
			if gone.On == OnDatastore {
				e.template.DatastoreCluster = ""
			}
		})
		found := checkPrivileges(e)
		if gone.ID == "Folder.Create" { // the folder is there
			if len(found) != 1 || found[0].Severity != Fine {
				t.Errorf("without %s: %+v", gone.ID, found)
			}
			continue
		}
		if len(found) != 1 || !strings.Contains(found[0].Message, gone.ID+" on ") || !strings.Contains(found[0].Message, gone.For) {
			t.Errorf("without %s on %s: %+v", gone.ID, gone.On, found)
		}
	}
}

func TestPrivilegesOfTemplates(t *testing.T) {
	t.Parallel()
	bare := ids(Template{}.Privileges())
	all := ids(everySetting.Privileges())
	if whole := ids(privileges); !slices.Equal(all, whole) {
		t.Errorf("every setting needs %v, the table has %v", all, whole)
	}
	for _, only := range []struct {
		edit func(*Template)
		adds []string
	}{
		{func(t *Template) { t.CPUs = 2 }, []string{"VirtualMachine.Config.CPUCount"}},
		{func(t *Template) { t.MemoryMiB = 2 }, []string{"VirtualMachine.Config.Memory"}},
		{func(t *Template) { t.DiskGiB = 2 }, []string{"VirtualMachine.Config.DiskExtend", "VirtualMachine.Config.EditDevice"}},
		{func(t *Template) { t.Networks = []string{"n"} }, []string{
			"VirtualMachine.Config.AddRemoveDevice", "VirtualMachine.Config.EditDevice", "Network.Assign",
		}},
		{func(t *Template) { t.CloudInit.UserData = "x" }, []string{"VApp.ApplicationConfig"}},
		{func(t *Template) { t.Customization = "x" }, []string{
			"VirtualMachine.Provisioning.ReadCustSpecs", "VirtualMachine.Provisioning.Customize",
		}},
		{func(t *Template) { t.StoragePolicy = "x" }, []string{"StorageProfile.View"}},
		{func(t *Template) { t.DatastoreCluster = "x" }, []string{"Resource.ApplyRecommendation"}},
	} {
		var edited Template
		only.edit(&edited)
		added := slices.DeleteFunc(ids(edited.Privileges()), func(id string) bool { return slices.Contains(bare, id) })
		if !slices.Equal(added, only.adds) {
			t.Errorf("adds %v, want %v", added, only.adds)
		}
	}
	for _, p := range privileges {
		if p.For == "" || (p.If == "") != (p.keys == nil && p.site == nil) {
			t.Errorf("%s on %s does not say what it is for, or when", p.ID, p.On)
		}
	}
}

func TestDiagnose(t *testing.T) {
	t.Parallel()
	f := Diagnose("connection", wrap("log in", "svc", misconfigured("", "no password", "set password")))
	want := Finding{Check: "connection", Object: "svc", Severity: Failure, Message: "log in svc: no password", Remedy: "set password"}
	if f != want {
		t.Errorf("%+v, want %+v", f, want)
	}
}
