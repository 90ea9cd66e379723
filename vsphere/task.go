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

const (
	// A task is looked at ten times a second at first, more rarely as it grows older, and once a second in the end.
	shortestPause = 100 * time.Millisecond
	longestPause  = time.Second
	// patience is how long tasks may be out of sight before those who wait for them hear of it. A blip, or a vCenter restart that
	// is over by then, goes unnoticed; their own contexts still bound each wait.
	patience = 30 * time.Second
)

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
	looked  time.Time
	running bool
	closed  bool
	kick    chan struct{}
	loop    sync.WaitGroup

	// troubled is since when looks fail, absent what the last one did not show; both are the goroutine's own.
	troubled time.Time
	absent   map[Task]bool
}

type waiter struct {
	task  Task
	since time.Time
	done  chan verdict
}

// verdict is a task's end, or the reason why nobody will see it.
type verdict struct {
	info types.TaskInfo
	err  error
}

func newPoller(life context.Context, read func(context.Context, types.PropertyFilterSpec) ([]types.ObjectContent, error)) *poller {
	return &poller{read: read, life: life, waiters: map[*waiter]struct{}{}, kick: make(chan struct{}, 1)}
}

// do starts a task and waits for its end. An error tells who is in the way, if its fault says so. Busy with [errForgotten]: the task
// may have done its work or not, so look and ask again.
func (c *Client) do(ctx context.Context, start func(context.Context) (*object.Task, error)) error {
	t, err := start(ctx)
	if err != nil {
		return c.explain(ctx, err)
	}
	return c.finish(ctx, Task(t.Reference().Value))
}

// finish waits for the end of a task whose result does not matter.
func (c *Client) finish(ctx context.Context, t Task) error {
	_, err := c.tasks.await(ctx, t)
	if errors.Is(err, errForgotten) {
		return &Error{Kind: Busy, Err: err, Hint: "it is looked at and tried again"}
	}
	return c.explain(ctx, c.labels.on(err))
}

// await returns when the task has ended, the context has, or the client is closed. A failed task is an error.
func (p *poller) await(ctx context.Context, t Task) (types.TaskInfo, error) {
	w := p.join(t)
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

func (p *poller) join(t Task) *waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := &waiter{task: t, since: time.Now(), done: make(chan verdict, 1)}
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
	pause := longestPause
	for w := range p.waiters {
		pause = min(pause, max(shortestPause, time.Since(w.since)/5))
	}
	if !p.troubled.IsZero() {
		pause = longestPause
	}
	pages := (len(p.waiters) + pageSize - 1) / pageSize // each one a call
	return p.looked.Add(pause * time.Duration(pages)), true
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

// look asks for the states of all tasks waited for, then for the details of those that ended.
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

// judge finds the tasks that ended, that vCenter does not know any more, or that it hides.
func (p *poller) judge(tasks []Task) (map[Task]verdict, error) {
	if len(tasks) == 0 { // nobody waits any more
		return nil, nil
	}
	verdicts, ended, err := p.states(tasks)
	if err != nil || len(ended) == 0 {
		return verdicts, err
	}
	infos, err := p.read(p.life, objects(taskRefs(ended), []string{"info"}, true))
	for _, o := range infos {
		if v, known := conclude(o); known {
			verdicts[Task(o.Obj.Value)] = v
		}
	}
	return verdicts, err
}

// states reads how far the tasks are. One that two answers in a row leave out is forgotten: a vCenter that has just come up again may
// answer before it knows everything.
func (p *poller) states(tasks []Task) (verdicts map[Task]verdict, ended []Task, err error) {
	answers, err := p.read(p.life, objects(taskRefs(tasks), []string{"info.state"}, true))
	if err != nil {
		return nil, nil, err
	}
	verdicts, shown := map[Task]verdict{}, map[Task]bool{}
	for _, o := range answers {
		t := Task(o.Obj.Value)
		switch err := hidden(o); {
		case err == nil:
			shown[t] = true
			if over(value[types.TaskInfoState](o, "info.state")) {
				ended = append(ended, t)
			}
		case KindOf(wrap("read task", "", err)) == Unreachable: // the session, not the task
			return nil, nil, err
		case !gone(err):
			shown[t], verdicts[t] = true, verdict{err: wrap("read task", string(t), err)}
		}
	}
	p.forget(tasks, shown, verdicts)
	return verdicts, ended, nil
}

// forget gives up the tasks that were not shown twice, and notes those that were not shown now.
func (p *poller) forget(tasks []Task, shown map[Task]bool, verdicts map[Task]verdict) {
	absent := map[Task]bool{}
	for _, t := range tasks {
		switch {
		case shown[t]:
		case p.absent[t]:
			verdicts[t] = verdict{err: &Error{Op: "wait for task", Object: string(t), Kind: NotFound, Err: errForgotten}}
		default:
			absent[t] = true
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
