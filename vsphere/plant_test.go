package vsphere

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

var (
	poolFolder = types.ManagedObjectReference{Type: "Folder", Value: "group-v1"}
	datacenter = types.ManagedObjectReference{Type: "Datacenter", Value: "datacenter-1"}
)

// plant is a vCenter that powers VMs on, and does to them what its hooks say.
type plant struct {
	mu    sync.Mutex
	vms   map[string]map[string]any
	tasks map[string]types.TaskInfo
	// made are the calls that change something, with what they were about.
	made []string
	// reads are the readings of VMs; those of tasks are not counted.
	reads int
	// multi answers PowerOnMultiVM_Task: with the task's result, its fault, or the call's error.
	multi func(refs []string) (any, types.BaseMethodFault, error)
	// single answers calls about one VM.
	single func(method, vm string) (types.BaseMethodFault, error)
	// undying VMs survive their destruction.
	undying bool
	// amnesia loses each task as soon as it has ended.
	amnesia bool
}

// newPlant has VMs vm-1 to vm-n in the pool's folder, all off and ours, and a client.
func newPlant(t *testing.T, n int) (*plant, *Client) {
	t.Helper()
	p := &plant{vms: map[string]map[string]any{}, tasks: map[string]types.TaskInfo{}}
	for i := range n {
		id := fmt.Sprintf("vm-%d", i+1)
		mark := Mark{Pool: "web", Machine: MachineID("m-" + id), UUID: "uuid-" + id}
		p.vms[id] = map[string]any{
			"name": id, "parent": poolFolder, "runtime.powerState": types.VirtualMachinePowerStatePoweredOff,
			"runtime.connectionState": types.VirtualMachineConnectionStateConnected, "config.instanceUuid": mark.UUID,
			keyPath(markKey):          types.OptionValue{Key: markKey, Value: mark.String()},
			"config.files.vmPathName": "[ds] " + id + "/" + id + ".vmx",
			"config.hardware.device":  types.ArrayOfVirtualDevice{VirtualDevice: []types.BaseVirtualDevice{disk(2000, "[ds] "+id+"/disk.vmdk")}},
		}
	}
	c := assemble(t.Context(), "web", scripted(p), nil)
	c.place.folder, c.place.datacenter = poolFolder, datacenter
	t.Cleanup(func() {
		c.session.end()
		c.starts.close()
		c.tasks.close()
	})
	return p, c
}

func own(id string) Ownership { return Ownership{Ref: Ref(id), Machine: MachineID("m-" + id)} }

func disk(key int32, file string) *types.VirtualDisk {
	return &types.VirtualDisk{VirtualDevice: types.VirtualDevice{Key: key, Backing: &types.VirtualDiskFlatVer2BackingInfo{
		VirtualDeviceFileBackingInfo: types.VirtualDeviceFileBackingInfo{FileName: file},
	}}}
}

func (p *plant) set(vm, property string, v any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.vms[vm][property] = v
}

func (p *plant) calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.made)
}

// task makes a task that has ended.
func (p *plant) task(entity, kind string, result any, f types.BaseMethodFault) types.ManagedObjectReference {
	ref := types.ManagedObjectReference{Type: "Task", Value: fmt.Sprintf("task-%d", len(p.tasks)+1)}
	info := types.TaskInfo{
		Key: ref.Value, State: types.TaskInfoStateSuccess, Result: result, DescriptionId: kind, QueueTime: time.Now(),
		Entity: &types.ManagedObjectReference{Type: "VirtualMachine", Value: entity},
	}
	if f != nil {
		info.State, info.Error = types.TaskInfoStateError, &types.LocalizedMethodFault{Fault: f}
	}
	p.tasks[ref.Value] = info
	return ref
}

// on switches a VM on.
func (p *plant) on(vm string) {
	p.vms[vm]["runtime.powerState"] = types.VirtualMachinePowerStatePoweredOn
}

// attempt is DRS's or HA's own power-on of a VM, named or not.
func (p *plant) attempt(vm string, f types.BaseMethodFault, named bool) types.ClusterAttemptedVmInfo {
	if f == nil {
		p.on(vm)
	}
	task := p.task(vm, "Drm.ExecuteVmPowerOnLRO", nil, f)
	info := types.ClusterAttemptedVmInfo{Vm: vmRef(Ref(vm))}
	if named {
		info.Task = &task
	}
	return info
}

func (p *plant) RoundTrip(_ context.Context, req, res soap.HasFault) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r := req.(type) {
	case *methods.RetrievePropertiesExBody:
		return p.read(r.Req.SpecSet[0], res)
	case *methods.PowerOnMultiVM_TaskBody:
		return p.together(r.Req, res.(*methods.PowerOnMultiVM_TaskBody))
	case *methods.PowerOnVM_TaskBody:
		method := "power on"
		if r.Req.Host != nil {
			method += " at " + r.Req.Host.Value
		}
		task, err := p.one(method, r.Req.This.Value, func(vm string) { p.on(vm) })
		res.(*methods.PowerOnVM_TaskBody).Res = &types.PowerOnVM_TaskResponse{Returnval: task}
		return err
	case *methods.PowerOffVM_TaskBody:
		task, err := p.one("power off", r.Req.This.Value, func(vm string) {
			p.vms[vm]["runtime.powerState"] = types.VirtualMachinePowerStatePoweredOff
		})
		res.(*methods.PowerOffVM_TaskBody).Res = &types.PowerOffVM_TaskResponse{Returnval: task}
		return err
	case *methods.ReconfigVM_TaskBody:
		task, err := p.one("reconfigure", r.Req.This.Value, func(string) {})
		res.(*methods.ReconfigVM_TaskBody).Res = &types.ReconfigVM_TaskResponse{Returnval: task}
		return err
	case *methods.Destroy_TaskBody:
		task, err := p.one("destroy", r.Req.This.Value, func(vm string) {
			if !p.undying {
				delete(p.vms, vm)
			}
		})
		res.(*methods.Destroy_TaskBody).Res = &types.Destroy_TaskResponse{Returnval: task}
		return err
	case *methods.AnswerVMBody:
		_, err := p.one("answer "+r.Req.AnswerChoice, r.Req.This.Value, func(vm string) { delete(p.vms[vm], "runtime.question") })
		res.(*methods.AnswerVMBody).Res = &types.AnswerVMResponse{}
		return err
	}
	return soapFault(&types.NotImplemented{})
}

func (p *plant) one(method, vm string, do func(vm string)) (task types.ManagedObjectReference, err error) {
	p.made = append(p.made, method+" "+vm)
	var f types.BaseMethodFault
	if p.single != nil {
		f, err = p.single(method, vm)
	}
	if f == nil && err == nil {
		do(vm)
	}
	return p.task(vm, "VirtualMachine."+method, nil, f), err
}

func (p *plant) together(r *types.PowerOnMultiVM_Task, res *methods.PowerOnMultiVM_TaskBody) error {
	var vms []string
	for _, ref := range r.Vm {
		vms = append(vms, ref.Value)
	}
	slices.Sort(vms)
	p.made = append(p.made, "multi "+strings.Join(vms, " "))
	result, f, err := p.multi(vms)
	task := p.task("", "Datacenter.powerOnMultiVM", result, f)
	res.Res = &types.PowerOnMultiVM_TaskResponse{Returnval: task}
	return err
}

// read answers for VMs and tasks; VMs that do not exist are left out or fail the call, as the real one does.
func (p *plant) read(spec types.PropertyFilterSpec, res soap.HasFault) error {
	var objects []types.ObjectContent
	if spec.ObjectSet[0].Obj.Type == "VirtualMachine" {
		p.reads++
	}
	for _, o := range spec.ObjectSet {
		if o.Obj.Type == "Task" {
			objects = p.tell(objects, o.Obj.Value)
			continue
		}
		vm, found := p.vms[o.Obj.Value]
		if !found && !*spec.ReportMissingObjectsInResults {
			return soapFault(&types.ManagedObjectNotFound{Obj: o.Obj})
		}
		if !found {
			continue
		}
		objects = append(objects, chosen(o.Obj, vm, spec.PropSet[0].PathSet))
		for id, info := range p.tasks {
			if o.SelectSet != nil && info.Entity.Value == o.Obj.Value {
				objects = p.tell(objects, id)
			}
		}
	}
	page(res, "", objects...)
	return nil
}

func (p *plant) tell(objects []types.ObjectContent, id string) []types.ObjectContent {
	info, known := p.tasks[id]
	if !known || p.amnesia {
		return objects
	}
	return append(objects, types.ObjectContent{Obj: types.ManagedObjectReference{Type: "Task", Value: id}, PropSet: []types.DynamicProperty{
		{Name: "info", Val: info},
		{Name: "info.state", Val: info.State},
		{Name: "info.entity", Val: *info.Entity},
		{Name: "info.descriptionId", Val: info.DescriptionId},
		{Name: "info.reason", Val: info.Reason},
		{Name: "info.queueTime", Val: info.QueueTime},
	}})
}

func chosen(ref types.ManagedObjectReference, vm map[string]any, names []string) types.ObjectContent {
	o := types.ObjectContent{Obj: ref}
	for _, name := range names {
		if v, set := vm[name]; set {
			o.PropSet = append(o.PropSet, types.DynamicProperty{Name: name, Val: v})
		}
	}
	return o
}
