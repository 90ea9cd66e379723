package simulator

import (
	"context"
	"slices"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	// taskRetention is how long a completed task can still be asked for its result. vcsim never forgets one (27 KB for each
	// clone and destroy); a real vCenter does after about ten minutes.
	taskRetention = 2 * time.Minute
	sweepInterval = 30 * time.Second
)

// sweepTasks forgets completed tasks until ctx ends.
func sweepTasks(ctx context.Context, model *simulator.Model) {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			forgetTasks(model, now.Add(-taskRetention))
		}
	}
}

// forgetTasks removes the tasks completed before the given time, and their mentions first, so that no client is led to a missing one.
func forgetTasks(model *simulator.Model, before time.Time) {
	m := model.Map()
	c := &simulator.Context{Context: context.Background(), Map: m}
	old := map[types.ManagedObjectReference]bool{}
	for _, ref := range m.AllReference("Task") {
		t, ok := ref.(*simulator.Task)
		if !ok {
			continue
		}
		c.WithLock(t, func() {
			if done := t.Info.CompleteTime; done != nil && done.Before(before) {
				old[t.Self] = true
			}
		})
	}
	if len(old) == 0 {
		return
	}
	forgetMentions(c, model, old)
	for ref := range old {
		m.Remove(c, ref)
		m.Remove(c, waitingRoom(ref))
	}
}

func forgetMentions(c *simulator.Context, model *simulator.Model, old map[types.ManagedObjectReference]bool) {
	gone := func(ref types.ManagedObjectReference) bool { return old[ref] }
	prune := func(obj mo.Reference, recent *[]types.ManagedObjectReference) {
		c.WithLock(obj, func() {
			if slices.ContainsFunc(*recent, gone) {
				kept := slices.DeleteFunc(slices.Clone(*recent), gone)
				c.Update(obj, []types.PropertyChange{{Name: "recentTask", Val: kept}})
			}
		})
	}
	for _, e := range c.Map.All("") {
		prune(e, &e.Entity().RecentTask)
	}
	if tm, ok := c.Map.Get(*model.ServiceContent.TaskManager).(*simulator.TaskManager); ok {
		prune(tm, &tm.RecentTask)
	}
}
