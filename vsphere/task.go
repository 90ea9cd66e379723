package vsphere

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25/types"
)

// patience is how long tasks may be out of sight before those who wait for them hear of it. A blip, or a vCenter restart that is over
// by then, goes unnoticed; their own contexts still bound each wait.
const patience = 30 * time.Second

// errForgotten says that vCenter does not know a task: it ended a while ago, or vCenter was restarted, which loses all of them. What
// became of the work can be seen in the inventory only.
var errForgotten = errors.New("vCenter has forgotten the task")

// poller waits for all tasks in flight with one goroutine and one call per look. A wait of its own per task would be a property
// collector per task, each woken by every change of all of them.
type poller struct {
	// read gives all that is answered, whatever that hides: one task's trouble is not the others'.
	read func(context.Context, types.PropertyFilterSpec) ([]types.ObjectContent, error)
	life context.Context

	mu      sync.Mutex
	waiters map[*waiter]struct{}
	usual   usual
	looked  time.Time
	running bool
	closed  bool
	kick    chan struct{}
	loop    sync.WaitGroup

	// troubled is since when looks fail, absent what the last one did not show; both are the goroutine's own.
	troubled time.Time
	absent   map[Task]time.Time
}

type waiter struct {
	task  Task
	kind  taskKind
	since time.Time
	done  chan verdict
}

// verdict is a task's end, or the reason why nobody will see it.
type verdict struct {
	info types.TaskInfo
	err  error
}

func newPoller(life context.Context, read func(context.Context, types.PropertyFilterSpec) ([]types.ObjectContent, error)) *poller {
	return &poller{read: read, life: life, waiters: map[*waiter]struct{}{}, usual: usual{}, kick: make(chan struct{}, 1)}
}

// do starts a task and waits for its end. An error tells who is in the way, if its fault says so. Busy with [errForgotten]: the task
// may have done its work or not, so look and ask again.
func (c *Client) do(ctx context.Context, kind taskKind, start func(context.Context) (*object.Task, error)) error {
	t, err := start(ctx)
	if err != nil {
		return c.explain(ctx, err)
	}
	return c.finish(ctx, kind, Task(t.Reference().Value))
}

// finish waits for the end of a task whose result does not matter.
func (c *Client) finish(ctx context.Context, kind taskKind, t Task) error {
	_, err := c.tasks.await(ctx, kind, t)
	if errors.Is(err, errForgotten) {
		return &Error{Kind: Busy, Err: err, Hint: "it is looked at and tried again"}
	}
	return c.explain(ctx, c.labels.on(err))
}

// await returns when the task has ended, the context has, or the client is closed. A failed task is an error.
func (p *poller) await(ctx context.Context, kind taskKind, t Task) (types.TaskInfo, error) {
	w := p.join(kind, t)
	defer p.leave(w)
	select {
	case v := <-w.done:
		return v.info, v.err
	case <-ctx.Done():
		return types.TaskInfo{}, ctx.Err()
	case <-p.life.Done():
		return types.TaskInfo{}, errClosed
	}
}

func (p *poller) join(kind taskKind, t Task) *waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := &waiter{task: t, kind: kind, since: time.Now(), done: make(chan verdict, 1)}
	p.waiters[w] = struct{}{}
	if !p.running && !p.closed {
		p.running, p.looked, p.troubled, p.absent = true, w.since, time.Time{}, nil
		p.loop.Add(1)
		go p.run()
	}
	select {
	case p.kick <- struct{}{}:
	default:
	}
	return w
}

func (p *poller) leave(w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiters, w)
}

// close waits for the goroutine; the life must have ended.
func (p *poller) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.loop.Wait()
}

func (p *poller) run() {
	defer p.loop.Done()
	for {
		due, more := p.next()
		if !more {
			return
		}
		if p.sleep(due) {
			p.look()
		}
	}
}

// next is when to look again; more is false, and the goroutine is over, when nobody waits or the life has ended.
func (p *poller) next() (due time.Time, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiters) == 0 || p.life.Err() != nil {
		p.running = false
		return time.Time{}, false
	}
	pages := time.Duration((len(p.waiters) + pageSize - 1) / pageSize) // each one a call
	if !p.troubled.IsZero() {
		return p.looked.Add(pages * longestPause), true
	}
	for w := range p.waiters {
		if at := p.usual.due(w, p.looked, pages); due.IsZero() || at.Before(due) {
			due = at
		}
	}
	return due, true
}

// sleep says whether the time has come; otherwise something changed that may alter when it comes.
func (p *poller) sleep(due time.Time) bool {
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.kick:
	case <-p.life.Done():
	}
	return false
}

// look asks for all tasks waited for.
func (p *poller) look() {
	tasks := p.pending()
	verdicts, err := p.judge(tasks)
	switch {
	case err == nil:
		p.troubled = time.Time{}
	case p.exhausted(err):
		verdicts = failed(tasks, err)
	default:
		verdicts = nil
	}
	p.deliver(verdicts)
}

// failed is what those who wait hear of a look that failed: whatever it failed of, it says nothing about how their tasks end.
func failed(tasks []Task, err error) map[Task]verdict {
	verdicts := map[Task]verdict{}
	for _, t := range tasks {
		verdicts[t] = verdict{err: &Error{
			Op: "wait for task", Object: string(t), Kind: Unreachable, Err: wrap("read tasks", "", err),
			Hint: "it may go on; what became of it is looked at",
		}}
	}
	return verdicts
}

func (p *poller) pending() []Task {
	p.mu.Lock()
	defer p.mu.Unlock()
	var tasks []Task
	seen := map[Task]bool{}
	for w := range p.waiters {
		if !seen[w.task] {
			seen[w.task] = true
			tasks = append(tasks, w.task)
		}
	}
	return tasks
}

// exhausted says whether the trouble has to be told. vCenter out of reach, or not quite up again, gets some patience; a refusal none.
func (p *poller) exhausted(err error) bool {
	if p.troubled.IsZero() {
		p.troubled = time.Now()
	}
	switch KindOf(wrap("read tasks", "", err)) {
	case Unreachable, Unknown, Busy, TooMany, Cancelled:
		return time.Since(p.troubled) >= patience
	default:
		return true
	}
}

// judge finds the tasks that ended, that vCenter hides, or that it does not know any more: one that two answers in a row leave out is
// forgotten, for a vCenter that has just come up again may answer before it knows everything.
func (p *poller) judge(tasks []Task) (map[Task]verdict, error) {
	if len(tasks) == 0 { // nobody waits any more
		return nil, nil
	}
	answers, err := p.read(p.life, objects(taskRefs(tasks), []string{"info"}, true))
	if err != nil {
		return nil, err
	}
	verdicts, shown := map[Task]verdict{}, map[Task]bool{}
	for _, o := range answers {
		err := hidden(o)
		switch {
		case err != nil && KindOf(wrap("read task", "", err)) == Unreachable: // the session, not the task
			return nil, err
		case err != nil && gone(err):
			continue
		}
		t := Task(o.Obj.Value)
		shown[t] = true
		if v, known := conclude(o); known {
			verdicts[t] = v
		}
	}
	p.forget(tasks, shown, verdicts)
	return verdicts, nil
}

// forget gives up the tasks that were not shown twice, with the longest pause between: a vCenter that has just come up may not know its
// tasks yet. It notes those that were not shown now.
func (p *poller) forget(tasks []Task, shown map[Task]bool, verdicts map[Task]verdict) {
	absent, now := map[Task]time.Time{}, time.Now()
	for _, t := range tasks {
		since, before := p.absent[t]
		switch {
		case shown[t]:
		case before && now.Sub(since) >= longestPause:
			verdicts[t] = verdict{err: &Error{Op: "wait for task", Object: string(t), Kind: NotFound, Err: errForgotten}}
		case before:
			absent[t] = since
		default:
			absent[t] = now
		}
	}
	p.absent = absent
}

func (p *poller) deliver(verdicts map[Task]verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looked = time.Now()
	for w := range p.waiters {
		if v, ended := verdicts[w.task]; ended {
			w.done <- v
			delete(p.waiters, w)
			p.usual.learn(w, v, p.looked)
		}
	}
}

func over(s types.TaskInfoState) bool {
	return s == types.TaskInfoStateSuccess || s == types.TaskInfoStateError
}

// conclude is a task's end; known is false if the answer does not show one after all.
func conclude(o types.ObjectContent) (v verdict, known bool) {
	if err := hidden(o); err != nil {
		return verdict{err: wrap("read task", o.Obj.Value, err)}, !gone(err)
	}
	info := value[types.TaskInfo](o, "info")
	switch {
	case info.State == types.TaskInfoStateError && info.Error == nil:
		return verdict{info: info, err: &Error{Kind: Unknown, Err: errors.New("the task failed and does not say why")}}, true
	case info.State == types.TaskInfoStateError:
		fault := task.Error{LocalizedMethodFault: info.Error, Description: info.Description}
		return verdict{info: info, err: taskFault{fault, Task(info.Key)}}, true
	}
	return verdict{info: info}, info.State == types.TaskInfoStateSuccess
}

func taskRefs(tasks []Task) []types.ManagedObjectReference {
	refs := make([]types.ManagedObjectReference, len(tasks))
	for i, t := range tasks {
		refs[i] = types.ManagedObjectReference{Type: "Task", Value: string(t)}
	}
	return refs
}
