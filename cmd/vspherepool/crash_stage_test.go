package main

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	vcsim "github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere/simulator"
)

// stage is a victim over a vCenter of its own, with an audience: what was acknowledged, and what is not to be touched.
type stage struct {
	*victim
	sim      *simulator.Simulator
	vc       *vim25.Client
	document map[string]any

	frozen, stopped belief[bool]
	retention       belief[string]
	services        map[string]*belief[string]
	memberships     map[string]*belief[membershipStatus]
	// detached machines are no members any more, once that was acknowledged; attached ones are.
	detached, attached map[string]*belief[bool]
	// spared VMs are not the pool's to stop.
	spared []*object.VirtualMachine
	stray  *object.VirtualMachine
	// lost says that vCenter has no hold of the members now.
	lost bool

	mu      sync.Mutex
	arrived map[string]int
	onCall  func(method string) types.BaseMethodFault
}

// belief is what something may be by now: what was acknowledged, or asked for later without an answer.
type belief[T comparable] struct{ may []T }

func (b *belief[T]) is(acknowledged bool, value T) {
	if acknowledged {
		b.may = nil
	}
	b.may = append(b.may, value)
}

func (b *belief[T]) check(t *testing.T, what string, got T) {
	t.Helper()
	if len(b.may) > 0 && !slices.Contains(b.may, got) {
		t.Errorf("%s is %v, acknowledged was %v", what, got, b.may)
	}
}

// about is the belief of a machine; before says what it is while nobody has said anything.
func about[T comparable](m map[string]*belief[T], id string, before T) *belief[T] {
	if m[id] == nil {
		m[id] = &belief[T]{may: []T{before}}
	}
	return m[id]
}

// powerOn stands for the methods that do it.
const powerOn = "PowerOn"

func newStage(t *testing.T, program string) *stage {
	t.Helper()
	sim, err := simulator.New(simulator.Options{CloneDelay: 50 * time.Millisecond, BootDelay: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	if _, err := sim.Serve("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s := &stage{
		victim: newVictim(t, program), sim: sim, arrived: map[string]int{},
		services: map[string]*belief[string]{}, memberships: map[string]*belief[membershipStatus]{},
		detached: map[string]*belief[bool]{}, attached: map[string]*belief[bool]{},
		stopped: belief[bool]{[]bool{false}}, frozen: belief[bool]{[]bool{false}}, retention: belief[string]{[]string{"1s"}},
	}
	sim.Before(s.called)
	if s.vc, err = sim.Client(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.document = map[string]any{
		"name": "web", "cloudApiSettings": sim.Connection(), "provisioningTemplate": sim.Template(), "retention": "1s",
		"poolFetch": map[string]any{"refreshInterval": "500ms", "eventInterval": "100ms"},
		"rails":     map[string]any{"settlingTime": "0s"},
	}
	s.writeDocument()
	s.spared = []*object.VirtualMachine{s.plant("/DC0/vm/pools/web", "foreign")}
	return s
}

func (s *stage) writeDocument() {
	s.t.Helper()
	text, err := json.Marshal(s.document)
	if err != nil {
		s.t.Fatal(err)
	}
	s.configure(text)
}

// open launches the program; once it was ready, later starts go by what it has stored.
func (s *stage) open(env ...string) bool {
	s.t.Helper()
	ready := s.launch(env...)
	if ready {
		_ = os.Remove(s.path("pool.json"))
	}
	return ready
}

func (s *stage) start() {
	s.t.Helper()
	if !s.open() {
		s.t.Fatalf("no ready line:\n%s", s.log())
	}
}

// called is asked by vCenter before each change.
func (s *stage) called(method string, _ any) types.BaseMethodFault {
	if method == "PowerOnMultiVM_Task" || method == "PowerOnVM_Task" {
		method = powerOn
	}
	s.mu.Lock()
	s.arrived[method]++
	hook := s.onCall
	s.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(method)
}

func (s *stage) hook(h func(method string) types.BaseMethodFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onCall = h
	clear(s.arrived)
}

// calls is how often vCenter was asked since the last hook.
func (s *stage) calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.arrived[method]
}

// killInVCenter has the program die while vCenter has its nth call of the method and has not done it yet.
func (s *stage) killInVCenter(method string, nth int) {
	s.hook(func(called string) types.BaseMethodFault {
		if called == method && s.calls(method) == nth {
			_ = s.cmd.Process.Kill()
			<-s.dead
		}
		return nil
	})
}

func (s *stage) refuseOnce(method string, f types.BaseMethodFault) {
	s.hook(func(called string) types.BaseMethodFault {
		if called == method && s.calls(method) == 1 {
			return f
		}
		return nil
	})
}

// holdUp keeps vCenter from doing what it is called for until release.
func (s *stage) holdUp(method string) (release func()) {
	held := make(chan struct{})
	s.hook(func(called string) types.BaseMethodFault {
		if called == method {
			<-held
		}
		return nil
	})
	return sync.OnceFunc(func() { close(held) })
}

// diesSoon waits for the end of the program.
func (s *stage) diesSoon() bool {
	select {
	case <-s.dead:
		s.kill()
		return true
	case <-time.After(20 * time.Second):
		return false
	}
}

// forget loses the state directory, and with it the size.
func (s *stage) forget() {
	if err := os.RemoveAll(s.path("state")); err != nil {
		s.t.Fatal(err)
	}
	s.document["desiredSize"] = s.desired
	s.writeDocument()
}

func (s *stage) post(path string, body any) bool { return s.call(http.MethodPost, path, body, nil) }

// any is a member's id.
func (s *stage) any() string {
	for _, m := range s.machines() {
		if m.allocated() {
			return m.ID
		}
	}
	return "none"
}

func (s *stage) setServiceState(path, id, state string) {
	ok := s.post(path, map[string]any{"machineId": id, "serviceState": state})
	about(s.services, id, "UNKNOWN").is(ok, state)
}

func (s *stage) setMembership(id string, m membershipStatus) {
	ok := s.post("/pool/membershipStatus", map[string]any{"machineId": id, "membershipStatus": m})
	about(s.memberships, id, membershipStatus{Active: true, Evictable: true}).is(ok, m)
}

// detach lets a member go: its VM stays whatever happens.
func (s *stage) detach(id string) {
	s.spared = append(s.spared, s.vmOf(id))
	ok := s.post("/pool/detach", map[string]any{"machineId": id, "decrementDesiredSize": true})
	about(s.detached, id, false).is(ok, true)
	s.lowered(ok)
}

func (s *stage) lowered(ok bool) {
	if ok {
		s.desired--
	} else {
		s.unsure[s.desired-1] = true
	}
}

func (s *stage) plantStray() {
	s.stray = s.plant("/DC0/vm/pools", "stray")
	s.spared = append(s.spared, s.stray)
}

func (s *stage) attach() {
	id := s.properties(s.stray).Config.InstanceUuid
	ok := s.post("/pool/"+id+"/attach", nil)
	about(s.attached, id, false).is(ok, true)
	if ok {
		s.desired++
	} else {
		s.unsure[s.desired+1] = true
	}
}

// plant makes a running VM that is nobody's.
func (s *stage) plant(folder, name string) *object.VirtualMachine {
	s.t.Helper()
	ctx := s.t.Context()
	f := find.NewFinder(s.vc)
	pools, err := f.Folder(ctx, "/DC0/vm/pools")
	if err != nil {
		s.t.Fatal(err)
	}
	if folder != "/DC0/vm/pools" {
		if pools, err = pools.CreateFolder(ctx, "web"); err != nil {
			s.t.Fatal(err)
		}
	}
	template, err := f.VirtualMachine(ctx, s.sim.Template().Template)
	if err != nil {
		s.t.Fatal(err)
	}
	resources, err := f.ResourcePool(ctx, s.sim.Template().ResourcePool)
	if err != nil {
		s.t.Fatal(err)
	}
	ref := resources.Reference()
	spec := types.VirtualMachineCloneSpec{Location: types.VirtualMachineRelocateSpec{Pool: &ref}, PowerOn: true}
	made := s.wait(template.Clone(ctx, pools, name, spec)).Result.(types.ManagedObjectReference)
	return object.NewVirtualMachine(s.vc, made)
}

func (s *stage) wait(task *object.Task, err error) types.TaskInfo {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	t := s.sim.Model().Map().Get(task.Reference()).(*vcsim.Task)
	t.Wait()
	if t.Info.Error != nil {
		s.t.Fatal(t.Info.Error.LocalizedMessage)
	}
	return t.Info
}

func (s *stage) properties(vm *object.VirtualMachine) mo.VirtualMachine {
	s.t.Helper()
	var p mo.VirtualMachine
	if err := vm.Properties(s.t.Context(), vm.Reference(), []string{"name", "config", "runtime"}, &p); err != nil {
		s.t.Fatal(err)
	}
	return p
}

// vmOf is the VM of a machine, as vCenter finds it.
func (s *stage) vmOf(id string) *object.VirtualMachine {
	s.t.Helper()
	ref, err := object.NewSearchIndex(s.vc).FindByUuid(s.t.Context(), nil, id, true, new(true))
	if err != nil || ref == nil {
		s.t.Fatalf("machine %q has no VM: %v", id, err)
	}
	return object.NewVirtualMachine(s.vc, ref.Reference())
}

func (s *stage) powerOff(id string) { s.wait(s.vmOf(id).PowerOff(s.t.Context())) }
func (s *stage) destroy(id string)  { s.wait(s.vmOf(id).Destroy(s.t.Context())) }

// unmark takes a member's mark off behind the pool's back, and so the VM from it.
func (s *stage) unmark(id string) {
	vm := s.vmOf(id)
	s.spared = append(s.spared, vm)
	s.wait(vm.Reconfigure(s.t.Context(), types.VirtualMachineConfigSpec{
		ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "vspherepool.mark", Value: ""}},
	}))
}

// connect has vCenter lose or find its hold of all members.
func (s *stage) connect(state types.VirtualMachineConnectionState) {
	vms, err := markedVMs(s.t.Context(), s.vc)
	if err != nil {
		s.t.Fatal(err)
	}
	s.lost = state != types.VirtualMachineConnectionStateConnected
	registry := s.sim.Model().Map()
	for _, mark := range vms {
		vm := registry.Get(s.vmOf(string(mark.Machine)).Reference()).(*vcsim.VirtualMachine)
		ctx := &vcsim.Context{Context: s.t.Context(), Map: registry}
		ctx.WithLock(vm, func() { vm.Runtime.ConnectionState = state })
	}
}

// verify starts the program again, and compares what it finds and does with what was acknowledged.
func (s *stage) verify() {
	s.t.Helper()
	s.start()
	defer s.kill()
	s.checkPool()
	s.settleDoubt()
	if s.lost {
		s.connect(types.VirtualMachineConnectionStateConnected)
	}
	s.checkMachines()
	s.attachAgain()
	s.converge()
	s.inventory(s.sim)
	for _, vm := range s.spared {
		if p := s.properties(vm); p.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
			s.t.Errorf("VM %s, which was not to be touched, is %s", p.Name, p.Runtime.PowerState)
		}
	}
	s.checkMachines()
	s.settleDoubt()
}

// attachAgain does what a caller does who got no answer: the VM becomes a member, and counts once.
func (s *stage) attachAgain() {
	s.t.Helper()
	if s.stray == nil {
		return
	}
	id := s.properties(s.stray).Config.InstanceUuid
	known := slices.ContainsFunc(s.machines(), func(m machineDocument) bool { return m.ID == id })
	if !s.post("/pool/"+id+"/attach", nil) {
		s.t.Errorf("the VM cannot be attached any more:\n%s", s.log())
	}
	about(s.attached, id, false).is(true, true)
	if !known {
		s.desired++
	}
}

// checkPool looks at what was said of the pool as a whole, and lets it work then.
func (s *stage) checkPool() {
	s.t.Helper()
	var status statusDocument
	var freeze struct{ Manual bool }
	var config struct{ Retention string }
	if !s.call(http.MethodGet, "/status", nil, &status) || !s.call(http.MethodGet, "/pool/freeze", nil, &freeze) ||
		!s.call(http.MethodGet, "/config", nil, &config) {
		s.t.Fatalf("the pool cannot be read:\n%s", s.log())
	}
	s.stopped.check(s.t, "stopped", !status.Started)
	s.frozen.check(s.t, "frozen", freeze.Manual)
	s.retention.check(s.t, "retention", config.Retention)
	if !s.post("/start", nil) || !s.post("/pool/freeze", map[string]any{"frozen": false}) {
		s.t.Errorf("the pool cannot be started and thawed:\n%s", s.log())
	}
}

// checkMachines looks at what was said of single ones.
func (s *stage) checkMachines() {
	s.t.Helper()
	members := map[string]machineDocument{}
	for _, m := range s.machines() {
		if m.allocated() {
			members[m.ID] = m
		}
	}
	for id, b := range s.services {
		b.check(s.t, "service state of "+id, members[id].ServiceState)
	}
	for id, b := range s.memberships {
		b.check(s.t, "membership of "+id, members[id].MembershipStatus)
	}
	for id, b := range s.detached {
		b.check(s.t, "absence of "+id, members[id].ID == "")
	}
	for id, b := range s.attached {
		b.check(s.t, "membership of "+id, members[id].ID != "")
	}
}
