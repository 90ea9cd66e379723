package vsphere

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// dueTo is a fault's part that tells what caused it.
func dueTo(causes ...types.BaseMethodFault) types.MethodFault {
	return types.MethodFault{FaultCause: &types.LocalizedMethodFault{Fault: causes[0], LocalizedMessage: "the cause in words"}}
}

func vim(causes ...types.BaseMethodFault) types.VimFault {
	return types.VimFault{MethodFault: dueTo(causes...)}
}

func hosts(reasons ...types.BaseMethodFault) *types.NoCompatibleHost {
	f := &types.NoCompatibleHost{}
	for _, reason := range reasons {
		f.Error = append(f.Error, types.LocalizedMethodFault{Fault: reason, LocalizedMessage: "host says " + nameOf(reason)})
	}
	return f
}

var someRef = types.ManagedObjectReference{Type: "ResourcePool", Value: "resgroup-9"}

// faultRows has every fault type of the table, and troubles that are told by what a fault carries. says are parts of the message.
var faultRows = []struct {
	trouble string
	fault   types.BaseMethodFault
	kind    Kind
	says    string
}{
	{"session lost", &types.NotAuthenticated{}, Unreachable, ""},
	{"login refused", &types.InvalidLogin{}, BadLogin, "username and password"},
	{"password expired", &types.PasswordExpired{}, BadLogin, "renew"},
	{"certificate login", &types.NoClientCertificate{}, BadLogin, "certificate"},
	{"security", &types.SecurityError{}, Forbidden, ""},
	{
		"privilege missing", &types.NoPermission{Object: &someRef, PrivilegeId: "Resource.AssignVMToPool"}, Forbidden,
		"grant the privilege Resource.AssignVMToPool on ResourcePool resgroup-9",
	},
	{
		"privileges missing since 7.0.3", &types.NoPermission{MissingPrivileges: []types.NoPermissionEntityPrivileges{
			{Entity: someRef, PrivilegeIds: []string{"A.B", "C.D"}}, {Entity: vmRef("vm-1"), PrivilegeIds: []string{"E.F"}},
		}}, Forbidden, "grant the privilege A.B and C.D on ResourcePool resgroup-9, and E.F on VirtualMachine vm-1",
	},
	{"vm gone", &types.ManagedObjectNotFound{Obj: vmRef("vm-1")}, NotFound, "there is no VirtualMachine vm-1"},
	{"not found", &types.NotFound{}, Misconfigured, "refers to"},

	{"name taken", &types.DuplicateName{Name: "web-1"}, NameTaken, "another name"},
	{"exists already", &types.AlreadyExists{}, NameTaken, "another name"},
	{"files left over", &types.FileAlreadyExists{FileFault: types.FileFault{File: "[ds] web-1/web-1.vmx"}}, Leftover, "[ds] web-1/web-1.vmx"},

	{"another task", &types.TaskInProgress{Task: types.ManagedObjectReference{Type: "Task", Value: "task-5"}}, Busy, "task-5"},
	{"another task of the vapp", &types.VAppTaskInProgress{}, Busy, ""},
	{"vapp at work", &types.VAppOperationInProgress{}, Busy, ""},
	{"in use", &types.ResourceInUse{}, Busy, ""},
	{"tools being installed", &types.ToolsInstallationInProgress{}, Busy, ""},
	{"method disabled", &types.MethodDisabled{Source: "com.example.backup"}, Locked, "com.example.backup"},
	{"restricted", &types.RestrictedByAdministrator{Details: "backup until five"}, Locked, "backup until five"},
	{"file locked", &types.FileLocked{}, Locked, ""},
	{"question pending", &types.QuestionPending{Text: "Was it moved or copied?"}, Locked, "moved or copied"},
	{"limit exceeded", &types.LimitExceeded{}, TooMany, "less often"},
	{"too many native clones", &types.TooManyConcurrentNativeClones{}, TooMany, ""},
	{"raced", &types.ConcurrentAccess{}, Conflict, ""},
	{"state", &types.InvalidState{}, WrongState, ""},
	{"power state", &types.InvalidPowerState{}, WrongState, ""},
	{"power state as an element", &types.InvalidPowerStateFault{}, WrongState, ""},
	{"no tools", &types.ToolsUnavailable{}, WrongState, ""},

	{"cluster full", &types.InsufficientResourcesFault{}, Capacity, "add hosts"},
	{"memory full", &types.InsufficientMemoryResourcesFault{}, Capacity, "add hosts"},
	{"admission control", &types.InsufficientFailoverResourcesFault{}, Capacity, "admission control"},
	{"maintenance", &types.InvalidHostState{}, Capacity, ""},
	{"no active host", &types.NoActiveHostInCluster{}, Capacity, ""},
	{"hard affinity", &types.NoCompatibleHardAffinityHost{}, Capacity, ""},
	{"soft affinity", &types.NoCompatibleSoftAffinityHost{}, Capacity, ""},
	{"ports exhausted", &types.ResourceNotAvailable{ContainerName: "dvs-1", Type: "port"}, Capacity, "dvs-1"},
	{"no host, no reason", hosts(), Capacity, "add hosts"},
	{"no host has room", hosts(&types.InsufficientMemoryResourcesFault{}, &types.InsufficientCpuResourcesFault{}), Capacity, "host says"},
	{"no host has the network", hosts(&types.CannotAccessNetwork{}), Misconfigured, "have the network"},
	{"no host answers", hosts(&types.HostNotConnected{}, &types.HostNotReachable{}), HostDown, "HA"},
	{"no host sees the datastore", hosts(&types.InaccessibleDatastore{}), Inaccessible, "paths"},
	{"no host for several reasons", hosts(&types.CannotAccessNetwork{}, &types.InsufficientCpuResourcesFault{}), Capacity, "add hosts"},
	{"host down", &types.HostNotConnected{}, HostDown, ""},
	{"host lost", &types.HostCommunication{}, HostDown, ""},
	{"host connection", &types.HostConnectFault{}, HostDown, ""},
	{"licences used up", &types.NotEnoughLicenses{}, Licence, "licences"},
	{"licence over", &types.LicenseExpired{}, Licence, "licences"},
	{"licence invalid", &types.InvalidLicense{}, Licence, ""},
	{"licence server", &types.LicenseServerUnavailable{}, Licence, ""},

	{"space", &types.InsufficientStorageSpace{}, Storage, "free space"},
	{"iops", &types.InsufficientStorageIops{}, Storage, ""},
	{"disk full", &types.NoDiskSpace{Datastore: "ds-7"}, Storage, "ds-7"},
	{"no datastore fits", &types.NoCompatibleDatastore{}, Storage, ""},
	{"datastore in maintenance", &types.InvalidDatastoreState{}, Storage, "maintenance"},
	{"datastore unfit", &types.InvalidDatastore{Name: "ds-8"}, Storage, "ds-8"},
	{"file", &types.FileFault{}, Storage, ""},
	{"swap file does not fit", &types.GenericVmConfigFault{Reason: "Failed to extend swap file"}, Storage, "extend swap file"},
	{"generic with a cause", &types.GenericVmConfigFault{VmConfigFault: types.VmConfigFault{
		VimFault: vim(&types.InsufficientMemoryResourcesFault{}),
	}}, Capacity, "the cause in words"},
	{"datastore lost", &types.InaccessibleDatastore{}, Inaccessible, "nothing is replaced"},
	{"datastore read-only", &types.DatastoreNotWritableOnHost{}, Inaccessible, ""},
	{"file out of reach", &types.CannotAccessFile{}, Inaccessible, ""},
	{"copy broke off", &types.NetworkCopyFault{}, Inaccessible, ""},
	{"configuration out of reach", &types.CannotAccessVmConfig{}, Inaccessible, ""},
	{"component out of reach", &types.CannotAccessVmComponent{}, Inaccessible, ""},
	{"disk file locked", &types.CannotAccessVmDisk{Fault: types.LocalizedMethodFault{Fault: &types.FileLocked{}}}, Locked, "what holds it"},

	{"argument", &types.InvalidArgument{InvalidProperty: "spec.pool"}, Misconfigured, "does not accept spec.pool"},
	{"cpus", &types.NumVirtualCpusExceedsLimit{}, Misconfigured, "provisioning template"},
	{"property", &types.InvalidProperty{Name: "config.x"}, Misconfigured, "config.x"},
	{"request", &types.InvalidRequest{}, Misconfigured, ""},
	{"name", &types.InvalidName{}, Misconfigured, "nameTemplate"},
	{"folder", &types.InvalidFolder{}, Misconfigured, ""},
	{"not supported", &types.NotSupported{}, Misconfigured, ""},
	{"vm configuration", &types.VmConfigFault{}, Misconfigured, ""},
	{
		"device", &types.InvalidDeviceSpec{InvalidVmConfig: types.InvalidVmConfig{Property: "deviceChange[1].device"}}, Misconfigured,
		"deviceChange[1].device",
	},
	{"network out of reach", &types.CannotAccessNetwork{}, Misconfigured, "have the network"},
	{"vapp", &types.VAppConfigFault{}, Misconfigured, ""},
	{"snapshot", &types.SnapshotFault{}, Misconfigured, "snapshot anew"},
	{"snapshot format", &types.InvalidSnapshotFormat{}, Misconfigured, "snapshot"},
	{"migration", &types.MigrationFault{}, Misconfigured, ""},
	{"customization", &types.CustomizationFault{}, Misconfigured, "customization"},
	{"cards do not match", &types.NicSettingMismatch{}, Misconfigured, "customization"},

	{"timed out", &types.Timedout{}, Cancelled, "took too long"},
	{"cancelled", &types.RequestCanceled{}, Cancelled, "cancelled"},
	{"system error", &types.SystemError{Reason: "vpxd said so"}, Unknown, "vpxd said so"},
	{
		"system error with a cause", &types.SystemError{RuntimeFault: types.RuntimeFault{MethodFault: dueTo(&types.NoDiskSpace{})}},
		Storage, "the cause in words",
	},
	{"no row", &types.RuntimeFault{}, Unknown, ""},
	{"no row but a cause", &types.HostConfigFault{VimFault: vim(&types.InsufficientCpuResourcesFault{})}, Capacity, "add hosts"},
}

// carriers are the errors that bring a fault: of a call, of a missing property, of a task.
func carriers(f types.BaseMethodFault) map[string]error {
	decoded := reflect.ValueOf(f).Elem().Interface() // a call's fault is decoded as a value
	return map[string]error{
		"call":     soapFault(decoded),
		"property": soap.WrapVimFault(f),
		"task":     taskFault{task.Error{LocalizedMethodFault: &types.LocalizedMethodFault{Fault: f}}, "task-77"},
		"wrapped":  fmt.Errorf("wrapped: %w", soapFault(decoded)),
	}
}

func TestFaultTable(t *testing.T) {
	for _, row := range faultRows {
		t.Run(row.trouble, func(t *testing.T) {
			for carrier, err := range carriers(row.fault) {
				got := wrap("clone vm", "web-1", err)
				if KindOf(got) != row.kind {
					t.Errorf("by %s: %s, want %s", carrier, KindOf(got), row.kind)
				}
				for _, part := range []string{"clone vm web-1: ", row.says, nameOf(row.fault)} {
					if !strings.Contains(got.Error(), part) {
						t.Errorf("by %s: %q lacks %q", carrier, got, part)
					}
				}
				if carrier == "task" && !strings.Contains(got.Error(), "task-77") {
					t.Errorf("%q does not name the task", got)
				}
			}
		})
	}
}

func TestEveryTreatedFaultHasATrouble(t *testing.T) {
	var tried []string
	for _, row := range faultRows {
		tried = append(tried, nameOf(row.fault))
	}
	for name := range treatments {
		if !slices.Contains(tried, name) {
			t.Errorf("no row of the test has %s", name)
		}
	}
}

func TestEveryKindHasAName(t *testing.T) {
	seen := map[string]bool{}
	for k := Unknown; k <= Cancelled; k++ {
		if k.String() == "" || seen[k.String()] {
			t.Errorf("kind %d is called %q", k, k)
		}
		seen[k.String()] = true
	}
	if (Cancelled+1).String() != "" || Kind(-1).String() != "" {
		t.Error("what is no kind has a name")
	}
}

// A chain of causes that never ends must not end the process.
func TestCausesWithoutEnd(t *testing.T) {
	loop := &types.SystemError{}
	loop.FaultCause = &types.LocalizedMethodFault{Fault: loop, LocalizedMessage: "again"}
	if err := wrap("clone vm", "web-1", soap.WrapVimFault(loop)); KindOf(err) != Unknown || strings.Count(err.Error(), "again") != 1 {
		t.Error(err)
	}
}

func TestObjectsGoByTheirNames(t *testing.T) {
	names := newLabels()
	names.add(someRef, "/DC0/host/C0/Resources/web")
	denied := soapFault(types.NoPermission{Object: &someRef, PrivilegeId: "Resource.AssignVMToPool"})
	got := wrap("clone vm", "web-1", names.on(denied)).Error()
	want := "clone vm web-1: refused (NoPermission): grant the privilege Resource.AssignVMToPool on " +
		"/DC0/host/C0/Resources/web (ResourcePool resgroup-9)"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for i := range labelsKept {
		names.add(vmRef(Ref(fmt.Sprint("vm-", i))), "web")
	}
	if len(names.known) > labelsKept {
		t.Errorf("%d names are kept", len(names.known))
	}
}
