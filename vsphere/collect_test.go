package vsphere

import (
	"io"
	"testing"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func TestRetrieveReadsAllPages(t *testing.T) {
	c := &Client{vim: scripted(&script{answer: func(n int, _, res soap.HasFault) error {
		page(res, []string{"1", "2", ""}[n-1], vmContent("vm-1"), vmContent("vm-2"))
		return nil
	}})}
	found, err := c.retrieve(t.Context(), types.PropertyFilterSpec{})
	if err != nil || len(found) != 6 {
		t.Fatalf("%d objects, %v", len(found), err)
	}
}

func TestBrokenListingIsCancelledAndNotReturned(t *testing.T) {
	cancelled := ""
	c := &Client{vim: scripted(&script{answer: func(_ int, req, res soap.HasFault) error {
		switch body := req.(type) {
		case *methods.ContinueRetrievePropertiesExBody:
			return io.ErrUnexpectedEOF
		case *methods.CancelRetrievePropertiesExBody:
			cancelled = body.Req.Token
		}
		page(res, "more", vmContent("vm-1"))
		return nil
	}})}
	found, err := c.retrieve(t.Context(), types.PropertyFilterSpec{})
	if KindOf(wrap("read", "", err)) != Unreachable || found != nil || cancelled != "more" {
		t.Fatalf("%v, %v, cancelled %q", found, err, cancelled)
	}
}

func TestHiddenProperties(t *testing.T) {
	for name, row := range map[string]struct {
		object types.ObjectContent
		kept   int
		fails  bool
		kind   Kind
	}{
		"complete":                 {object: vmContent("vm-1"), kept: 1},
		"vanished":                 {object: lacking("vm-1", "name", &types.ManagedObjectNotFound{})},
		"no session":               {object: lacking("vm-1", "name", &types.NotAuthenticated{}), fails: true, kind: Unreachable},
		"no privilege":             {object: lacking("vm-1", "name", &types.NoPermission{}), fails: true, kind: Forbidden},
		"unknown reason":           {object: lacking("vm-1", "name", nil), fails: true, kind: Unreachable},
		"server error":             {object: lacking("vm-1", "name", &types.SystemError{}), fails: true, kind: Unknown},
		"key that is not there":    {object: lacking("vm-1", keyPath(markKey), &types.InvalidProperty{}), kept: 1},
		"key that may not be seen": {object: lacking("vm-1", keyPath(markKey), &types.NoPermission{}), fails: true, kind: Forbidden},
		"property of no version":   {object: lacking("vm-1", "config.x", &types.InvalidProperty{}), fails: true, kind: Misconfigured},
	} {
		kept, err := readable([]types.ObjectContent{row.object})
		if len(kept) != row.kept || (err != nil) != row.fails || row.fails && KindOf(err) != row.kind {
			t.Errorf("%s: kept %d, %v", name, len(kept), err)
		}
	}
}

func TestFolderThatDoesNotAnswerIsNotEmpty(t *testing.T) {
	c := &Client{vim: scripted(&script{answer: func(_ int, _, res soap.HasFault) error {
		page(res, "")
		return nil
	}})}
	c.events = newFeed(c.vim)
	c.place.folder = types.ManagedObjectReference{Type: "Folder", Value: "group-v1"}
	if _, err := c.Sweep(t.Context(), nil); KindOf(err) != NotFound {
		t.Fatal(err)
	}
	page := func(_ int, _, res soap.HasFault) error {
		page(res, "", types.ObjectContent{Obj: c.place.folder})
		return nil
	}
	c.vim.RoundTripper = &script{answer: page}
	if inventory, err := c.Sweep(t.Context(), nil); err != nil || len(inventory.VMs) != 0 {
		t.Fatal(inventory, err)
	}
}

func TestObserveWithoutConfiguration(t *testing.T) {
	vm := observe(vmContent("vm-7",
		types.DynamicProperty{Name: "name", Val: "web-7"},
		types.DynamicProperty{Name: "runtime.connectionState", Val: types.VirtualMachineConnectionStateConnected},
	))
	if vm.Connected || vm.Ref != "vm-7" || vm.Name != "web-7" {
		t.Errorf("%+v", vm.VM)
	}
}

func TestDestroyLeavesStrangersDisks(t *testing.T) {
	disk := func(file string, managed bool) types.BaseVirtualDevice {
		d := &types.VirtualDisk{}
		d.Backing = &types.VirtualDiskFlatVer2BackingInfo{VirtualDeviceFileBackingInfo: types.VirtualDeviceFileBackingInfo{FileName: file}}
		if managed {
			d.VDiskId = &types.ID{Id: "fcd"}
		}
		return d
	}
	for file, stranger := range map[string]bool{
		"[ds1] web-1/web-1.vmdk":         false,
		"[ds1] web-1/web-1-000001.vmdk":  false,
		"[ds2] web-1/web-1.vmdk":         true,
		"[ds1] data/data.vmdk":           true,
		"[ds1] web-1/deeper/web-1.vmdk":  true,
		"[ds1] fcd/volume.vmdk":          true,
		"":                               true,
		"web-1/web-1.vmdk":               true,
		"[ds1] web-10/web-1.vmdk":        true,
		"[ds1]   web-1/another-one.vmdk": false,
	} {
		got := strangers([]types.BaseVirtualDevice{disk(file, false), &types.VirtualCdrom{}}, "[ds1] web-1/web-1.vmx")
		if (len(got) == 1) != stranger {
			t.Errorf("%q: %d strangers", file, len(got))
		}
	}
	if got := strangers([]types.BaseVirtualDevice{disk("[ds1] web-1/a.vmdk", true)}, "[ds1] web-1/web-1.vmx"); len(got) != 1 {
		t.Error("a first class disk is not the VM's own")
	}
}

func TestClonesOfOthersMayBeHidden(t *testing.T) {
	source := vmRef("vm-1")
	task := func(id string, state types.TaskInfoState) types.ObjectContent {
		return types.ObjectContent{Obj: taskRefs([]Task{Task(id)})[0], PropSet: []types.DynamicProperty{
			{Name: "info.state", Val: state},
			{Name: "info.entity", Val: source},
			{Name: "info.descriptionId", Val: "VirtualMachine.clone"},
		}}
	}
	manager := types.ManagedObjectReference{Type: "TaskManager", Value: "TaskManager"}
	hide := func(f types.BaseMethodFault) ([]Task, error) {
		c := &Client{vim: scripted(&script{answer: func(_ int, _, res soap.HasFault) error {
			page(res, "", task("task-1", types.TaskInfoStateQueued), lacking("x", "info.state", f), task("task-2", types.TaskInfoStateError))
			return nil
		}})}
		c.vim.ServiceContent.TaskManager, c.place.source = &manager, source
		return c.Clones(t.Context(), "")
	}
	if tasks, err := hide(&types.NoPermission{}); err != nil || len(tasks) != 1 || tasks[0] != "task-1" {
		t.Errorf("%v, %v", tasks, err)
	}
	if _, err := hide(&types.NotAuthenticated{}); KindOf(err) != Unreachable {
		t.Error(err)
	}
}
