package vsphere

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

// Clone starts the clone of one machine, powered off, its mark in the clone spec, and returns the task. If the datastore is full or the
// host does not take it, and there are others, the next is tried at once. NameTaken may mean that an earlier, lost attempt succeeded;
// Unreachable that this one may have; Misconfigured that something the template refers to is gone.
func (c *Client) Clone(ctx context.Context, order CloneOrder) (Task, error) {
	if c.site.Flaw != nil {
		return "", wrap("clone vm", order.Name, c.site.Flaw)
	}
	if c.place.cluster != nil {
		if err := c.launcher.cluster.take(ctx); err != nil {
			return "", wrap("wait for datastore cluster", c.place.template.DatastoreCluster, err)
		}
		defer c.launcher.cluster.leave()
	}
	for tries := c.place.tries(); ; tries-- {
		task, elsewhere, err := c.launch(ctx, order)
		if err == nil || !elsewhere || tries <= 1 {
			return task, wrap("clone vm", order.Name, c.place.explain(err))
		}
	}
}

// tries is how many places a clone may be tried at before somebody is told: each of the datastores and hosts once, or two that Storage
// DRS recommends.
func (p placement) tries() int {
	if p.cluster != nil {
		return 2 + len(p.hosts)
	}
	return len(p.datastores) + len(p.hosts)
}

// launch tries one place; elsewhere says that the place was at fault.
func (c *Client) launch(ctx context.Context, order CloneOrder) (task Task, elsewhere bool, err error) {
	at, keys, err := c.berth(ctx, order)
	defer c.cancel(ctx, keys)
	if err != nil {
		return "", false, wrap("choose datastore for", order.Name, err)
	}
	spec, err := c.place.spec(c.pool, order, at)
	if err != nil {
		c.launcher.release(order.ID)
		return "", false, err
	}
	started, err := object.NewVirtualMachine(c.vim, c.place.source).Clone(ctx, object.NewFolder(c.vim, c.place.folder), order.Name, spec)
	if err == nil {
		task = Task(started.Reference().Value)
	}
	return task, c.launcher.launched(order.ID, task, at, err), err
}

// berth finds the machine a place and promises it. keys are the recommendations to cancel once the clone has been started.
func (c *Client) berth(ctx context.Context, order CloneOrder) (at spot, keys []string, err error) {
	if c.place.cluster != nil {
		return c.recommended(ctx, order)
	}
	at, err = c.reserve(ctx, order.ID)
	return at, nil, err
}

// Await waits for a clone task's end and returns the VM that it made. NotFound: vCenter does not know the task any more.
func (c *Client) Await(ctx context.Context, t Task) (Cloned, error) {
	info, err := c.tasks.await(ctx, cloneTask, t)
	c.launcher.ended(t, err)
	if err != nil {
		return Cloned{}, ended(wrap("clone vm", "by "+string(t), c.place.explain(c.labels.on(err))))
	}
	made := moid(info.Result)
	if made == "" {
		return Cloned{}, &Error{Op: "clone vm", Object: "by " + string(t), Err: errors.New("the task ended without a result")}
	}
	return Cloned{Ref: Ref(made), Queued: queued(info)}, nil
}

// Cancel asks vCenter to end a task. It may end all the same with its work done; one that has ended, or is not known, is a success.
func (c *Client) Cancel(ctx context.Context, t Task) error {
	_, err := methods.CancelTask(ctx, c.vim, &types.CancelTask{This: taskRefs([]Task{t})[0]})
	if isFault(err, fault[types.InvalidState]()) || isFault(err, fault[types.ManagedObjectNotFound]()) {
		return nil
	}
	if isFault(err, fault[types.NotSupported]()) { // elsewhere it is the configuration that asks for something unsupported
		err = &Error{Kind: Busy, Fault: fault[types.NotSupported](), Err: err, Hint: "this task cannot be cancelled; it goes on to its end"}
	}
	return wrap("cancel", string(t), err)
}

func queued(info types.TaskInfo) time.Duration {
	if info.StartTime == nil {
		return 0
	}
	return max(0, info.StartTime.Sub(info.QueueTime))
}

// ended keeps a task that failed because it missed something apart from a task that is not known any more.
func ended(err error) error {
	var e *Error
	if errors.As(err, &e) && e.Kind == NotFound && e.Fault != "" {
		e.Kind = Misconfigured
	}
	return err
}

// Clones lists the tasks that clone the given VM and have not ended, anybody's as far as the account may see them; without one, the
// clones of all VMs.
func (c *Client) Clones(ctx context.Context, source Ref) ([]Task, error) {
	recent, err := c.collect(ctx, types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{
			Obj:       *c.vim.ServiceContent.TaskManager,
			Skip:      new(true),
			SelectSet: []types.BaseSelectionSpec{&types.TraversalSpec{Type: "TaskManager", Path: "recentTask"}},
		}},
		PropSet: []types.PropertySpec{{Type: "Task", PathSet: []string{"info.state", "info.entity", "info.descriptionId"}}},
	})
	if err == nil {
		recent, err = readable(slices.DeleteFunc(recent, forbidden))
	}
	var tasks []Task
	for _, o := range recent {
		if cloning(o, source) {
			tasks = append(tasks, Task(o.Obj.Value))
		}
	}
	return tasks, wrap("list clone tasks of", string(source), err)
}

// forbidden is a task of somebody whose tasks the account may not read, and so not one of ours.
func forbidden(o types.ObjectContent) bool {
	return KindOf(wrap("read task", "", hidden(o))) == Forbidden
}

func cloning(o types.ObjectContent, source Ref) bool {
	return !over(value[types.TaskInfoState](o, "info.state")) &&
		(source == "" || value[types.ManagedObjectReference](o, "info.entity") == vmRef(source)) &&
		strings.HasPrefix(value[string](o, "info.descriptionId"), "VirtualMachine.clone")
}

// Locate finds the pool's own VM of a machine by its mark: in the pool's folder first, then wherever vCenter's index has its instance
// UUID. A clone to which vCenter gave another instance UUID than it was asked for is known by mark and name. NotFound: there is none.
func (c *Client) Locate(ctx context.Context, id MachineID, name string) (VM, error) {
	inside, err := c.inside(ctx)
	if err != nil {
		return VM{}, wrap("list folder for", string(id), err)
	}
	ref, found := c.pick(inside, id, name)
	if !found {
		ref, found, err = c.indexed(ctx, id)
	}
	if !found && err == nil {
		err = veiled(inside, name)
	}
	if err != nil {
		return VM{}, wrap("locate", string(id), err)
	}
	if !found {
		return VM{}, missing(string(id), "no VM carries the mark of this machine")
	}
	return c.detail(ctx, ref)
}

func (c *Client) pick(sights []sight, id MachineID, name string) (ref Ref, found bool) {
	for _, s := range sights {
		if s.Mark == nil || s.Mark.Pool != c.pool || s.Mark.Machine != id {
			continue
		}
		if s.Owned(c.pool) {
			return s.Ref, true
		}
		if s.Name == name && !s.Template {
			ref, found = s.Ref, true
		}
	}
	return ref, found
}

// veiled is why a VM of that name, or of none, cannot be told to be another one's: its mark cannot be read.
func veiled(sights []sight, name string) error {
	for _, s := range sights {
		if s.hides != nil && (s.Name == name || s.Name == "") {
			return s.hides
		}
	}
	return nil
}

// indexed asks the search index, which knows VMs outside the folder but hides those that are inaccessible.
func (c *Client) indexed(ctx context.Context, id MachineID) (Ref, bool, error) {
	refs, err := c.byUUID(ctx, string(id))
	if err != nil || len(refs) == 0 {
		return "", false, err
	}
	sights, err := c.look(ctx, refs, lightProperties)
	ref, found := c.pick(sights, id, "")
	return ref, found, err
}
