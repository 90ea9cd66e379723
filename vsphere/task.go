package vsphere

import (
	"context"
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

// poller waits for all tasks in flight with one goroutine and one call per look. A wait of its own per task would be a property
// collector per task, each woken by every change of all of them.
type poller struct {
	read func(context.Context, types.PropertyFilterSpec) ([]types.ObjectContent, error)
	life context.Context

	mu      sync.Mutex
	waiters map[*waiter]struct{}
	looked  time.Time
	running bool
	closed  bool
	kick    chan struct{}
	loop    sync.WaitGroup

	// troubled is since when looks fail; the goroutine's own.
	troubled time.Time
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

// do starts a task and waits for its end. Errors are raw: the call's or the task's.
func (c *Client) do(ctx context.Context, start func(context.Context) (*object.Task, error)) error {
	t, err := start(ctx)
	if err != nil {
		return err
	}
	_, err = c.tasks.await(ctx, Task(t.Reference().Value))
	return c.labels.on(err)
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
		p.running, p.looked, p.troubled = true, w.since, time.Time{}
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
	return p.looked.Add(pause), true
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

func failed(tasks []Task, err error) map[Task]verdict {
	verdicts := map[Task]verdict{}
	for _, t := range tasks {
		verdicts[t] = verdict{err: err}
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

// exhausted says whether the trouble has to be told. vCenter out of reach gets some patience, anything else none.
func (p *poller) exhausted(err error) bool {
	if p.troubled.IsZero() {
		p.troubled = time.Now()
	}
	return KindOf(wrap("read tasks", "", err)) != Unreachable || time.Since(p.troubled) >= patience
}

// judge finds the tasks that ended or that vCenter does not know any more.
func (p *poller) judge(tasks []Task) (map[Task]verdict, error) {
	states, err := p.read(p.life, objects(taskRefs(tasks), []string{"info.state"}, true))
	if err != nil {
		return nil, err
	}
	verdicts := map[Task]verdict{}
	for _, t := range tasks {
		verdicts[t] = verdict{err: &Error{Op: "wait for task", Object: string(t), Kind: NotFound, Hint: "vCenter has forgotten the task"}}
	}
	var ended []Task
	for _, o := range states {
		delete(verdicts, Task(o.Obj.Value))
		if over(value[types.TaskInfoState](o, "info.state")) {
			ended = append(ended, Task(o.Obj.Value))
		}
	}
	if len(ended) == 0 {
		return verdicts, nil
	}
	infos, err := p.read(p.life, objects(taskRefs(ended), []string{"info"}, true))
	for _, o := range infos {
		verdicts[Task(o.Obj.Value)] = outcome(value[types.TaskInfo](o, "info"))
	}
	return verdicts, err
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

func outcome(info types.TaskInfo) verdict {
	if info.State == types.TaskInfoStateError && info.Error != nil {
		return verdict{info: info, err: taskFault{task.Error{LocalizedMethodFault: info.Error, Description: info.Description}, Task(info.Key)}}
	}
	return verdict{info: info}
}

func taskRefs(tasks []Task) []types.ManagedObjectReference {
	refs := make([]types.ManagedObjectReference, len(tasks))
	for i, t := range tasks {
		refs[i] = types.ManagedObjectReference{Type: "Task", Value: string(t)}
	}
	return refs
}
