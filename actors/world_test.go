package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"vspherepool/vsphere"
)

// world is a scripted vCenter: what it holds outlives the pools that use it. It does what a real one does, takes its time for it, and
// can be told to fail. It notes every act on a VM that the caller does not own.
type world struct {
	mu    sync.Mutex
	vms   map[vsphere.Ref]*vsphere.VM
	moved map[vsphere.Ref]bool // outside the pool's folder
	tasks map[vsphere.Task]*cloneTask
	hints []vsphere.Ref
	boots map[vsphere.Ref]time.Time
	next  int

	pool                                      string
	cloneTime, bootTime, powerTime, guestTime time.Duration
	queueTime                                 time.Duration
	neverBoots                                bool
	findings                                  []vsphere.Finding

	down   error
	faults map[string][]error
	calls  map[string]int
	crimes []string
}

type cloneTask struct {
	source vsphere.Ref
	order  vsphere.CloneOrder
	ends   time.Time
	ref    vsphere.Ref
	err    error
}

func newWorld() *world {
	return &world{
		vms: map[vsphere.Ref]*vsphere.VM{}, moved: map[vsphere.Ref]bool{}, tasks: map[vsphere.Task]*cloneTask{},
		boots: map[vsphere.Ref]time.Time{}, faults: map[string][]error{}, calls: map[string]int{},
		pool: "web", cloneTime: 20 * time.Second, bootTime: 10 * time.Second, powerTime: time.Second, guestTime: 5 * time.Second,
	}
}

var errDown = &vsphere.Error{Op: "call vcenter", Kind: vsphere.Unreachable, Err: errors.New("connection refused")}

func (w *world) fail(op string, kind vsphere.Kind) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults[op] = append(w.faults[op], &vsphere.Error{Op: op, Kind: kind, Err: errors.New("scripted")})
}

func (w *world) setDown(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = err
}

// enter begins a call: it counts it, and fails it if that is what the script says. The caller holds the lock.
func (w *world) enter(ctx context.Context, op string) error {
	w.calls[op]++
	w.progress()
	if err := ctx.Err(); err != nil {
		return errDown
	}
	if w.down != nil {
		return w.down
	}
	if queue := w.faults[op]; len(queue) > 0 {
		w.faults[op] = queue[1:]
		return queue[0]
	}
	return nil
}

// progress lets what takes time be done that is due by now.
func (w *world) progress() {
	now := time.Now()
	for _, t := range w.tasks {
		if t.ref == "" && t.err == nil && !now.Before(t.ends) {
			w.finishClone(t)
		}
	}
	for ref, at := range w.boots {
		if vm := w.vms[ref]; vm != nil && vm.Power == vsphere.PoweredOn && !now.Before(at) && !w.neverBoots {
			vm.IPs, vm.ToolsRunning = []string{"10.0.0." + string(ref[3:])}, true
			delete(w.boots, ref)
		}
	}
}

func (w *world) finishClone(t *cloneTask) {
	for _, vm := range w.vms {
		if vm.Name == t.order.Name {
			t.err = &vsphere.Error{Op: "clone vm", Kind: vsphere.NameTaken}
			return
		}
		if vm.Owned(w.pool) && vm.Mark.Machine == t.order.ID {
			w.crimes = append(w.crimes, fmt.Sprintf("machine %s has two VMs", t.order.ID))
		}
	}
	mark := vsphere.Mark{Pool: w.pool, Machine: t.order.ID, UUID: string(t.order.ID), Writer: t.order.Writer}
	status := t.order.Status
	t.ref = w.add(vsphere.VM{
		Name: t.order.Name, InstanceUUID: string(t.order.ID), Power: vsphere.PoweredOff, Mark: &mark, Status: &status,
	})
}

// add puts a VM into the inventory; the caller holds the lock.
func (w *world) add(vm vsphere.VM) vsphere.Ref {
	w.next++
	vm.Ref = vsphere.Ref(fmt.Sprintf("vm-%d", w.next))
	vm.Connected, vm.Connection, vm.Detail, vm.CPUs, vm.MemoryMiB, vm.CreateDate = true, "connected", true, 2, 4096, time.Now()
	w.vms[vm.Ref] = &vm
	return vm.Ref
}

// wait sleeps in a call, without the lock.
func (w *world) wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return errDown
	}
}

func (w *world) Site() vsphere.Site {
	return vsphere.Site{VCenter: "vc-1", Region: "DC0", Source: "vm-0", CloneMode: vsphere.CloneLinked, CPUs: 2, MemoryMiB: 4096}
}

func (w *world) Clone(ctx context.Context, order vsphere.CloneOrder) (vsphere.Task, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "clone"); err != nil {
		return "", err
	}
	w.next++
	task := vsphere.Task(fmt.Sprintf("task-%d", w.next))
	w.tasks[task] = &cloneTask{source: w.Site().Source, order: order, ends: time.Now().Add(w.cloneTime)}
	return task, nil
}

func (w *world) Await(ctx context.Context, task vsphere.Task) (vsphere.Cloned, error) {
	for {
		w.mu.Lock()
		err := w.enter(ctx, "await")
		t, known := cloneTask{}, w.tasks[task] != nil
		if known {
			t = *w.tasks[task]
		}
		w.mu.Unlock()
		switch {
		case err != nil:
			return vsphere.Cloned{}, err
		case !known:
			return vsphere.Cloned{}, &vsphere.Error{Op: "await task", Kind: vsphere.NotFound}
		case t.err != nil:
			return vsphere.Cloned{}, t.err
		case t.ref != "":
			return vsphere.Cloned{Ref: t.ref, Queued: w.queueTime}, nil
		}
		if err := w.wait(ctx, time.Second); err != nil {
			return vsphere.Cloned{}, err
		}
	}
}

func (w *world) Cancel(ctx context.Context, task vsphere.Task) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "cancel"); err != nil {
		return err
	}
	if t := w.tasks[task]; t != nil && t.ref == "" && t.err == nil {
		t.err = &vsphere.Error{Op: "clone vm", Kind: vsphere.Cancelled}
	}
	return nil
}

func (w *world) Clones(ctx context.Context, source vsphere.Ref) ([]vsphere.Task, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "clones"); err != nil {
		return nil, err
	}
	var running []vsphere.Task
	for id, t := range w.tasks {
		if t.ref == "" && t.err == nil && (source == "" || source == t.source) {
			running = append(running, id)
		}
	}
	return running, nil
}

func (w *world) Locate(ctx context.Context, id vsphere.MachineID, name string) (vsphere.VM, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "locate"); err != nil {
		return vsphere.VM{}, err
	}
	for _, vm := range w.vms {
		if vm.Mark != nil && vm.Mark.Pool == w.pool && vm.Mark.Machine == id && (vm.Owned(w.pool) || vm.Name == name) {
			return *vm, nil
		}
	}
	return vsphere.VM{}, &vsphere.Error{Op: "locate vm", Kind: vsphere.NotFound}
}

// own finds a VM and proves that it is the caller's; the caller holds the lock.
func (w *world) own(act string, o vsphere.Ownership) (*vsphere.VM, error) {
	vm := w.vms[o.Ref]
	switch {
	case vm == nil:
		return nil, &vsphere.Error{Op: act, Kind: vsphere.NotFound}
	case !vm.Owned(w.pool) || vm.Mark.Machine != o.Machine:
		return nil, &vsphere.Error{Op: act, Kind: vsphere.NotOurs}
	case !vm.Connected:
		return nil, &vsphere.Error{Op: act, Kind: vsphere.Busy, Err: errors.New("vCenter calls it " + vm.Connection)}
	}
	for _, t := range w.tasks {
		if t.ref == "" && t.err == nil && t.order.ID == o.Machine {
			w.crimes = append(w.crimes, fmt.Sprintf("%s %s while its clone runs", act, o.Ref))
		}
	}
	return vm, nil
}

func (w *world) PowerOn(ctx context.Context, o vsphere.Ownership) error {
	if err := w.wait(ctx, w.powerTime); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "powerOn"); err != nil {
		return err
	}
	vm, err := w.own("power on", o)
	if err == nil && vm.Power != vsphere.PoweredOn {
		vm.Power = vsphere.PoweredOn
		w.boots[o.Ref] = time.Now().Add(w.bootTime)
	}
	return err
}

func (w *world) ShutdownGuest(ctx context.Context, o vsphere.Ownership) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "shutdown"); err != nil {
		return err
	}
	vm, err := w.own("shut down", o)
	if err != nil {
		return err
	}
	if vm.Power != vsphere.PoweredOn || !vm.ToolsRunning {
		return &vsphere.Error{Op: "shut down guest", Kind: vsphere.WrongState}
	}
	time.AfterFunc(w.guestTime, func() { w.turnOff(o.Ref) })
	return nil
}

// turnOff is a power-off from inside or outside that the pool has not asked for.
func (w *world) turnOff(ref vsphere.Ref) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if vm := w.vms[ref]; vm != nil {
		vm.Power, vm.IPs, vm.ToolsRunning = vsphere.PoweredOff, nil, false
		w.hints = append(w.hints, ref)
	}
}

func (w *world) PowerOff(ctx context.Context, o vsphere.Ownership) error {
	if err := w.wait(ctx, w.powerTime); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "powerOff"); err != nil {
		return err
	}
	vm, err := w.own("power off", o)
	if err == nil {
		vm.Power, vm.IPs, vm.ToolsRunning = vsphere.PoweredOff, nil, false
	}
	return err
}

func (w *world) Destroy(ctx context.Context, o vsphere.Ownership) error {
	if err := w.wait(ctx, w.powerTime); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "destroy"); err != nil {
		return err
	}
	vm, err := w.own("destroy", o)
	switch {
	case vsphere.KindOf(err) == vsphere.NotFound && err != nil:
		return nil
	case err != nil:
		return err
	case vm.Power == vsphere.PoweredOn:
		return &vsphere.Error{Op: "destroy vm", Kind: vsphere.WrongState}
	}
	delete(w.vms, o.Ref)
	return nil
}

func (w *world) Write(ctx context.Context, o vsphere.Ownership, c vsphere.Change) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "write"); err != nil {
		return err
	}
	vm, err := w.own("write", o)
	if err == nil {
		change(vm, c)
	}
	return err
}

func change(vm *vsphere.VM, c vsphere.Change) {
	if c.Mark != nil {
		vm.Mark = c.Mark
	}
	if c.Status != nil {
		vm.Status = c.Status
	}
	if c.Unmark {
		vm.Mark, vm.Status = nil, nil
	}
}

func (w *world) Claim(ctx context.Context, ref vsphere.Ref, c vsphere.Change) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "claim"); err != nil {
		return err
	}
	change(w.vms[ref], c)
	return nil
}

func (w *world) Read(ctx context.Context, refs []vsphere.Ref) (found []vsphere.VM, absent []vsphere.Ref, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "read"); err != nil {
		return nil, nil, err
	}
	for _, ref := range refs {
		if vm := w.vms[ref]; vm != nil {
			found = append(found, *vm)
		} else {
			absent = append(absent, ref)
		}
	}
	return found, absent, nil
}

func (w *world) Sweep(ctx context.Context, elsewhere []vsphere.Ref) (vsphere.Inventory, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "sweep"); err != nil {
		return vsphere.Inventory{}, err
	}
	inventory := vsphere.Inventory{At: time.Now()}
	for ref, vm := range w.vms {
		if !w.moved[ref] || slices.Contains(elsewhere, ref) {
			light := *vm
			light.Detail = false
			inventory.VMs = append(inventory.VMs, light)
		}
	}
	return inventory, nil
}

func (w *world) Survey(ctx context.Context) ([]vsphere.VM, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "survey"); err != nil {
		return nil, err
	}
	var own []vsphere.VM
	for _, vm := range w.vms {
		if vm.Owned(w.pool) {
			own = append(own, *vm)
		}
	}
	return own, nil
}

func (w *world) Hints(ctx context.Context) ([]vsphere.Ref, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "hints"); err != nil {
		return nil, err
	}
	hints := w.hints
	w.hints = nil
	return hints, nil
}

func (w *world) Find(ctx context.Context, query string) (vsphere.VM, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "find"); err != nil {
		return vsphere.VM{}, err
	}
	for ref, vm := range w.vms {
		if string(ref) == query || vm.InstanceUUID == query || vm.Name == query {
			return *vm, nil
		}
	}
	return vsphere.VM{}, &vsphere.Error{Op: "find vm", Kind: vsphere.NotFound}
}

func (w *world) Examine(ctx context.Context) ([]vsphere.Finding, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.findings, w.enter(ctx, "examine")
}

func (w *world) Close(context.Context) error { return nil }

// machines counts the VMs that are on and provably the pool's.
func (w *world) machines() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.progress()
	n := 0
	for _, vm := range w.vms {
		if vm.Owned(w.pool) && vm.Power == vsphere.PoweredOn {
			n++
		}
	}
	return n
}

// innocent fails the test if the pool did what it must never do.
func (w *world) innocent(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, crime := range w.crimes {
		t.Error(crime)
	}
}

// put adds a VM from outside the pool; vm is how one is now, nil if it does not exist.
func (w *world) put(vm vsphere.VM) vsphere.Ref {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.add(vm)
}

func (w *world) vm(ref vsphere.Ref) *vsphere.VM {
	w.mu.Lock()
	defer w.mu.Unlock()
	if vm := w.vms[ref]; vm != nil {
		now := *vm
		return &now
	}
	return nil
}

// count is the number of all VMs, clones the number of clone tasks ever, called that of an operation's calls.
func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.vms)
}

func (w *world) clones() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.tasks)
}

func (w *world) called(op string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[op]
}
