package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere/simulator"
)

// bare is what one would write instead of the adapter, with govmomi: clone, power on, wait for the address; power off, destroy. It
// remembers, checks and watches nothing. It does as many of each at a time as the adapter does, see [quick].
type bare struct {
	client   *govmomi.Client
	template *object.VirtualMachine
	folder   *object.Folder
	spec     types.VirtualMachineCloneSpec
	tasks    *lookout
	guests   *lookout

	creates, powerOps, deletes chan struct{}
	mu                         sync.Mutex
	vms                        []*object.VirtualMachine
}

func newBare(t testing.TB, sim *simulator.Simulator) *bare {
	t.Helper()
	ctx, c := t.Context(), sim.Connection()
	u, err := soap.ParseURL(c.URL)
	done(t, err)
	u.User = url.UserPassword(c.Username, c.Password)
	b := &bare{creates: make(chan struct{}, 20), powerOps: make(chan struct{}, 50), deletes: make(chan struct{}, 20)}
	b.client, err = govmomi.NewClient(ctx, u, true)
	done(t, err)
	b.client.DefaultTransport().MaxIdleConnsPerHost = 100
	b.resolve(t, sim)
	b.tasks = newLookout(b.client, "Task", "info")
	b.guests = newLookout(b.client, "VirtualMachine", "guest.ipAddress")
	return b
}

// resolve finds what the clones are made of, and where.
func (b *bare) resolve(t testing.TB, sim *simulator.Simulator) {
	t.Helper()
	ctx, template, finder := t.Context(), sim.Template(), find.NewFinder(b.client.Client)
	var err error
	b.template, err = finder.VirtualMachine(ctx, template.Template)
	done(t, err)
	b.folder, err = finder.Folder(ctx, "/DC0/vm/pools")
	done(t, err)
	resources, err := finder.ResourcePool(ctx, template.ResourcePool)
	done(t, err)
	var source mo.VirtualMachine
	done(t, b.template.Properties(ctx, b.template.Reference(), []string{"snapshot"}, &source))
	pool := resources.Reference()
	b.spec = types.VirtualMachineCloneSpec{
		Location: types.VirtualMachineRelocateSpec{
			Pool: &pool, DiskMoveType: string(types.VirtualMachineRelocateDiskMoveOptionsCreateNewChildDiskBacking),
		},
		Snapshot: source.Snapshot.CurrentSnapshot,
	}
}

// up makes so many machines, down removes them.
func (b *bare) up(ctx context.Context, machines int) error {
	return together(machines, func(i int) error { return b.launch(ctx, i) })
}

func (b *bare) down(ctx context.Context) error {
	return together(len(b.vms), func(i int) error { return b.remove(ctx, b.vms[i]) })
}

// together does something so many times at once.
func together(times int, do func(int) error) error {
	errs := make([]error, times)
	var all sync.WaitGroup
	for i := range times {
		all.Go(func() { errs[i] = do(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (b *bare) launch(ctx context.Context, i int) error {
	var made any
	err := within(b.creates, func() (err error) {
		made, err = b.task(ctx, func() (*object.Task, error) { return b.template.Clone(ctx, b.folder, fmt.Sprintf("raw-%d", i), b.spec) })
		return err
	})
	if err != nil {
		return err
	}
	vm := object.NewVirtualMachine(b.client.Client, made.(types.ManagedObjectReference))
	if err := within(b.powerOps, func() error { return b.do(ctx, vm.PowerOn) }); err != nil {
		return err
	}
	b.mu.Lock()
	b.vms = append(b.vms, vm)
	b.mu.Unlock()
	_, err = b.guests.wait(ctx, vm.Reference(), func(v any) bool { return v != nil && v != "" })
	return err
}

func (b *bare) remove(ctx context.Context, vm *object.VirtualMachine) error {
	if err := within(b.powerOps, func() error { return b.do(ctx, vm.PowerOff) }); err != nil {
		return err
	}
	return within(b.deletes, func() error { return b.do(ctx, vm.Destroy) })
}

// within does something under a limit of what is done at the same time.
func within(limit chan struct{}, do func() error) error {
	limit <- struct{}{}
	defer func() { <-limit }()
	return do()
}

func (b *bare) do(ctx context.Context, start func(context.Context) (*object.Task, error)) error {
	_, err := b.task(ctx, func() (*object.Task, error) { return start(ctx) })
	return err
}

// task starts a task and returns its result.
func (b *bare) task(ctx context.Context, start func() (*object.Task, error)) (any, error) {
	t, err := start()
	if err != nil {
		return nil, err
	}
	ended, err := b.tasks.wait(ctx, t.Reference(), func(v any) bool { return v.(types.TaskInfo).CompleteTime != nil })
	if err != nil {
		return nil, err
	}
	info := ended.(types.TaskInfo)
	if info.Error != nil {
		return nil, errors.New(info.Error.LocalizedMessage)
	}
	return info.Result, nil
}

// lookout waits for a property of many objects with one poll for all of them: several times faster than a property collector for each,
// which is what task.Wait makes, because every change of any of them wakes all of those.
type lookout struct {
	collector      *property.Collector
	kind, property string

	mu      sync.Mutex
	waiting map[types.ManagedObjectReference]waiting
	looking bool
}

type waiting struct {
	so    func(any) bool
	ended chan any
}

// lookPause is the time between two looks.
const lookPause = 25 * time.Millisecond

func newLookout(c *govmomi.Client, kind, path string) *lookout {
	return &lookout{collector: c.PropertyCollector(), kind: kind, property: path, waiting: map[types.ManagedObjectReference]waiting{}}
}

// wait returns the property once it is so.
func (l *lookout) wait(ctx context.Context, ref types.ManagedObjectReference, so func(any) bool) (any, error) {
	w := waiting{so, make(chan any, 1)}
	l.mu.Lock()
	l.waiting[ref] = w
	if !l.looking {
		l.looking = true
		go l.look(ctx)
	}
	l.mu.Unlock()
	v := <-w.ended
	err, _ := v.(error)
	return v, err
}

func (l *lookout) look(ctx context.Context) {
	for refs := l.refs(); len(refs) > 0; refs = l.refs() {
		var found []types.ObjectContent
		err := pause(ctx, lookPause)
		if err == nil {
			err = l.collector.Retrieve(ctx, refs, []string{l.property}, &found)
		}
		for _, ref := range refs {
			l.tell(ref, err, err != nil)
		}
		for _, o := range found {
			for _, p := range o.PropSet {
				l.tell(o.Obj, p.Val, false)
			}
		}
	}
}

// refs are those that are waited for; without any, nobody looks any more.
func (l *lookout) refs() []types.ManagedObjectReference {
	l.mu.Lock()
	defer l.mu.Unlock()
	var refs []types.ManagedObjectReference
	for ref := range l.waiting {
		refs = append(refs, ref)
	}
	l.looking = len(refs) > 0
	return refs
}

func (l *lookout) tell(ref types.ManagedObjectReference, v any, regardless bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w, here := l.waiting[ref]; here && (regardless || v != nil && w.so(v)) {
		w.ended <- v
		delete(l.waiting, ref)
	}
}
