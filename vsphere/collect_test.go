package vsphere

import (
	"fmt"
	"io"
	"testing"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func TestRetrieveReadsAllPages(t *testing.T) {
	c := &Client{vim: scripted(&script{answer: func(n int, _, res soap.HasFault) error {
		page(res, []string{"1", "1", ""}[n-1], vmContent(fmt.Sprint("vm-", n)), vmContent(fmt.Sprint("vm-", 10+n)))
		return nil
	}})}
	found, err := c.retrieve(t.Context(), types.PropertyFilterSpec{})
	if err != nil || len(found) != 6 {
		t.Fatalf("%d objects, %v", len(found), err)
	}
}

func TestListingsThatNeverEndAreCancelled(t *testing.T) {
	for name, next := range map[string][]types.ObjectContent{"no objects": nil, "the same objects": {vmContent("vm-1"), vmContent("vm-2")}} {
		cancelled := 0
		rt := &script{answer: func(_ int, req, res soap.HasFault) error {
			objects := next
			switch req.(type) {
			case *methods.RetrievePropertiesExBody:
				objects = []types.ObjectContent{vmContent("vm-1"), vmContent("vm-2")}
			case *methods.CancelRetrievePropertiesExBody:
				cancelled++
			}
			page(res, "more", objects...)
			return nil
		}}
		c := &Client{vim: scripted(rt)}
		found, err := c.retrieve(t.Context(), types.PropertyFilterSpec{})
		if KindOf(err) != Unreachable || found != nil || cancelled != 1 || rt.count() != 3 {
			t.Errorf("%s: %v, %v, cancelled %d times in %d calls", name, found, err, cancelled, rt.count())
		}
	}
}

func TestEmptyAnswersAreNoAnswers(t *testing.T) {
	ref := vmRef("vm-1")
	elsewhere := &types.ManagedObjectNotFound{Obj: vmRef("vm-2")}
	for name, row := range map[string]struct {
		answer func(res soap.HasFault) error
		kind   Kind
	}{
		"nothing":          {func(res soap.HasFault) error { page(res, ""); return nil }, Unreachable},
		"nothing at all":   {func(res soap.HasFault) error { res.(*methods.RetrievePropertiesExBody).Res = nothing(); return nil }, Unreachable},
		"another VM":       {func(res soap.HasFault) error { page(res, "", vmContent("vm-2")); return nil }, Unreachable},
		"another VM gone":  {func(soap.HasFault) error { return soapFault(*elsewhere) }, Unreachable},
		"its host is gone": {func(res soap.HasFault) error { page(res, "", lacking("vm-1", "name", elsewhere)); return nil }, Unreachable},
		"hidden": {func(res soap.HasFault) error {
			page(res, "", lacking("vm-1", "name", &types.NoPermission{}))
			return nil
		}, Forbidden},
		"gone by fault": {func(soap.HasFault) error { return soapFault(types.ManagedObjectNotFound{Obj: ref}) }, NotFound},
		"gone by fault, with its server": {func(soap.HasFault) error {
			return soapFault(types.ManagedObjectNotFound{Obj: types.ManagedObjectReference{Type: ref.Type, Value: ref.Value, ServerGUID: "x"}})
		}, NotFound},
		"gone by missing set": {func(res soap.HasFault) error {
			page(res, "", lacking("vm-1", "name", &types.ManagedObjectNotFound{Obj: ref}))
			return nil
		}, NotFound},
	} {
		c := &Client{vim: scripted(&script{answer: func(_ int, _, res soap.HasFault) error { return row.answer(res) }})}
		c.events, c.hosts, c.reader = newFeed(c.vim), newNames(), newReader(t.Context(), c.one, c.study)
		_, err := c.glance(t.Context(), "vm-1")
		if KindOf(wrap("glance", "vm-1", err)) != row.kind {
			t.Errorf("%s: %v", name, err)
		}
		c.graves = newReader(t.Context(), c.one, c.presence)
		if err := c.buried(t.Context(), "vm-1"); (err == nil) != (row.kind == NotFound) {
			t.Errorf("%s proves absence: %v", name, err)
		}
		found, absent, err := c.Read(t.Context(), []Ref{"vm-1"})
		if (len(absent) == 1) != (row.kind == NotFound) || len(found) != 0 || err != nil {
			t.Errorf("%s: found %v, absent %v, %v", name, found, absent, err)
		}
		if _, err := c.detail(t.Context(), "vm-1"); KindOf(err) != row.kind {
			t.Errorf("%s: detail: %v", name, err)
		}
	}
}

func nothing() *types.RetrievePropertiesExResponse { return &types.RetrievePropertiesExResponse{} }

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
		"vanished":                 {object: lacking("vm-1", "name", &types.ManagedObjectNotFound{Obj: vmRef("vm-1")})},
		"another one vanished":     {object: lacking("vm-1", "name", &types.ManagedObjectNotFound{}), fails: true, kind: Unreachable},
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

// sweeping is a client whose folder answers with what the script gives.
func sweeping(answer func(call int, res soap.HasFault) error) *Client {
	c := &Client{vim: scripted(&script{answer: func(n int, _, res soap.HasFault) error { return answer(n, res) }})}
	c.events = newFeed(c.vim)
	c.place.folder = types.ManagedObjectReference{Type: "Folder", Value: "group-v1"}
	return c
}

func TestFolderThatDoesNotAnswerIsNotEmpty(t *testing.T) {
	folder := types.ManagedObjectReference{Type: "Folder", Value: "group-v1"}
	below := types.ObjectContent{
		Obj:        types.ManagedObjectReference{Type: "Folder", Value: "group-v2"},
		MissingSet: []types.MissingProperty{{Path: "name", Fault: types.LocalizedMethodFault{Fault: &types.NoPermission{}}}},
	}
	hidden, gone := types.ObjectContent{Obj: folder, MissingSet: below.MissingSet}, types.ObjectContent{Obj: folder}
	gone.MissingSet = []types.MissingProperty{{Fault: types.LocalizedMethodFault{Fault: &types.ManagedObjectNotFound{Obj: folder}}}}
	for name, row := range map[string]struct {
		objects []types.ObjectContent
		fails   bool
		kind    Kind
	}{
		"nothing":          {fails: true, kind: Unreachable},
		"without itself":   {objects: []types.ObjectContent{vmContent("vm-1")}, fails: true, kind: Unreachable},
		"forbidden":        {objects: []types.ObjectContent{hidden}, fails: true, kind: Forbidden},
		"deleted":          {objects: []types.ObjectContent{gone}, fails: true, kind: NotFound},
		"empty":            {objects: []types.ObjectContent{{Obj: folder}}},
		"forbidden folder": {objects: []types.ObjectContent{{Obj: folder}, below}},
	} {
		c := sweeping(func(_ int, res soap.HasFault) error { page(res, "", row.objects...); return nil })
		inventory, err := c.Sweep(t.Context(), nil)
		if (err != nil) != row.fails || row.fails && KindOf(err) != row.kind || len(inventory.VMs) != 0 {
			t.Errorf("%s: %v, %v", name, inventory, err)
		}
	}
}

func TestOneHiddenVMDoesNotHideTheOthers(t *testing.T) {
	folder := types.ObjectContent{Obj: types.ManagedObjectReference{Type: "Folder", Value: "group-v1"}}
	plain := vmContent("vm-1", types.DynamicProperty{Name: "runtime.connectionState", Val: types.VirtualMachineConnectionStateConnected},
		types.DynamicProperty{Name: "config.instanceUuid", Val: "A"})
	for name, row := range map[string]struct {
		fault types.BaseMethodFault
		seen  int
		kind  Kind
	}{
		"no privilege":       {fault: &types.NoPermission{}, seen: 2},
		"general error":      {fault: &types.SystemError{}, seen: 2},
		"no reason":          {seen: 2},
		"somebody is gone":   {fault: &types.ManagedObjectNotFound{Obj: vmRef("vm-9")}, seen: 2},
		"it is gone":         {fault: &types.ManagedObjectNotFound{Obj: vmRef("vm-2")}, seen: 1},
		"no session":         {fault: &types.NotAuthenticated{}, kind: Unreachable},
		"no such property":   {fault: &types.InvalidProperty{Name: "name"}, kind: Misconfigured},
		"subtype of no priv": {fault: &types.NoPermission{SecurityError: types.SecurityError{}, PrivilegeId: "System.Read"}, seen: 2},
	} {
		c := sweeping(func(_ int, res soap.HasFault) error {
			strange := lacking("vm-2", "name", row.fault)
			strange.PropSet = plain.PropSet
			page(res, "", folder, plain, strange)
			return nil
		})
		inventory, err := c.Sweep(t.Context(), nil)
		if (err != nil) != (row.seen == 0) || err != nil && KindOf(err) != row.kind || len(inventory.VMs) != row.seen {
			t.Errorf("%s: %v, %v", name, inventory, err)
			continue
		}
		for _, vm := range inventory.VMs {
			if whole := vm.Ref == "vm-1"; vm.Connected != whole || (vm.Connection == Unreadable) == whole {
				t.Errorf("%s: %+v", name, vm)
			}
		}
	}
}

func TestASweepPassesAVMThatIsJustDestroyed(t *testing.T) {
	folder := types.ObjectContent{Obj: types.ManagedObjectReference{Type: "Folder", Value: "group-v1"}}
	for broken, fails := range map[int]bool{1: false, 2: true} {
		c := sweeping(func(n int, res soap.HasFault) error {
			page(res, "", folder)
			if n <= broken {
				return soapFault(types.ManagedObjectNotFound{Obj: vmRef("vm-9")})
			}
			return nil
		})
		if _, err := c.Sweep(t.Context(), nil); (err != nil) != fails || fails && KindOf(err) != Unreachable {
			t.Errorf("broken %d times: %v", broken, err)
		}
	}
}

func TestVMsElsewhereAreAbsentOnlyByTheirOwnWord(t *testing.T) {
	folder := types.ObjectContent{Obj: types.ManagedObjectReference{Type: "Folder", Value: "group-v1"}}
	sweep := func(own error) (Inventory, error) {
		c := sweeping(func(n int, res soap.HasFault) error {
			page(res, "", folder)
			if n == 3 {
				return own
			}
			return nil
		})
		return c.Sweep(t.Context(), []Ref{"vm-5"})
	}
	if inventory, err := sweep(soapFault(types.ManagedObjectNotFound{Obj: vmRef("vm-5")})); err != nil || len(inventory.VMs) != 0 {
		t.Errorf("it is gone: %v, %v", inventory, err)
	}
	for name, own := range map[string]error{"no word": nil, "of another": soapFault(types.ManagedObjectNotFound{Obj: vmRef("vm-6")})} {
		if _, err := sweep(own); KindOf(err) != Unreachable || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLocateDoesNotOverlookWhatItCannotRead(t *testing.T) {
	folder := types.ObjectContent{Obj: types.ManagedObjectReference{Type: "Folder", Value: "group-v1"}}
	hidden := lacking("vm-2", keyPath(markKey), &types.NoPermission{})
	hidden.PropSet = []types.DynamicProperty{{Name: "name", Val: "web-1"}}
	index := types.ManagedObjectReference{Type: "SearchIndex", Value: "SearchIndex"}
	for name, kind := range map[string]Kind{"web-1": Forbidden, "web-2": NotFound} {
		c := sweeping(func(_ int, res soap.HasFault) error {
			if body, ok := res.(*methods.FindAllByUuidBody); ok {
				body.Res = &types.FindAllByUuidResponse{}
				return nil
			}
			page(res, "", folder, hidden)
			return nil
		})
		c.vim.ServiceContent.SearchIndex = &index
		if _, err := c.Locate(t.Context(), "m-1", name); KindOf(err) != kind {
			t.Errorf("%s: %v", name, err)
		}
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
