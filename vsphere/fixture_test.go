package vsphere

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"
)

// The answers in testdata have the shapes of real vCenters', 8.0.3 for the most part, as other projects have recorded and published
// them (vmware/pyvmomi, ManageIQ), with names of our own; the "newer" ones add what no vCenter has said yet.

// replay is a vCenter that answers each method with its fixtures, one after the other, and the last one for ever.
type replay struct {
	t  *testing.T
	mu sync.Mutex
	// answers are file names without ending. "503" and "cut" are no answers.
	answers map[string][]string
	calls   []string
}

var bodyMethod = regexp.MustCompile(`<(?:\w+:)?Body[^>]*>\s*<(?:\w+:)?(\w+)`)

func (r *replay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	text, _ := io.ReadAll(req.Body)
	found := bodyMethod.FindSubmatch(text)
	if found == nil {
		http.Error(w, "no method", http.StatusBadRequest)
		return
	}
	r.answer(w, r.next(string(found[1])))
}

func (r *replay) answer(w http.ResponseWriter, name string) {
	switch name {
	case "":
		http.Error(w, "nothing scripted", http.StatusNotImplemented)
	case "503":
		http.Error(w, "503", http.StatusServiceUnavailable)
	case "cut":
		panic(http.ErrAbortHandler)
	default:
		text, err := os.ReadFile(filepath.Join("testdata", name+".xml"))
		if err != nil {
			r.t.Error(err)
		}
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		if strings.Contains(string(text), "<soapenv:Fault>") {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = w.Write(text)
	}
}

func (r *replay) next(method string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, method)
	queue := r.answers[method]
	if len(queue) == 0 {
		return ""
	}
	if len(queue) > 1 {
		r.answers[method] = queue[1:]
	}
	return queue[0]
}

func (r *replay) count(method string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(r.calls), func(m string) bool { return m != method }))
}

const serviceContent = "RetrieveServiceContent"

// replayed is a client of a vCenter that answers property collector calls with these fixtures; resolved as far as it matters here.
func replayed(t *testing.T, answers map[string][]string) (*Client, *replay) {
	t.Helper()
	r := &replay{t: t, answers: answers}
	r.answers[serviceContent] = []string{"service-content"}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL + "/sdk")
	if err != nil {
		t.Fatal(err)
	}
	vc, err := vim25.NewClient(t.Context(), soap.NewClient(u, false))
	if err != nil {
		t.Fatal(err)
	}
	c := assemble(t.Context(), "web", vc, nil)
	c.place.folder = types.ManagedObjectReference{Type: "Folder", Value: "group-v12"}
	c.place.template.Folder = "/DC/vm/web"
	c.labels.add(c.place.folder, c.place.template.Folder)
	c.labels.add(someRef, "/DC/host/C/Resources/web")
	t.Cleanup(func() {
		_ = c.Close(t.Context())
		vc.CloseIdleConnections()
	})
	return c, r
}

func reads(names ...string) map[string][]string {
	return map[string][]string{"RetrievePropertiesEx": names}
}

func TestFixtureServiceContent(t *testing.T) {
	c, _ := replayed(t, map[string][]string{})
	about := c.vim.ServiceContent.About
	if !c.vim.IsVC() || about.InstanceUuid != "0b5d1c6e-0001-4d4e-9a51-1f0e5a9d7c11" || about.ApiVersion != "8.0.3.0" {
		t.Errorf("%+v", about)
	}
	if c.vim.ServiceContent.PropertyCollector.Value != "propertyCollector" || c.vim.ServiceContent.SessionManager == nil {
		t.Errorf("%+v", c.vim.ServiceContent)
	}
}

func TestFixtureLoginRefused(t *testing.T) {
	r := &replay{t: t, answers: map[string][]string{serviceContent: {"service-content"}, "Login": {"login-refused"}}}
	server := httptest.NewServer(r)
	defer server.Close()
	connection := Connection{URL: server.URL + "/sdk", Username: "svc-pool", Password: "wrong"}
	_, err := Restless().Connect(t.Context(), "web", connection, Template{Folder: "/DC/vm/web", Template: "vm-7"})
	if KindOf(err) != BadLogin || !strings.Contains(err.Error(), "incorrect user name or password (InvalidLogin)") {
		t.Errorf("%s: %v", KindOf(err), err)
	}
	if strings.Contains(err.Error(), "wrong") || r.count("Login") != 1 {
		t.Errorf("%d logins: %v", r.count("Login"), err)
	}
}

// theThree are the pool's VMs of the fixtures, and a stranger.
func theThree(t *testing.T, vms []VM) {
	t.Helper()
	if len(vms) != 4 {
		t.Fatalf("%d VMs: %+v", len(vms), vms)
	}
	on, off, lost, foreign := vms[0], vms[1], vms[2], vms[3]
	if !on.Owned("web") || on.Power != PoweredOn || !on.Connected || !on.ToolsRunning || on.Status == nil || on.Status.Evictable {
		t.Errorf("on: %+v", on)
	}
	if !slices.Equal(on.IPs, []string{"10.20.0.41", "2001:db8:20::41"}) {
		t.Errorf("addresses: %v", on.IPs)
	}
	if !off.Owned("web") || off.Power != PoweredOff || off.ToolsRunning || len(off.IPs) != 0 || off.Status != nil {
		t.Errorf("off: %+v", off)
	}
	if lost.Connected || lost.Connection != "inaccessible" || lost.Owned("web") || lost.InstanceUUID != "" {
		t.Errorf("lost: %+v", lost)
	}
	if foreign.Owned("web") || foreign.Marked || !foreign.Connected {
		t.Errorf("foreign: %+v", foreign)
	}
}

func TestFixtureSweep(t *testing.T) {
	c, _ := replayed(t, reads("folder"))
	inventory, err := c.Sweep(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	theThree(t, inventory.VMs)
}

func TestFixturePages(t *testing.T) {
	answers := reads("folder-1")
	answers["ContinueRetrievePropertiesEx"] = []string{"folder-2", "folder-3"}
	c, r := replayed(t, answers)
	inventory, err := c.Sweep(t.Context(), nil)
	if err != nil || r.count("ContinueRetrievePropertiesEx") != 2 || r.count("CancelRetrievePropertiesEx") != 0 {
		t.Fatalf("%v: %v", r.calls, err)
	}
	theThree(t, inventory.VMs)
}

// A listing of which a page is missing is none, and what vCenter keeps of it is freed.
func TestFixturePagesBreakOff(t *testing.T) {
	for _, trouble := range []string{"503", "cut", "not-authenticated", "gone", "folder-empty"} {
		t.Run(trouble, func(t *testing.T) {
			answers := reads("folder-1")
			answers["ContinueRetrievePropertiesEx"] = []string{"folder-2", trouble}
			answers["CancelRetrievePropertiesEx"] = []string{"cancelled-pages"}
			c, r := replayed(t, answers)
			inventory, err := c.Sweep(t.Context(), nil)
			if KindOf(err) != Unreachable || err == nil || len(inventory.VMs) != 0 {
				t.Errorf("%v, %d VMs", err, len(inventory.VMs))
			}
			if r.count("CancelRetrievePropertiesEx") != r.count("RetrievePropertiesEx") {
				t.Errorf("not freed: %v", r.calls)
			}
		})
	}
}

func TestFixtureListingsThatAreNone(t *testing.T) {
	for name, want := range map[string]Kind{
		"folder-unauthenticated": Unreachable, "not-authenticated": Unreachable, "no-permission": Forbidden,
		"folder-empty": Unreachable, "503": Unreachable, "cut": Unreachable,
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := replayed(t, reads(name))
			inventory, err := c.Sweep(t.Context(), nil)
			if err == nil || KindOf(err) != want || len(inventory.VMs) != 0 {
				t.Errorf("%s: %v, %d VMs", KindOf(err), err, len(inventory.VMs))
			}
		})
	}
}

// A VM of which something is hidden is not taken for one without a mark, and does not hide the others.
func TestFixtureHiddenProperties(t *testing.T) {
	c, _ := replayed(t, reads("folder-denied"))
	inventory, err := c.Sweep(t.Context(), nil)
	shows := func(is func(VM) bool) bool { return slices.ContainsFunc(inventory.VMs, is) }
	hidden := shows(func(vm VM) bool { return vm.Ref == "vm-101" && !vm.Connected })
	whole := shows(func(vm VM) bool { return vm.Ref == "vm-102" && vm.Owned("web") })
	if err != nil || len(inventory.VMs) != 2 || !hidden || !whole {
		t.Errorf("%+v, %v", inventory.VMs, err)
	}
}

func TestFixtureAbsentKeys(t *testing.T) {
	c, _ := replayed(t, reads("folder-keyed"))
	inventory, err := c.Sweep(t.Context(), nil)
	if err != nil || len(inventory.VMs) != 1 || inventory.VMs[0].Marked || !inventory.VMs[0].Connected {
		t.Errorf("%+v, %v", inventory.VMs, err)
	}
}

// What a newer vCenter adds is passed over; a state that is not known is none of the known ones.
func TestFixtureNewerVCenter(t *testing.T) {
	c, _ := replayed(t, reads("folder-newer"))
	inventory, err := c.Sweep(t.Context(), nil)
	if err != nil || len(inventory.VMs) != 2 {
		t.Fatalf("%+v, %v", inventory.VMs, err)
	}
	vm := inventory.VMs[0]
	if vm.Connected || vm.Connection != "entangled" || vm.Power != "hibernated" || vm.ToolsRunning ||
		!slices.Equal(vm.IPs, []string{"10.20.0.45"}) {
		t.Errorf("%+v", vm)
	}
	if !inventory.VMs[1].Owned("web") {
		t.Errorf("%+v", inventory.VMs[1])
	}
}

func TestFixtureDetails(t *testing.T) {
	for _, name := range []string{"details", "details-newer"} {
		t.Run(name, func(t *testing.T) {
			c, _ := replayed(t, reads(name, "host"))
			found, absent, err := c.Read(t.Context(), []Ref{"vm-101"})
			if err != nil || len(found) != 1 || len(absent) != 0 {
				t.Fatalf("%v, %v, %v", found, absent, err)
			}
			vm := found[0]
			created := time.Date(2026, 3, 1, 10, 4, 43, 377282000, time.UTC)
			if !vm.Detail || vm.CPUs != 2 || vm.MemoryMiB != 4096 || !vm.CreateDate.Equal(created) {
				t.Errorf("%+v", vm)
			}
			if vm.Host != "esx-31.example" || vm.Datastore != "ds-web" || !slices.Equal(vm.IPs, []string{"10.20.0.41", "2001:db8:20::41"}) {
				t.Errorf("%+v", vm)
			}
		})
	}
}

func TestFixtureAbsent(t *testing.T) {
	for _, name := range []string{"gone", "vm-gone"} {
		t.Run(name, func(t *testing.T) {
			c, _ := replayed(t, reads(name))
			found, absent, err := c.Read(t.Context(), []Ref{"vm-101"})
			if err != nil || len(found) != 0 || !slices.Equal(absent, []Ref{"vm-101"}) {
				t.Errorf("%v, %v, %v", found, absent, err)
			}
			// That vm-101 is gone says nothing about vm-102.
			if _, absent, _ = c.Read(t.Context(), []Ref{"vm-102"}); len(absent) != 0 {
				t.Errorf("absent: %v", absent)
			}
		})
	}
}

func TestFixtureTasks(t *testing.T) {
	c, _ := replayed(t, reads("task-newer", "task-success", "task-success-info"))
	made, err := c.Await(t.Context(), "task-77")
	if err != nil || made.Ref != "vm-101" || made.Queued != 2500*time.Millisecond {
		t.Errorf("%+v, %v", made, err)
	}
}

func TestFixtureTaskThatFails(t *testing.T) {
	c, _ := replayed(t, reads("task-error", "task-error-info"))
	_, err := c.Await(t.Context(), "task-77")
	if KindOf(err) != Capacity {
		t.Errorf("%s: %v", KindOf(err), err)
	}
	for _, part := range []string{
		"No host is compatible", "DRS looked at two hosts", "NoCompatibleHost", "task-77", "does not have sufficient memory", "add hosts",
	} {
		if !strings.Contains(fmt.Sprint(err), part) {
			t.Errorf("%q lacks %q", err, part)
		}
	}
}

func TestFixtureTaskThatFailsOfSomethingNewer(t *testing.T) {
	c, _ := replayed(t, reads("task-error", "task-newer-error-info"))
	_, err := c.Await(t.Context(), "task-77")
	if KindOf(err) != Unknown || !strings.Contains(fmt.Sprint(err), "not allowed by the quantum policy") {
		t.Errorf("%s: %v", KindOf(err), err)
	}
}

func TestFixtureFaultsOfCalls(t *testing.T) {
	for name, row := range map[string]struct {
		kind Kind
		says string
	}{
		"no-permission": {Forbidden, "grant the privilege Resource.AssignVMToPool on /DC/host/C/Resources/web (ResourcePool resgroup-9)"},
		"gone":          {NotFound, "there is no VirtualMachine vm-101"},
		"newer-cause":   {Storage, "the full datastore is ds-web"},
		"newer-fault":   {Unknown, "not allowed by the quantum policy"},
		"503":           {Unreachable, "503"},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := replayed(t, map[string][]string{"CancelTask": {name}})
			err := c.Cancel(t.Context(), "task-77")
			if name == "gone" { // a task that is not known needs no cancelling
				if err != nil {
					t.Error(err)
				}
				return
			}
			if KindOf(err) != row.kind || !strings.Contains(fmt.Sprint(err), row.says) {
				t.Errorf("%s: %v", KindOf(err), err)
			}
		})
	}
}

// Whatever vCenter sends, nothing panics, and what is taken for ours shows a readable mark.
func FuzzObservedAnswers(f *testing.F) {
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var body methods.RetrievePropertiesExBody
		decoder := xml.NewDecoder(bytes.NewReader(text))
		decoder.TypeFunc = types.TypeFunc()
		if decoder.Decode(&soap.Envelope{Body: &body}) != nil {
			return
		}
		if fault := body.Fault(); fault != nil {
			if err := wrap("read", "vm-1", soap.WrapSoapFault(fault)); KindOf(err).String() == "" || err.Error() == "" {
				t.Errorf("%#v", err)
			}
		}
		a, err := sorted(answered(&body))
		if err != nil {
			return
		}
		for _, o := range a.whole {
			if s := observe(o); s.Owned("web") && s.Mark.UUID == "" {
				t.Errorf("%+v", s)
			}
		}
	})
}
