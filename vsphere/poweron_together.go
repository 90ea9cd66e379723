package vsphere

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

// powerOnAll proves all VMs ours with one read and powers on, together where that is possible, those that are. Each one's trouble is
// its own.
func (c *Client) powerOnAll(all []*powerOn) {
	ctx := c.session.life
	fit := c.proveAll(ctx, all)
	if len(fit) == 0 {
		return
	}
	if c.manner.isPlain() {
		tell(route{alone: true}, fit...)
		return
	}
	routes, err := c.powerOnTogether(ctx, fit)
	for _, s := range fit {
		r, decided := routes[s.own.Ref]
		switch {
		case err != nil:
			r = route{err: err}
		case !decided:
			r = route{alone: true}
		}
		tell(r, s)
	}
}

// proveAll returns those that are ours, off, and in the pool's folder, and so in its datacenter. The others are told how they go on.
func (c *Client) proveAll(ctx context.Context, all []*powerOn) []*powerOn {
	found, err := c.collect(ctx, objects(vmRefs(machinesOf(all)), startProperties, true))
	if err != nil {
		tell(route{err: err}, all...)
		return nil
	}
	contents := map[Ref]types.ObjectContent{}
	for _, o := range found {
		contents[Ref(o.Obj.Value)] = o
	}
	var fit []*powerOn
	for _, s := range all {
		vm, content, err := c.proveOne(ctx, s.own, contents)
		switch host := value[types.ManagedObjectReference](content, "runtime.host"); {
		case err != nil || vm.Power == PoweredOn:
			tell(route{err: err}, s)
		case slices.Contains(c.place.hosts, host): // DRS would choose among all hosts of the cluster
			tell(route{alone: true, host: host}, s)
		case value[types.ManagedObjectReference](content, "parent") != c.place.folder:
			tell(route{alone: true}, s)
		default:
			fit = append(fit, s)
		}
	}
	return fit
}

// startProperties are what a power-on is decided by.
var startProperties = append(slices.Clip(proofProperties), "parent", "runtime.host")

// proveOne is the proof for one of several VMs. One that the answer leaves out is asked for by itself.
func (c *Client) proveOne(
	ctx context.Context, o Ownership, contents map[Ref]types.ObjectContent,
) (vm VM, content types.ObjectContent, err error) {
	content, answered := contents[o.Ref]
	if answered {
		err = hidden(content)
	} else {
		content, err = c.only(ctx, vmRef(o.Ref), startProperties)
	}
	if err != nil {
		return vm, content, err
	}
	vm = observe(content).VM
	return vm, content, c.judge(vm, o)
}

// machinesOf are the VMs to power on, each once.
func machinesOf(all []*powerOn) []Ref {
	var refs []Ref
	for _, s := range all {
		if !slices.Contains(refs, s.own.Ref) {
			refs = append(refs, s.own.Ref)
		}
	}
	return refs
}

// powerOnTogether has vCenter place and power on several VMs and returns how each goes on; those left out go alone. The error is that of
// a call whose effect is unknown, or that was cancelled. A refusal means that nothing was begun, so that each VM can be tried by itself
// and learn its own reason.
func (c *Client) powerOnTogether(ctx context.Context, fit []*powerOn) (map[Ref]route, error) {
	refs := machinesOf(fit)
	info, err := c.powerOnTask(ctx, refs)
	switch {
	case errors.Is(err, errForgotten): // what is on, or on its way, shows as soon as it is asked for again
		return nil, nil
	case err != nil && c.manner.refused(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	result, _ := info.Result.(types.ClusterPowerOnVmResult)
	routes, unseen := routesOf(result)
	maps.Copy(routes, c.trace(ctx, unseen, info.QueueTime))
	return routes, nil
}

// powerOnTask makes the call and waits for its task, which ends when everything is begun. DRS places the VMs even where it is set to
// ask an administrator first.
func (c *Client) powerOnTask(ctx context.Context, refs []Ref) (types.TaskInfo, error) {
	if c.place.datacenter.Value == "" {
		return types.TaskInfo{}, errNoDatacenter
	}
	res, err := methods.PowerOnMultiVM_Task(ctx, c.vim, &types.PowerOnMultiVM_Task{
		This: c.place.datacenter, Vm: vmRefs(refs),
		Option: []types.BaseOptionValue{&types.OptionValue{
			Key: string(types.ClusterPowerOnVmOptionOverrideAutomationLevel), Value: string(types.DrsBehaviorFullyAutomated),
		}},
	})
	if err != nil {
		return types.TaskInfo{}, err
	}
	return c.tasks.await(ctx, togetherTask, Task(res.Returnval.Value))
}

// routesOf reads vCenter's answer. Where DRS is on, it begins power-ons without naming their tasks: those are unseen. VMs that it only
// has recommendations for go alone: to apply one takes the privilege to edit the cluster, and a call for one VM does not ask.
func routesOf(result types.ClusterPowerOnVmResult) (routes map[Ref]route, unseen []Ref) {
	routes = map[Ref]route{}
	for _, a := range result.Attempted {
		if a.Task == nil {
			unseen = append(unseen, Ref(a.Vm.Value))
			continue
		}
		routes[Ref(a.Vm.Value)] = route{task: Task(a.Task.Value)}
	}
	for _, n := range result.NotAttempted {
		routes[Ref(n.Vm.Value)] = route{err: notAttempted(n.Fault)}
	}
	return routes, unseen
}

func notAttempted(f types.LocalizedMethodFault) error {
	if f.Fault == nil {
		return &Error{Kind: Unknown, Err: fmt.Errorf("vCenter did not try: %s", f.LocalizedMessage)}
	}
	return task.Error{LocalizedMethodFault: &f}
}
