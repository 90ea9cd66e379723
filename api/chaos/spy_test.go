package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	vcsim "github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

const (
	poolName  = "web"
	markKey   = "vspherepool.mark"
	statusKey = "vspherepool.status"
)

// spy sees each call that the pool makes to vCenter, and vCenter's inventory from within, which nobody can hide from it.
type spy struct {
	sim   *simulator.Simulator
	model *model
	book  *book
	// folder is the pool's.
	folder types.ManagedObjectReference

	mu sync.Mutex
	// proofs are the last readings of a VM's mark by its reference, by process and VM.
	proofs map[proofKey]proof
	calls  int
	// cloning are the clones that were asked for and have not ended, as far as the spy knows: by task.
	cloning map[types.ManagedObjectReference]bool
}

type proofKey struct {
	fuse *fuse
	vm   types.ManagedObjectReference
}

type proof struct {
	at    time.Time
	owned bool
}

// proofAge is how long after its reading a mark may be acted upon: answers can be late, and calls for several VMs are gathered.
const proofAge = 3 * time.Minute

// ceilingTime is how long before a clone a ceiling must have been in force: what has been begun goes on.
const ceilingTime = 5 * time.Second

// sighting is a VM as it is.
type sighting struct {
	ref    types.ManagedObjectReference
	name   string
	uuid   string
	power  types.VirtualMachinePowerState
	mark   *vsphere.Mark
	status string
	// template VMs are in nobody's lists.
	template bool
	// folder is where it is.
	folder types.ManagedObjectReference
}

// owned says whether the VM carries the pool's own mark.
func (s sighting) owned() bool {
	return s.mark != nil && s.mark.Pool == poolName && strings.EqualFold(s.mark.UUID, s.uuid)
}

func (s sighting) machine() string {
	if s.mark == nil {
		return ""
	}
	return string(s.mark.Machine)
}

// look reads one VM from the simulator's memory.
func (s *spy) look(ref types.ManagedObjectReference) (seen sighting, there bool) {
	model := s.sim.Model()
	vm, ok := model.Map().Get(ref).(*vcsim.VirtualMachine)
	if !ok {
		return sighting{}, false
	}
	ctx := &vcsim.Context{Context: context.Background(), Map: model.Map(), Session: model.Service.Context.Session}
	ctx.WithLock(vm, func() {
		seen = sighting{ref: ref, name: vm.Name, power: vm.Runtime.PowerState}
		if vm.Parent != nil {
			seen.folder = *vm.Parent
		}
		if vm.Config == nil {
			return
		}
		seen.uuid, seen.template = vm.Config.InstanceUuid, vm.Config.Template
		for _, option := range vm.Config.ExtraConfig {
			switch o := option.GetOptionValue(); o.Key {
			case markKey:
				if m, err := vsphere.ParseMark(fmt.Sprint(o.Value)); err == nil {
					seen.mark = &m
				}
			case statusKey:
				seen.status = fmt.Sprint(o.Value)
			}
		}
	})
	return seen, true
}

// inventory are all VMs, in an order that does not depend on chance.
func (s *spy) inventory() []sighting {
	var all []sighting
	for _, entity := range s.sim.Model().Map().All("VirtualMachine") {
		if seen, there := s.look(entity.Reference()); there {
			all = append(all, seen)
		}
	}
	slices.SortFunc(all, func(a, b sighting) int { return compareRefs(a.ref.Value, b.ref.Value) })
	return all
}

// compareRefs puts vm-9 before vm-10.
func compareRefs(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// ours are the VMs with the pool's own mark.
func (s *spy) ours() []sighting {
	return slices.DeleteFunc(s.inventory(), func(v sighting) bool { return !v.owned() })
}

// destructive are the methods that end or interrupt what runs in a VM.
var destructive = []string{"PowerOffVM_Task", "ShutdownGuest", "Destroy_Task", "UnregisterVM", "SuspendVM_Task", "ResetVM_Task"}

// arrives judges a call that can change something, before it does.
func (s *spy) arrives(l *line, x *exchange) {
	s.mu.Lock()
	s.calls++
	s.mu.Unlock()
	switch body := x.req.(type) {
	case *methods.CloneVM_TaskBody:
		s.judgeClone(l, x, body.Req)
	case *methods.PowerOnMultiVM_TaskBody:
		for _, vm := range body.Req.Vm {
			s.judge(l, x.method, vm)
		}
	case *methods.ReconfigVM_TaskBody:
		s.judgeReconfiguration(l, body.Req)
	case *methods.CreateFolderBody:
	default:
		if x.this.Type != "VirtualMachine" {
			s.book.violation(ownership, "%s of %s: the pool has no business with it", x.method, x.this)
			return
		}
		s.judge(l, x.method, x.this)
	}
}

// judge says whether the pool may do this to the VM: it must be its own now, or have been when its mark was read a moment before.
func (s *spy) judge(l *line, method string, ref types.ManagedObjectReference) {
	seen, there := s.look(ref)
	s.mu.Lock()
	last, proven := s.proofs[proofKey{l.fuse, ref}]
	s.mu.Unlock()
	fresh := proven && time.Since(last.at) <= proofAge
	switch {
	case !there:
		return
	case !fresh:
		s.book.violation(ownership, "%s of %s (%s) without having read its mark first", method, ref.Value, seen.name)
	case !last.owned:
		s.book.violation(ownership, "%s of %s (%s), whose mark was not the pool's when it was read", method, ref.Value, seen.name)
	case slices.Contains(destructive, method) && seen.owned() && s.model.protected(seen.machine()):
		s.book.violation(protection, "%s of %s (%s), which is protected", method, ref.Value, seen.name)
	}
}

// judgeReconfiguration knows the one call that may be made about a VM that is not the pool's: the claim of an attach.
func (s *spy) judgeReconfiguration(l *line, req *types.ReconfigVM_Task) {
	seen, there := s.look(req.This)
	if !there || seen.owned() {
		s.judge(l, "ReconfigVM_Task", req.This)
		return
	}
	if claims(req.Spec) && s.model.attaching(seen.ref.Value) {
		return
	}
	s.judge(l, "ReconfigVM_Task", req.This)
}

// claims says whether a reconfiguration does nothing but mark a VM as the pool's.
func claims(spec types.VirtualMachineConfigSpec) bool {
	for _, option := range spec.ExtraConfig {
		o := option.GetOptionValue()
		if o.Key != markKey && o.Key != statusKey {
			return false
		}
		if m, err := vsphere.ParseMark(fmt.Sprint(o.Value)); o.Key == markKey && (err != nil || m.Pool != poolName) {
			return false
		}
	}
	return len(spec.DeviceChange) == 0 && spec.Name == ""
}

func (s *spy) judgeClone(l *line, x *exchange, req *types.CloneVM_Task) {
	var mark vsphere.Mark
	if req.Spec.Config != nil {
		for _, option := range req.Spec.Config.ExtraConfig {
			if o := option.GetOptionValue(); o.Key == markKey {
				mark, _ = vsphere.ParseMark(fmt.Sprint(o.Value))
			}
		}
	}
	id := string(mark.Machine)
	if mark.Pool != poolName || id == "" {
		s.book.violation(ownership, "clone %s of %s without a mark", req.Name, x.this.Value)
	}
	if s.model.hasEnded(id, x.began) {
		s.book.violation(durability, "clone %s for machine %s, which was terminated", req.Name, id)
	}
	if _, hidden := l.lasting("omit"); hidden { // the pool cannot count what it is not shown
		return
	}
	if ceiling := s.model.ceiling(x.began.Add(-ceilingTime)); ceiling > 0 {
		s.mu.Lock()
		running := s.clonesRunning()
		s.mu.Unlock()
		if n := s.known() + running; n >= ceiling {
			s.book.violation(uniqueness, "clone %s although there are %d VMs, %d of them being cloned, under a ceiling of %d: %v", req.Name, n,
				running, ceiling, s.names())
		}
	}
}

// known counts the VMs of ours that the pool can know of: those in its folder. What it has let be, and somebody has moved away, it cannot
// find.
func (s *spy) known() int {
	return len(slices.DeleteFunc(s.ours(), func(vm sighting) bool { return vm.folder != s.folder }))
}

// names are what the VMs of ours are called, and in which machine's name.
func (s *spy) names() (all []string) {
	for _, vm := range s.ours() {
		all = append(all, vm.name+" of "+vm.machine())
	}
	return all
}

// clonesRunning counts the clone tasks that have not ended.
func (s *spy) clonesRunning() int {
	n := 0
	for ref := range s.cloning {
		task, ok := s.sim.Model().Map().Get(ref).(*vcsim.Task)
		if !ok {
			delete(s.cloning, ref)
			continue
		}
		over := false
		ctx := &vcsim.Context{Context: context.Background(), Map: s.sim.Model().Map(), Session: s.sim.Model().Service.Context.Session}
		ctx.WithLock(task, func() {
			over = task.Info.State == types.TaskInfoStateSuccess || task.Info.State == types.TaskInfoStateError
		})
		if over {
			delete(s.cloning, ref)
			continue
		}
		n++
	}
	return n
}

// executed notes what the pool has learned.
func (s *spy) executed(l *line, x *exchange, err error) {
	if err != nil {
		return
	}
	switch body := x.req.(type) {
	case *methods.RetrievePropertiesExBody:
		for _, ref := range named(body.Req) {
			seen, there := s.look(ref)
			s.mu.Lock()
			s.proofs[proofKey{l.fuse, ref}] = proof{time.Now(), there && seen.owned()}
			s.mu.Unlock()
		}
	case *methods.CloneVM_TaskBody:
		s.mu.Lock()
		s.cloning[x.res.(*methods.CloneVM_TaskBody).Res.Returnval] = true
		s.mu.Unlock()
	}
}

// census checks what must be true of the inventory at any moment.
func (s *spy) census() {
	count := map[string][]string{}
	for _, vm := range s.ours() {
		count[vm.machine()] = append(count[vm.machine()], vm.ref.Value)
	}
	for id, refs := range count {
		if len(refs) > 1 {
			s.book.violation(uniqueness, "machine %s has %d VMs: %v", id, len(refs), refs)
		}
	}
}

func refOf(vm string) types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "VirtualMachine", Value: vm}
}
