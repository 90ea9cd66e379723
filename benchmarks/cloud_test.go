package benchmarks

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"vspherepool/actors"
	"vspherepool/vsphere"
)

// delays is how long a cloud takes for what it does.
type delays struct {
	// clone is from the order to the task's end, power for each of power-on, power-off and destroy, boot from power-on to an address.
	clone, power, boot time.Duration
}

// cloud is a scripted vCenter for a pool named "web" that costs next to nothing, so that what is measured is the adapter. It takes its
// delays for what it does, honours contexts, works in real and in virtual time, and says of its VMs what the supervisor asks of them:
// name, instance UUID, mark and status as ordered. The cost of its calls is in proportion to what they return.
type cloud struct {
	delays

	mu    sync.Mutex
	vms   map[vsphere.Ref]*guest
	names map[string]vsphere.Ref
	ids   map[vsphere.MachineID]vsphere.Ref
	// tasks are all clone tasks ever, running those that have not ended.
	tasks, running map[vsphere.Task]copying
	hints          []vsphere.Ref
	next           int
}

// guest is a VM, and when it shows its address.
type guest struct {
	vm        vsphere.VM
	addresses []string
	boots     time.Time
}

// copying is a clone task. The VM exists from the moment that the task ends.
type copying struct {
	order vsphere.CloneOrder
	ends  time.Time
	ref   vsphere.Ref
	// number makes the VM's address.
	number int
}

const (
	cloudPool               = "web"
	cloudSource vsphere.Ref = "vm-0"
)

func newCloud(d delays) *cloud {
	return &cloud{
		delays: d, vms: map[vsphere.Ref]*guest{}, names: map[string]vsphere.Ref{}, ids: map[vsphere.MachineID]vsphere.Ref{},
		tasks: map[vsphere.Task]copying{}, running: map[vsphere.Task]copying{},
	}
}

// connect is an [actors.Connect].
func (c *cloud) connect(context.Context, string, vsphere.Connection, vsphere.Template) (actors.Provider, error) {
	return c, nil
}

// size is the number of VMs.
func (c *cloud) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.vms)
}

// enter begins a call: it lets the time pass that the call takes, and locks what the call reads or changes. The lock is the caller's to
// release, whatever the result.
func (c *cloud) enter(ctx context.Context, d time.Duration) error {
	err := pause(ctx, d)
	c.mu.Lock()
	c.finish()
	return err
}

// pause lets time pass, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 && ctx.Err() == nil {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return &vsphere.Error{Op: "call vcenter", Kind: vsphere.Unreachable, Err: ctx.Err()}
	}
}

func (c *cloud) Site() vsphere.Site {
	return vsphere.Site{VCenter: "vc-1", Region: "DC0", Source: cloudSource, CloneMode: vsphere.CloneLinked, CPUs: 2, MemoryMiB: 4096}
}

func (c *cloud) Clone(ctx context.Context, order vsphere.CloneOrder) (vsphere.Task, error) {
	err := c.enter(ctx, 0)
	defer c.mu.Unlock()
	if _, taken := c.names[order.Name]; err == nil && taken {
		err = &vsphere.Error{Op: "clone vm", Object: order.Name, Kind: vsphere.NameTaken}
	}
	if err != nil {
		return "", err
	}
	c.next++
	ref := vsphere.Ref(fmt.Sprintf("vm-%d", c.next))
	c.names[order.Name] = ref
	task := vsphere.Task(fmt.Sprintf("task-%d", c.next))
	t := copying{order: order, ends: time.Now().Add(c.clone), ref: ref, number: c.next}
	c.tasks[task], c.running[task] = t, t
	return task, nil
}

func (c *cloud) Await(ctx context.Context, task vsphere.Task) (vsphere.Cloned, error) {
	c.mu.Lock()
	t, known := c.tasks[task]
	c.mu.Unlock()
	if !known {
		return vsphere.Cloned{}, &vsphere.Error{Op: "await task", Object: string(task), Kind: vsphere.NotFound}
	}
	err := c.enter(ctx, time.Until(t.ends))
	defer c.mu.Unlock()
	if err != nil {
		return vsphere.Cloned{}, err
	}
	return vsphere.Cloned{Ref: t.ref}, nil
}

// finish makes the VMs of the clones that have ended by now; nobody need wait for them. The caller holds the lock.
func (c *cloud) finish() {
	now := time.Now()
	for task, t := range c.running {
		if !now.Before(t.ends) {
			delete(c.running, task)
			c.create(t)
		}
	}
}

func (c *cloud) create(t copying) {
	o, n := t.order, t.number
	c.ids[o.ID] = t.ref
	c.vms[t.ref] = &guest{addresses: []string{fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255)}, vm: vsphere.VM{
		Ref: t.ref, Name: o.Name, InstanceUUID: string(o.ID), Power: vsphere.PoweredOff, Connected: true, Connection: "connected",
		Mark:   &vsphere.Mark{Pool: cloudPool, Machine: o.ID, UUID: string(o.ID), Writer: o.Writer},
		Status: &o.Status, Marked: true, CreateDate: t.ends, CPUs: 2, MemoryMiB: 4096, Host: "esx-1", Datastore: "store-1",
	}}
}

// Cancel lets every task come to its end, which the interface allows.
func (c *cloud) Cancel(ctx context.Context, _ vsphere.Task) error { return pause(ctx, 0) }

func (c *cloud) Clones(ctx context.Context, _ vsphere.Ref) ([]vsphere.Task, error) {
	err := c.enter(ctx, 0)
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.running)), err
}

func (c *cloud) Examine(ctx context.Context) ([]vsphere.Finding, error) { return nil, pause(ctx, 0) }

func (c *cloud) Close(context.Context) error { return nil }
