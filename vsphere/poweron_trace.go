package vsphere

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// sightPatience is how long a power-on that vCenter says to have begun may leave no trace on the VM. DRS may wake a host up first,
// but then its own task lasts as long.
const sightPatience = time.Minute

// trace follows power-ons that vCenter has begun at the given time, by its own clock, without naming their tasks: a VM that is on is
// done, and one with a young power-on task is waited for.
func (c *Client) trace(ctx context.Context, refs []Ref, since time.Time) map[Ref]route {
	routes := map[Ref]route{}
	deadline := time.Now().Add(sightPatience)
	for pause := time.Second; len(refs) > 0; pause *= 2 {
		err := c.sightings(ctx, refs, since, routes)
		refs = slices.DeleteFunc(slices.Clone(refs), func(ref Ref) bool { _, seen := routes[ref]; return seen })
		if len(refs) > 0 && (time.Now().Add(pause).After(deadline) || !rest(ctx, pause)) {
			giveUp(refs, routes, err)
			return routes
		}
	}
	return routes
}

func giveUp(refs []Ref, routes map[Ref]route, err error) {
	if err == nil {
		err = &Error{Kind: Busy, Err: errors.New("vCenter has begun to power it on, but it is off"), Hint: "see its tasks in vCenter"}
	}
	for _, ref := range refs {
		routes[ref] = route{err: err}
	}
}

// rest says whether the pause was left to end.
func rest(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// sightings adds the routes of VMs that are on, or gone, and of those with a power-on task.
func (c *Client) sightings(ctx context.Context, refs []Ref, since time.Time, routes map[Ref]route) error {
	spec := objects(vmRefs(refs), []string{"runtime.powerState"}, true)
	for i := range spec.ObjectSet {
		spec.ObjectSet[i].SelectSet = []types.BaseSelectionSpec{&types.TraversalSpec{Type: "VirtualMachine", Path: "recentTask"}}
	}
	spec.PropSet = append(spec.PropSet, types.PropertySpec{
		Type: "Task", PathSet: []string{"info.entity", "info.descriptionId", "info.queueTime"},
	})
	found, err := c.collect(ctx, spec)
	for _, o := range found {
		if ref, task := begun(o, since); task != "" {
			routes[ref] = route{task: task}
		}
	}
	for _, o := range found {
		if value[types.VirtualMachinePowerState](o, "runtime.powerState") == types.VirtualMachinePowerStatePoweredOn {
			routes[Ref(o.Obj.Value)] = route{}
		}
	}
	return err
}

// begun is the VM that a power-on task is about. DRS calls its tasks Drm.ExecuteVmPowerOnLRO, as seen in other clients' tables.
func begun(o types.ObjectContent, since time.Time) (Ref, Task) {
	if o.Obj.Type != "Task" || !strings.Contains(strings.ToLower(value[string](o, "info.descriptionId")), "poweron") ||
		value[time.Time](o, "info.queueTime").Before(since) {
		return "", ""
	}
	return Ref(value[types.ManagedObjectReference](o, "info.entity").Value), Task(o.Obj.Value)
}
