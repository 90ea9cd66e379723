package simulator

import (
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// forbidden methods would reach files outside the simulator's directory.
var forbidden = []string{"CreateLocalDatastore", "CreateNasDatastore", "CreateVmfsDatastore"}

// check says why a call must not get to vcsim; nil if it may.
func check(ctx *simulator.Context, method string, req any, target mo.Reference) types.BaseMethodFault {
	if slices.Contains(forbidden, method) {
		return &types.NotSupported{}
	}
	v := reflect.ValueOf(req).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Name == "This" {
			continue
		}
		if f := inspect(ctx, v.Field(i)); f != nil {
			return f
		}
	}
	return checkMethod(ctx, req, target)
}

func checkMethod(ctx *simulator.Context, req any, target mo.Reference) types.BaseMethodFault {
	switch r := req.(type) {
	case *types.CloneVM_Task:
		return checkVM(r.Name, r.Spec.Location.Pool, r.Spec.Location.Host)
	case *types.CreateVM_Task:
		return checkVM(r.Config.Name, &r.Pool, r.Host)
	case *types.MoveIntoFolder_Task:
		return checkMove(ctx, r, target)
	case *types.PowerOnMultiVM_Task:
		return checkPowerOn(ctx, r)
	case *types.ShutdownGuest, *types.StandbyGuest:
		return checkTools(target)
	case *types.Destroy_Task:
		return checkDestroy(ctx, target)
	}
	return nil
}

// checkVM keeps a VM's name, which becomes the name of its directory, from being a path, and its placement from being something else.
// vCenter would write "/", "\\" and "%" as "%2f" and so on, which vcsim gets wrong.
func checkVM(name string, pool, host *types.ManagedObjectReference) types.BaseMethodFault {
	if name == "" || name == "." || strings.ContainsAny(name, `/\%`) {
		return &types.InvalidName{Name: name}
	}
	if pool != nil && pool.Type != "ResourcePool" && pool.Type != "VirtualApp" {
		return &types.InvalidArgument{InvalidProperty: "pool"}
	}
	if host != nil && host.Type != "HostSystem" {
		return &types.InvalidArgument{InvalidProperty: "host"}
	}
	return nil
}

// checkMove keeps a folder from becoming its own ancestor, on which vcsim would loop for ever.
func checkMove(ctx *simulator.Context, r *types.MoveIntoFolder_Task, target mo.Reference) types.BaseMethodFault {
	e, ok := target.(mo.Entity)
	for ok {
		if slices.Contains(r.List, e.Reference()) {
			return &types.InvalidFolder{Target: r.This}
		}
		parent := e.Entity().Parent
		if parent == nil {
			return nil
		}
		e, ok = ctx.Map.Get(*parent).(mo.Entity)
	}
	return nil
}

func checkPowerOn(ctx *simulator.Context, r *types.PowerOnMultiVM_Task) types.BaseMethodFault {
	for _, ref := range r.Vm {
		if vm, ok := ctx.Map.Get(ref).(*simulator.VirtualMachine); ok && vm.Config.Template {
			return &types.InvalidState{}
		}
	}
	return nil
}

// checkTools refuses to ask a guest without tools, as vCenter does and vcsim does not.
func checkTools(target mo.Reference) types.BaseMethodFault {
	vm, ok := target.(*simulator.VirtualMachine)
	if !ok || vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
		return nil
	}
	if vm.Guest.ToolsRunningStatus != string(types.VirtualMachineToolsRunningStatusGuestToolsRunning) {
		return &types.ToolsUnavailable{}
	}
	return nil
}

// checkDestroy refuses to destroy a folder that something runs in, or that the datacenter is made of.
func checkDestroy(ctx *simulator.Context, target mo.Reference) types.BaseMethodFault {
	folder, ok := target.(*simulator.Folder)
	if !ok {
		return nil
	}
	if folder.Parent == nil || folder.Parent.Type != "Folder" {
		return &types.NotSupported{}
	}
	for _, e := range descendants(ctx, folder) {
		vm, ok := e.(*simulator.VirtualMachine)
		if ok && vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn {
			return &types.InvalidState{}
		}
	}
	return nil
}

// descendants are what is below a folder, each after what is below it.
func descendants(ctx *simulator.Context, folder *simulator.Folder) []mo.Reference {
	var all []mo.Reference
	for _, ref := range folder.ChildEntity {
		child := ctx.Map.Get(ref)
		if sub, ok := child.(*simulator.Folder); ok {
			all = append(all, descendants(ctx, sub)...)
		}
		if child != nil {
			all = append(all, child)
		}
	}
	return all
}

var (
	referenceType = reflect.TypeFor[types.ManagedObjectReference]()
	optionType    = reflect.TypeFor[types.OptionValue]()
)

// inspect walks a request: references must lead somewhere, paths must stay in their datastore, and options must be harmless.
func inspect(ctx *simulator.Context, v reflect.Value) types.BaseMethodFault {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return inspect(ctx, v.Elem())
	case reflect.Slice:
		return inspectAll(ctx, v)
	case reflect.Struct:
		return inspectStruct(ctx, v)
	case reflect.String:
		return checkPath(v.String())
	default:
		return nil
	}
}

func inspectAll(ctx *simulator.Context, v reflect.Value) types.BaseMethodFault {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return nil
	}
	for i := range v.Len() {
		if f := inspect(ctx, v.Index(i)); f != nil {
			return f
		}
	}
	return nil
}

func inspectStruct(ctx *simulator.Context, v reflect.Value) types.BaseMethodFault {
	switch v.Type() {
	case referenceType:
		return checkReference(ctx, v.Interface().(types.ManagedObjectReference))
	case optionType:
		return checkOption(v.Interface().(types.OptionValue))
	}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() || field.Name == "Annotation" || field.Name == "Description" {
			continue
		}
		if f := inspect(ctx, v.Field(i)); f != nil {
			return f
		}
	}
	return nil
}

func checkReference(ctx *simulator.Context, ref types.ManagedObjectReference) types.BaseMethodFault {
	local := types.ManagedObjectReference{Type: ref.Type, Value: ref.Value}
	if ref.Value == "" || ctx.Session.Get(local) != nil {
		return nil
	}
	return &types.ManagedObjectNotFound{Obj: ref}
}

// checkPath refuses to climb out of a datastore's directory, which is a real one.
func checkPath(s string) types.BaseMethodFault {
	if _, in, ok := strings.Cut(s, "]"); ok && strings.HasPrefix(s, "[") {
		s = strings.TrimSpace(in)
	}
	if slices.Contains(strings.FieldsFunc(s, func(r rune) bool { return r == '/' || r == '\\' }), "..") {
		return &types.InvalidDatastorePath{InvalidDatastore: types.InvalidDatastore{Name: path.Base(s)}, DatastorePath: s}
	}
	return nil
}

// checkOption tries a "SET.<property path>" option, with which vcsim lets clients set any property, on a VM that does not matter.
// "RUN.*" options would start containers on this machine.
func checkOption(o types.OptionValue) types.BaseMethodFault {
	if strings.HasPrefix(o.Key, "RUN.") {
		return &types.NotSupported{}
	}
	property, ok := strings.CutPrefix(o.Key, "SET.")
	if o.Key == "ip0" {
		property, ok = "guest.ipAddress", true
	}
	if !ok {
		return nil
	}
	if settable(property, o.Value) != nil {
		return &types.InvalidArgument{InvalidProperty: "extraConfig[" + o.Key + "]"}
	}
	return nil
}

func settable(property string, value types.AnyType) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("set %s: %v", property, r)
		}
	}()
	vm := &mo.VirtualMachine{ManagedEntity: mo.ManagedEntity{
		ExtensibleManagedObject: mo.ExtensibleManagedObject{Self: types.ManagedObjectReference{Type: "VirtualMachine", Value: "scratch"}},
	}}
	mo.ApplyPropertyChange(vm, []types.PropertyChange{{Name: property, Val: value}})
	return nil
}
