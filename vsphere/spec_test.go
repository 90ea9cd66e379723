package vsphere

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

var machine = CloneOrder{ID: "5f6a9f2e-0000-4000-8000-000000000001", Name: "web-1", Status: Status{Service: "UNKNOWN", Active: true}}

func place(t *testing.T, template Template) placement {
	t.Helper()
	p, err := newPlacement("web", template)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func build(t *testing.T, p placement) (types.VirtualMachineCloneSpec, map[string]string) {
	t.Helper()
	spec, err := p.spec("web", machine, spot{store: datastore("datastore-1")})
	if err != nil {
		t.Fatal(err)
	}
	extra := map[string]string{}
	for _, o := range spec.Config.ExtraConfig {
		v := o.GetOptionValue()
		extra[v.Key] = text(v.Value)
	}
	return spec, extra
}

func decodeGuestinfo(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestSpecCarriesItsMark(t *testing.T) {
	spec, extra := build(t, place(t, Template{CPUs: 4, MemoryMiB: 2048, ExtraConfig: map[string]string{"disk.EnableUUID": "TRUE"}}))
	mark, err := ParseMark(extra[markKey])
	if err != nil || mark != (Mark{Pool: "web", Machine: machine.ID, UUID: string(machine.ID)}) {
		t.Errorf("mark %+v, %v", mark, err)
	}
	if status, err := ParseStatus(extra[statusKey]); err != nil || status != machine.Status {
		t.Errorf("status %+v, %v", status, err)
	}
	if len(extra) != 3 || extra["disk.EnableUUID"] != "TRUE" {
		t.Errorf("extraConfig %v", extra)
	}
	c := spec.Config
	if c.InstanceUuid != string(machine.ID) || c.NumCPUs != 4 || c.MemoryMB != 2048 || c.NumCoresPerSocket != nil {
		t.Errorf("%+v", c)
	}
	if spec.PowerOn || spec.Template {
		t.Errorf("%+v", c)
	}
}

func TestSpecOfLinkedAndFullClones(t *testing.T) {
	p := place(t, Template{})
	spec, _ := build(t, p)
	if spec.Location.DiskMoveType != "moveAllDiskBackingsAndDisallowSharing" || spec.Snapshot != nil {
		t.Errorf("full: %+v", spec)
	}
	p.linked, p.snapshot = true, &types.ManagedObjectReference{Type: "VirtualMachineSnapshot", Value: "snapshot-1"}
	spec, _ = build(t, p)
	if spec.Location.DiskMoveType != "createNewChildDiskBacking" || spec.Snapshot.Value != "snapshot-1" {
		t.Errorf("linked: %+v", spec)
	}
}

func TestCloudInit(t *testing.T) {
	p := place(t, Template{CloudInit: CloudInit{
		UserData: "I2Nsb3VkLWNvbmZpZw==", MetaData: map[string]any{"role": "db", "local-hostname": "mine"},
	}})
	p.dropVApp = true
	spec, extra := build(t, p)
	if got := string(decodeGuestinfo(t, extra["guestinfo.userdata"])); got != "I2Nsb3VkLWNvbmZpZw==" {
		t.Errorf("user data %q: encoded other than once", got)
	}
	var meta map[string]any
	if err := json.Unmarshal(decodeGuestinfo(t, extra["guestinfo.metadata"]), &meta); err != nil {
		t.Fatal(err)
	}
	if meta["instance-id"] != string(machine.ID) || meta["local-hostname"] != "mine" || meta["role"] != "db" {
		t.Errorf("metadata %v", meta)
	}
	if extra["guestinfo.userdata.encoding"] != "gzip+base64" || extra["guestinfo.metadata.encoding"] != "gzip+base64" {
		t.Errorf("%v", extra)
	}
	if !*spec.Config.VAppConfigRemoved {
		t.Error("the template's OVF properties stay")
	}
	_, extra = build(t, place(t, Template{}))
	if len(extra) != 2 {
		t.Errorf("guestinfo without cloudInit: %v", extra)
	}
}

func TestCloudInitTooLong(t *testing.T) {
	random := make([]byte, guestinfoLimit)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		random[i] = byte(r.IntN(256))
	}
	for _, ci := range []CloudInit{{UserData: string(random)}, {UserDataFile: "/does/not/exist"}} {
		if _, err := newPlacement("web", Template{CloudInit: ci}); KindOf(err) != Misconfigured {
			t.Errorf("%v", err)
		}
	}
	if _, err := newPlacement("web", Template{CloudInit: CloudInit{UserData: strings.Repeat("x", 1<<20)}}); err != nil {
		t.Errorf("a megabyte that compresses well: %v", err)
	}
	meta := map[string]any{"x": base64.StdEncoding.EncodeToString(random)}
	if _, err := newPlacement("web", Template{CloudInit: CloudInit{MetaData: meta}}); KindOf(err) != Misconfigured {
		t.Errorf("%v", err)
	}
}

func TestReservedKeys(t *testing.T) {
	for _, key := range []string{"vspherepool.mark", "VspherePool.other"} {
		if _, err := newPlacement("web", Template{ExtraConfig: map[string]string{key: "x"}}); KindOf(err) != Misconfigured {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func templateVM(snapshots ...string) mo.VirtualMachine {
	var vm mo.VirtualMachine
	vm.Name = "ubuntu"
	if len(snapshots) == 0 {
		return vm
	}
	vm.Snapshot = &types.VirtualMachineSnapshotInfo{}
	trees := &vm.Snapshot.RootSnapshotList
	for _, name := range snapshots {
		ref := types.ManagedObjectReference{Type: "VirtualMachineSnapshot", Value: "id-" + name}
		*trees = append(*trees, types.VirtualMachineSnapshotTree{Name: name, Snapshot: ref})
		trees = &(*trees)[0].ChildSnapshotList
		vm.Snapshot.CurrentSnapshot = &ref
	}
	return vm
}

func TestCloneMode(t *testing.T) {
	for name, row := range map[string]struct {
		template Template
		source   mo.VirtualMachine
		linked   bool
		snapshot string
		refused  bool
	}{
		"left out, snapshot":    {source: templateVM("a", "b"), linked: true, snapshot: "id-b"},
		"left out, no snapshot": {source: templateVM()},
		"left out, bigger disk": {template: Template{DiskGiB: 20}, source: templateVM("a")},
		"linked":                {template: Template{CloneMode: CloneLinked}, source: templateVM("a"), linked: true, snapshot: "id-a"},
		"linked, older snapshot": {
			template: Template{CloneMode: CloneLinked, Snapshot: "a"}, source: templateVM("a", "b"), linked: true, snapshot: "id-a",
		},
		"linked, no snapshot":          {template: Template{CloneMode: CloneLinked}, source: templateVM(), refused: true},
		"linked, bigger disk":          {template: Template{CloneMode: CloneLinked, DiskGiB: 20}, source: templateVM("a"), refused: true},
		"full, snapshot":               {template: Template{CloneMode: CloneFull}, source: templateVM("a")},
		"full of a snapshot":           {template: Template{CloneMode: CloneFull, Snapshot: "a"}, source: templateVM("a", "b"), snapshot: "id-a"},
		"snapshot that does not exist": {template: Template{Snapshot: "c"}, source: templateVM("a"), refused: true},
		"ambiguous snapshot":           {template: Template{Snapshot: "a"}, source: templateVM("a", "a"), refused: true},
		"unknown mode":                 {template: Template{CloneMode: "instant"}, source: templateVM("a"), refused: true},
	} {
		p := placement{template: row.template}
		err := p.chooseMode(row.source)
		if row.refused {
			if KindOf(err) != Misconfigured {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		snapshot := ""
		if p.snapshot != nil {
			snapshot = p.snapshot.Value
		}
		if err != nil || p.linked != row.linked || snapshot != row.snapshot {
			t.Errorf("%s: linked %t, snapshot %q, %v", name, p.linked, snapshot, err)
		}
	}
}

func TestGrowDisk(t *testing.T) {
	first := &types.VirtualDisk{CapacityInKB: 10 << 20}
	devices := []types.BaseVirtualDevice{&types.VirtualCdrom{}, first, &types.VirtualDisk{CapacityInKB: 1}}
	for gib, want := range map[int]int{0: 0, 10: 0, 11: 1} {
		changes, err := growDisk(Template{DiskGiB: gib}, devices)
		if err != nil || len(changes) != want {
			t.Errorf("%d GiB: %d changes, %v", gib, len(changes), err)
		}
		if want == 1 && changes[0].GetVirtualDeviceConfigSpec().Device.(*types.VirtualDisk).CapacityInKB != 11<<20 {
			t.Errorf("%+v", changes[0])
		}
	}
	if first.CapacityInKB != 10<<20 {
		t.Error("the template's own device was changed")
	}
	if _, err := growDisk(Template{DiskGiB: 9}, devices); KindOf(err) != Misconfigured {
		t.Errorf("shrinking: %v", err)
	}
	if _, err := growDisk(Template{DiskGiB: 9}, nil); KindOf(err) != Misconfigured {
		t.Errorf("no disk: %v", err)
	}
}

func TestCoresPerSocket(t *testing.T) {
	for _, row := range []struct {
		cpus  int
		cores int32
		want  int32
	}{{0, 4, 0}, {4, 4, 0}, {8, 4, 0}, {2, 4, 1}, {6, 4, 1}, {3, 1, 0}, {3, 0, 0}} {
		if got := coresPerSocket(row.cpus, &row.cores); got != row.want {
			t.Errorf("%d CPUs, template has %d per socket: %d, want %d", row.cpus, row.cores, got, row.want)
		}
	}
	if coresPerSocket(2, nil) != 0 {
		t.Error("unknown cores")
	}
}
