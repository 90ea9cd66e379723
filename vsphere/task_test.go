package vsphere

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// work is a vCenter that has tasks, each ending at its time.
type work struct {
	mu    sync.Mutex
	ends  map[Task]time.Time
	fault map[Task]types.BaseMethodFault
	down  error
	// hidden are tasks that are not shown, and why; mute those that the next answer leaves out.
	hidden map[Task]types.BaseMethodFault
	mute   map[Task]bool
	looks  int
	// calls counts each page as the call that it is.
	calls int
}

func (w *work) read(_ context.Context, spec types.PropertyFilterSpec) ([]types.ObjectContent, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks++
	w.calls += (len(spec.ObjectSet) + pageSize - 1) / pageSize
	if w.down != nil {
		return nil, w.down
	}
	var out []types.ObjectContent
	for _, o := range spec.ObjectSet {
		end, known := w.ends[Task(o.Obj.Value)]
		if f := w.hidden[Task(o.Obj.Value)]; f != nil {
			out = append(out, types.ObjectContent{Obj: o.Obj, MissingSet: []types.MissingProperty{
				{Path: spec.PropSet[0].PathSet[0], Fault: types.LocalizedMethodFault{Fault: f}},
			}})
			continue
		}
		if !known || w.mute[Task(o.Obj.Value)] {
			delete(w.mute, Task(o.Obj.Value))
			continue
		}
		info := types.TaskInfo{State: types.TaskInfoStateRunning, Key: o.Obj.Value}
		if !time.Now().Before(end) {
			info.State = types.TaskInfoStateSuccess
		}
		if f := w.fault[Task(o.Obj.Value)]; f != nil {
			info.State, info.Error = types.TaskInfoStateError, &types.LocalizedMethodFault{Fault: f}
		}
		out = append(out, types.ObjectContent{Obj: o.Obj, PropSet: []types.DynamicProperty{
			{Name: "info", Val: info}, {Name: "info.state", Val: info.State},
		}})
	}
	return out, nil
}

func (w *work) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// poll runs a test with a poller of w in a bubble.
func poll(t *testing.T, w *work, test func(*testing.T, *poller, context.CancelFunc)) {
	synctest.Test(t, func(t *testing.T) {
		w.set(func() { w.ends = map[Task]time.Time{} })
		life, end := context.WithCancel(context.Background())
		p := newPoller(life, w.read)
		test(t, p, end)
		end()
		p.close()
	})
}

func TestPollerEndsEachTaskInItsTime(t *testing.T) {
	w := &work{}
	poll(t, w, func(t *testing.T, p *poller, _ context.CancelFunc) {
		start := time.Now()
		var wg sync.WaitGroup
		for name, span := range map[Task]time.Duration{"task-1": 0, "task-2": time.Second, "task-3": time.Minute} {
			w.set(func() { w.ends[name] = start.Add(span) })
			wg.Go(func() {
				info, err := p.await(t.Context(), cloneTask, name)
				if late := time.Since(start) - span; err != nil || info.Key != string(name) || late < 0 || late > longestPause {
					t.Errorf("%s: %v after %v, %v", name, info.Key, time.Since(start), err)
				}
			})
		}
		wg.Wait()
		if w.looks > 100 {
			t.Errorf("%d looks in a minute", w.looks)
		}
		synctest.Wait()
		if p.running {
			t.Error("the goroutine outlives the last task")
		}
	})
}

func TestPollerIsNotStarvedByNewTasks(t *testing.T) {
	w := &work{}
	poll(t, w, func(t *testing.T, p *poller, _ context.CancelFunc) {
		start := time.Now()
		w.set(func() { w.ends["task-0"] = start; w.ends["task-x"] = start.Add(time.Hour) })
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Millisecond)
				_, _ = p.await(ctx, cloneTask, "task-x")
			})
		}
		if _, err := p.await(t.Context(), cloneTask, "task-0"); err != nil || time.Since(start) > 2*shortestPause {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		cancel()
		wg.Wait()
	})
}

func TestPollerTellsFailures(t *testing.T) {
	w := &work{}
	poll(t, w, func(t *testing.T, p *poller, _ context.CancelFunc) {
		w.set(func() {
			w.ends["task-1"] = time.Now()
			w.fault = map[Task]types.BaseMethodFault{"task-1": &types.NoDiskSpace{}}
		})
		if _, err := p.await(t.Context(), cloneTask, "task-1"); KindOf(wrap("op", "", err)) != Storage {
			t.Errorf("failed task: %v", err)
		}
		if _, err := p.await(t.Context(), cloneTask, "task-gone"); KindOf(err) != NotFound {
			t.Errorf("vanished task: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w.set(func() { w.ends["task-2"] = time.Now().Add(time.Hour) })
		if _, err := p.await(ctx, cloneTask, "task-2"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("impatient caller: %v", err)
		}
	})
}

func TestPollerHasPatience(t *testing.T) {
	w := &work{}
	poll(t, w, func(t *testing.T, p *poller, _ context.CancelFunc) {
		start := time.Now()
		w.set(func() { w.ends["task-1"] = start.Add(5 * time.Second); w.down = io.EOF })
		time.AfterFunc(20*time.Second, func() { w.set(func() { w.down = nil }) })
		if _, err := p.await(t.Context(), cloneTask, "task-1"); err != nil || time.Since(start) > 22*time.Second {
			t.Errorf("blip: %v after %v", err, time.Since(start))
		}
		w.set(func() { w.down = io.EOF })
		start = time.Now()
		_, err := p.await(t.Context(), cloneTask, "task-1")
		if span := time.Since(start); KindOf(wrap("op", "", err)) != Unreachable || span < patience || span > patience+2*time.Second {
			t.Errorf("outage: %v after %v", err, span)
		}
		w.set(func() { w.down = soapFault(types.InvalidLogin{}) })
		start = time.Now()
		_, err = p.await(t.Context(), cloneTask, "task-1")
		if KindOf(err) != Unreachable || !strings.Contains(err.Error(), "InvalidLogin") || time.Since(start) > time.Second {
			t.Errorf("refusal: %v after %v; it says nothing about the task", err, time.Since(start))
		}
	})
}

func TestPollerEndsWithItsClient(t *testing.T) {
	w := &work{}
	poll(t, w, func(t *testing.T, p *poller, end context.CancelFunc) {
		w.set(func() { w.ends["task-1"] = time.Now().Add(time.Hour) })
		time.AfterFunc(time.Minute, end)
		if _, err := p.await(t.Context(), cloneTask, "task-1"); !errors.Is(err, errClosed) {
			t.Error(err)
		}
		p.close()
		if _, err := p.await(t.Context(), cloneTask, "task-1"); !errors.Is(err, errClosed) {
			t.Error(err)
		}
	})
}

func TestPollerKeepsTroubleApart(t *testing.T) {
	w := &work{}
	poll(t, w, func(t *testing.T, p *poller, _ context.CancelFunc) {
		start := time.Now()
		w.set(func() {
			for _, name := range []Task{"task-hidden", "task-lost", "task-good", "task-mute"} {
				w.ends[name] = start.Add(time.Minute)
			}
			gone := types.ManagedObjectReference{Type: "Task", Value: "task-lost"}
			w.hidden = map[Task]types.BaseMethodFault{"task-hidden": &types.NoPermission{}, "task-lost": &types.ManagedObjectNotFound{Obj: gone}}
			w.mute = map[Task]bool{"task-mute": true}
		})
		var wg sync.WaitGroup
		for name, want := range map[Task]Kind{"task-hidden": Forbidden, "task-lost": NotFound, "task-good": works, "task-mute": works} {
			wg.Go(func() {
				_, err := p.await(t.Context(), cloneTask, name)
				if (err == nil) != (want == works) || err != nil && KindOf(err) != want {
					t.Errorf("%s: %v", name, err)
				}
				if quick := time.Since(start) < 2*longestPause; quick != (want != works) {
					t.Errorf("%s: after %v", name, time.Since(start))
				}
			})
		}
		wg.Wait()
	})
}

func TestPollerOutlivesARestart(t *testing.T) {
	w := &work{}
	poll(t, w, func(t *testing.T, p *poller, _ context.CancelFunc) {
		start := time.Now()
		w.set(func() { w.ends["task-1"] = start.Add(time.Hour) })
		time.AfterFunc(10*time.Second, func() { w.set(func() { w.down = io.EOF }) })
		time.AfterFunc(20*time.Second, func() { w.set(func() { w.down = soapFault(types.SystemError{Reason: "starting"}) }) })
		time.AfterFunc(30*time.Second, func() { w.set(func() { w.down = nil; delete(w.ends, "task-1") }) })
		_, err := p.await(t.Context(), cloneTask, "task-1")
		if span := time.Since(start); !errors.Is(err, errForgotten) || KindOf(err) != NotFound || span < 30*time.Second || span > 33*time.Second {
			t.Errorf("%v after %v", err, span)
		}
	})
}

func TestPollerIsCheapWhileTasksAreLong(t *testing.T) {
	for _, tasks := range []int{1, 50, 501, 3000} {
		w := &work{}
		poll(t, w, func(t *testing.T, p *poller, _ context.CancelFunc) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			var wg sync.WaitGroup
			for i := range tasks {
				name := Task(fmt.Sprintf("task-%d", i))
				w.set(func() { w.ends[name] = time.Now().Add(time.Hour) })
				wg.Go(func() { _, _ = p.await(ctx, cloneTask, name) })
			}
			time.Sleep(time.Minute)
			var before, after int
			w.set(func() { before = w.calls })
			time.Sleep(5 * time.Minute)
			w.set(func() { after = w.calls })
			if n := after - before; n > 5*60+6 || n < 5*60-12 {
				t.Errorf("%d tasks: %d calls in five minutes", tasks, n)
			}
			cancel()
			wg.Wait()
		})
	}
}

func TestConclude(t *testing.T) {
	t.Parallel()
	known := func(info types.TaskInfo) types.ObjectContent {
		return types.ObjectContent{PropSet: []types.DynamicProperty{{Name: "info", Val: info}}}
	}
	full := &types.LocalizedMethodFault{Fault: &types.NoDiskSpace{}}
	for name, row := range map[string]struct {
		answer types.ObjectContent
		over   bool
		fails  bool
	}{
		"success":                  {known(types.TaskInfo{State: types.TaskInfoStateSuccess}), true, false},
		"error":                    {known(types.TaskInfo{State: types.TaskInfoStateError, Error: full}), true, true},
		"error without a reason":   {known(types.TaskInfo{State: types.TaskInfoStateError}), true, true},
		"running after all":        {known(types.TaskInfo{State: types.TaskInfoStateRunning}), false, false},
		"nothing said":             {types.ObjectContent{}, false, false},
		"hidden":                   {lacking("task-1", "info", &types.NoPermission{}), true, true},
		"gone between two answers": {lacking("task-1", "info", &types.ManagedObjectNotFound{Obj: vmRef("task-1")}), false, false},
	} {
		if v, over := conclude(row.answer); over != row.over || over && (v.err != nil) != row.fails {
			t.Errorf("%s: %+v, %t", name, v, over)
		}
	}
}

// TestCancelWhatCannotBeCancelled does not blame the configuration.
func TestCancelWhatCannotBeCancelled(t *testing.T) {
	c := &Client{vim: scripted(&script{answer: func(int, soap.HasFault, soap.HasFault) error { return soapFault(&types.NotSupported{}) }})}
	err := c.Cancel(t.Context(), "task-1")
	if KindOf(err) != Busy || strings.Contains(err.Error(), needsSetting) {
		t.Error(err)
	}
}
