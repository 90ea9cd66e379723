package vsphere

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/vmware/govmomi/vim25/types"
)

func TestStrangers(t *testing.T) {
	t.Parallel()
	moded := func(mode string) *types.VirtualDisk {
		d := disk(1, "[ds] data/d.vmdk")
		d.Backing.(*types.VirtualDiskFlatVer2BackingInfo).DiskMode = mode
		return d
	}
	fcd := disk(1, "[ds] web-1/fcd.vmdk")
	fcd.VDiskId = &types.ID{Id: "1"}
	child := disk(1, "[ds] web-1/web-1.vmdk")
	child.Backing.(*types.VirtualDiskFlatVer2BackingInfo).Parent = &types.VirtualDiskFlatVer2BackingInfo{
		VirtualDeviceFileBackingInfo: types.VirtualDeviceFileBackingInfo{FileName: "[ds] template/template.vmdk"},
	}
	elsewhere := disk(1, "[ds] data/d.vmdk")
	elsewhere.ControllerKey = 15000
	raw := &types.VirtualDisk{VirtualDevice: types.VirtualDevice{Backing: &types.VirtualDiskLocalPMemBackingInfo{}}}
	for name, row := range map[string]struct {
		disk     *types.VirtualDisk
		stranger bool
	}{
		"its own":                {disk(1, "[ds] web-1/web-1.vmdk"), false},
		"a linked clone's":       {child, false},
		"in another directory":   {disk(1, "[ds] web-10/web-1.vmdk"), true},
		"in one below":           {disk(1, "[ds] web-1/sub/web-1.vmdk"), true},
		"on another datastore":   {disk(1, "[ds2] web-1/web-1.vmdk"), true},
		"at the datastore's top": {disk(1, "[ds] web-1.vmdk"), true},
		"independent":            {moded("independent_persistent"), true},
		"nonpersistent":          {moded("independent_nonpersistent"), true},
		"of another controller":  {elsewhere, true},
		"first class":            {fcd, true},
		"without a file":         {raw, true},
		"without a backing":      {&types.VirtualDisk{}, true},
	} {
		if got := strangers([]types.BaseVirtualDevice{row.disk}, "[ds] web-1/web-1.vmx"); (len(got) == 1) != row.stranger {
			t.Errorf("%s: %v", name, got)
		}
	}
	if beside("[ds] a.vmdk", "[ds] b.vmx") {
		t.Error("a datastore's root is taken for a VM's own directory")
	}
}

func devices(disks ...types.BaseVirtualDevice) types.ArrayOfVirtualDevice {
	return types.ArrayOfVirtualDevice{VirtualDevice: disks}
}

// TestDestroyTakesNoChances lists what has to keep a VM from being destroyed, and what is done before.
func TestDestroyTakesNoChances(t *testing.T) {
	t.Parallel()
	foreign := devices(disk(2000, "[ds] vm-1/disk.vmdk"), disk(2001, "[ds] data/d.vmdk"))
	detached := func(p *plant) {
		p.single = func(method, vm string) (types.BaseMethodFault, error) {
			if method == "reconfigure" {
				p.vms[vm]["config.hardware.device"] = devices(disk(2000, "[ds] vm-1/disk.vmdk"))
			}
			return nil, nil
		}
	}
	failing := func(at string, f types.BaseMethodFault, err error) func(*plant) {
		return func(p *plant) {
			p.single = func(method, _ string) (types.BaseMethodFault, error) {
				if method == at {
					return f, err
				}
				return nil, nil
			}
		}
	}
	for name, row := range map[string]struct {
		prepare func(*plant)
		kind    Kind
		calls   []string
	}{
		"nothing special":      {func(*plant) {}, works, []string{"destroy vm-1"}},
		"on":                   {func(p *plant) { p.on("vm-1") }, WrongState, nil},
		"gone":                 {func(p *plant) { delete(p.vms, "vm-1") }, works, nil},
		"not ours":             {func(p *plant) { p.vms["vm-1"]["config.instanceUuid"] = "another" }, NotOurs, nil},
		"its devices hidden":   {func(p *plant) { delete(p.vms["vm-1"], "config.hardware.device") }, Busy, nil},
		"its devices empty":    {func(p *plant) { p.vms["vm-1"]["config.hardware.device"] = devices() }, Busy, nil},
		"its directory hidden": {func(p *plant) { delete(p.vms["vm-1"], "config.files.vmPathName") }, Busy, nil},
		"its host disconnected": {func(p *plant) {
			p.vms["vm-1"]["runtime.connectionState"] = types.VirtualMachineConnectionStateDisconnected
		}, HostDown, nil},
		"orphaned": {func(p *plant) {
			p.vms["vm-1"]["runtime.connectionState"] = types.VirtualMachineConnectionStateOrphaned
		}, Inaccessible, nil},
		"a foreign disk": {func(p *plant) {
			p.vms["vm-1"]["config.hardware.device"] = foreign
			detached(p)
		}, works, []string{"reconfigure vm-1", "destroy vm-1"}},
		"a foreign disk that stays": {func(p *plant) {
			p.vms["vm-1"]["config.hardware.device"] = foreign
		}, Busy, []string{"reconfigure vm-1"}},
		"a foreign disk, and no task to tell": {func(p *plant) {
			p.vms["vm-1"]["config.hardware.device"] = foreign
			p.amnesia = true
		}, Busy, []string{"reconfigure vm-1"}},
		"a foreign disk that something holds": {func(p *plant) {
			p.vms["vm-1"]["config.hardware.device"] = foreign
			failing("reconfigure", &types.ManagedObjectNotFound{Obj: types.ManagedObjectReference{Type: "Datastore", Value: "ds-1"}}, nil)(p)
		}, NotFound, []string{"reconfigure vm-1"}},
		"gone in between": {failing("destroy", &types.ManagedObjectNotFound{Obj: vmRef("vm-1")}, nil), works, []string{"destroy vm-1"}},
		"something else is gone": {
			failing("destroy", &types.ManagedObjectNotFound{Obj: vmRef("vm-2")}, nil), NotFound, []string{"destroy vm-1"},
		},
		"a backup":                 {failing("destroy", nil, soapFault(&types.MethodDisabled{Source: "b"})), Locked, []string{"destroy vm-1"}},
		"an administrator":         {failing("destroy", nil, soapFault(&types.RestrictedByAdministrator{})), Locked, []string{"destroy vm-1"}},
		"a file lock":              {failing("destroy", &types.FileLocked{}, nil), Locked, []string{"destroy vm-1"}},
		"another task":             {failing("destroy", &types.TaskInProgress{}, nil), Busy, []string{"destroy vm-1"}},
		"its host lost":            {failing("destroy", &types.HostNotConnected{}, nil), HostDown, []string{"destroy vm-1"}},
		"the answer lost":          {failing("destroy", nil, io.ErrUnexpectedEOF), Unreachable, []string{"destroy vm-1"}},
		"the task lost, VM gone":   {func(p *plant) { p.amnesia = true }, works, []string{"destroy vm-1"}},
		"a success that was none":  {revive, Busy, []string{"destroy vm-1"}},
		"the task lost, VM stayed": {func(p *plant) { revive(p); p.amnesia = true }, Busy, []string{"destroy vm-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, c := newPlant(t, 1)
			row.prepare(p)
			err := c.Destroy(t.Context(), own("vm-1"))
			if (err == nil) != (row.kind == works) || err != nil && KindOf(err) != row.kind {
				t.Errorf("%v", err)
			}
			if calls := p.calls(); !slices.Equal(calls, row.calls) {
				t.Errorf("calls %q, want %q", calls, row.calls)
			}
		})
	}
}

// revive makes destroys report a success and leave the VM.
func revive(p *plant) { p.undying = true }

func TestPowerOffIsNotFooled(t *testing.T) {
	t.Parallel()
	off := &types.InvalidPowerState{ExistingState: types.VirtualMachinePowerStatePoweredOff}
	for name, row := range map[string]struct {
		prepare func(*plant)
		kind    Kind
	}{
		"on":   {func(p *plant) { p.on("vm-1") }, works},
		"off":  {func(*plant) {}, works},
		"gone": {func(p *plant) { delete(p.vms, "vm-1") }, works},
		"off by then": {func(p *plant) {
			p.on("vm-1")
			p.single = func(_, _ string) (types.BaseMethodFault, error) { return off, nil }
		}, works},
		"task lost": {func(p *plant) { p.on("vm-1"); p.amnesia = true }, Busy},
		"host lost": {func(p *plant) {
			p.on("vm-1")
			p.single = func(_, _ string) (types.BaseMethodFault, error) { return nil, soapFault(&types.HostNotConnected{}) }
		}, HostDown},
		"host gone": {func(p *plant) {
			p.on("vm-1")
			host := types.ManagedObjectReference{Type: "HostSystem", Value: "host-1"}
			p.single = func(_, _ string) (types.BaseMethodFault, error) { return &types.ManagedObjectNotFound{Obj: host}, nil }
		}, NotFound},
	} {
		p, c := newPlant(t, 1)
		row.prepare(p)
		err := c.PowerOff(t.Context(), own("vm-1"))
		if (err == nil) != (row.kind == works) || err != nil && KindOf(err) != row.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBusyNamesWhoIsAtWork(t *testing.T) {
	t.Parallel()
	p, c := newPlant(t, 1)
	p.on("vm-1")
	other := p.task("vm-1", "VirtualMachine.createSnapshot", nil, nil)
	info := p.tasks[other.Value]
	info.Reason = &types.TaskReasonUser{UserName: `EXAMPLE\backup`}
	p.tasks[other.Value] = info
	p.single = func(_, _ string) (types.BaseMethodFault, error) {
		return nil, soapFault(&types.TaskInProgress{Task: other})
	}
	err := c.PowerOff(t.Context(), own("vm-1"))
	if KindOf(err) != Busy || !strings.Contains(err.Error(), `task-1 (VirtualMachine.createSnapshot by EXAMPLE\backup) holds it`) {
		t.Error(err)
	}
	p.amnesia = true
	if err := c.PowerOff(t.Context(), own("vm-1")); !strings.Contains(err.Error(), "task-1 holds it") {
		t.Error(err)
	}
	if e, ok := errors.AsType[*Error](err); !ok || e.Fault != "TaskInProgress" {
		t.Errorf("%#v", e)
	}
}

func TestOriginator(t *testing.T) {
	t.Parallel()
	for want, reason := range map[string]any{
		"joe":                       types.TaskReasonUser{UserName: "joe"},
		"the scheduled task weekly": types.TaskReasonSchedule{Name: "weekly"},
		"the alarm full":            types.TaskReasonAlarm{AlarmName: "full"},
		"vCenter itself":            types.TaskReasonSystem{},
		"":                          nil,
	} {
		if got := originator(types.ObjectContent{PropSet: []types.DynamicProperty{{Name: "info.reason", Val: reason}}}); got != want {
			t.Errorf("%T: %q", reason, got)
		}
	}
}
