package simulator

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func (l *lab) refuses(what string, want types.BaseMethodFault, task *object.Task, err error) {
	l.Helper()
	if _, err = l.result(task, err); !fault.Is(err, want) {
		l.Errorf("%s: got %v, want %T", what, err, want)
	}
}

func TestDuplicateNames(t *testing.T) {
	bubble(t, Options{CloneDelay: 10 * time.Minute}, func(l *lab) {
		first := must(l.cloneTask("web-1"))(l)
		second, err := l.cloneTask("web-1")
		l.refuses("name of a clone in progress", &types.DuplicateName{}, second, err)
		l.wait(first, nil)
		start := time.Now()
		third, err := l.cloneTask("web-1")
		l.refuses("name of a VM", &types.DuplicateName{}, third, err)
		if d := time.Since(start); d > time.Minute {
			l.Errorf("the refusal took %v", d)
		}
		l.clone("web-2")
	})
}

func TestCancelledCloneLeavesNothing(t *testing.T) {
	bubble(t, Options{CloneDelay: time.Hour}, func(l *lab) {
		task := must(l.cloneTask("web-1"))(l)
		if err := task.Cancel(l.Context()); err != nil {
			l.Fatal(err)
		}
		l.refuses("cancelled", &types.RequestCanceled{}, task, nil)
		time.Sleep(2 * time.Hour)
		if names := l.names(); len(names) != 0 {
			l.Errorf("made %v", names)
		}
	})
}

func missing(kind string) *types.ManagedObjectReference {
	return &types.ManagedObjectReference{Type: kind, Value: "missing-1"}
}

func TestMissingReferencesAreFaults(t *testing.T) {
	l := newLab(t, Options{})
	gone := &types.ManagedObjectNotFound{}
	for what, change := range map[string]func(*types.VirtualMachineCloneSpec){
		"pool":      func(s *types.VirtualMachineCloneSpec) { s.Location.Pool = missing("ResourcePool") },
		"host":      func(s *types.VirtualMachineCloneSpec) { s.Location.Host = missing("HostSystem") },
		"datastore": func(s *types.VirtualMachineCloneSpec) { s.Location.Datastore = missing("Datastore") },
		"snapshot":  func(s *types.VirtualMachineCloneSpec) { s.Snapshot = missing("VirtualMachineSnapshot") },
	} {
		spec := l.spec()
		change(&spec)
		task, err := l.template.Clone(t.Context(), l.pools, "x", spec)
		l.refuses(what, gone, task, err)
	}
	task, err := l.template.Clone(t.Context(), object.NewFolder(l.client, *missing("Folder")), "x", l.spec())
	l.refuses("folder", gone, task, err)
	task, err = l.template.Clone(t.Context(), l.pools, "x", types.VirtualMachineCloneSpec{})
	l.refuses("no pool", &types.InvalidArgument{}, task, err)
	nowhere := object.NewResourcePool(l.client, *missing("ResourcePool"))
	task, err = l.pools.CreateVM(t.Context(), types.VirtualMachineConfigSpec{Name: "x"}, nowhere, nil)
	l.refuses("create in missing pool", gone, task, err)
	task, err = l.pools.MoveInto(t.Context(), []types.ManagedObjectReference{*missing("VirtualMachine")})
	l.refuses("move missing VM", gone, task, err)
	l.clone("x") // nothing is locked
}

// TestPanicsAreContained makes vcsim panic in the ways that the checks do not foresee; everything must go on.
func TestPanicsAreContained(t *testing.T) {
	l := newLab(t, Options{})
	system := &types.SystemErrorFault{}
	config := types.VirtualMachineConfigSpec{Name: "x", Files: &types.VirtualMachineFileInfo{VmPathName: "[nowhere]"}}
	task, err := l.pools.CreateVM(t.Context(), config, l.pool, nil)
	l.refuses("unknown datastore name", system, task, err)

	spec := l.spec()
	spec.Location.Datastore = new(l.pools.Reference())
	task, err = l.template.Clone(t.Context(), l.pools, "x", spec)
	l.refuses("a folder as datastore", system, task, err)

	task, err = l.template.Relocate(t.Context(), types.VirtualMachineRelocateSpec{Host: new(l.pool.Reference())}, "")
	l.refuses("a pool as host", system, task, err)

	l.sim.Before(func(string, any) types.BaseMethodFault { panic("a hook's bug") })
	task, err = l.cloneTask("x")
	l.refuses("hook", system, task, err)
	l.sim.Before(nil)

	if names := l.names(); len(names) != 0 {
		t.Errorf("half-made VMs: %v", names)
	}
	vm := l.clone("x")
	l.wait(vm.PowerOn(t.Context()))
	l.read(l.template)
}

//go:fix inline

func TestDangerousRequests(t *testing.T) {
	l := newLab(t, Options{})
	vm := l.clone("x")
	set := func(key string, value any) error {
		task, err := vm.Reconfigure(t.Context(), types.VirtualMachineConfigSpec{
			ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: key, Value: value}},
		})
		_, err = l.result(task, err)
		return err
	}
	for key, want := range map[string]types.BaseMethodFault{
		"SET.no.such.path": &types.InvalidArgument{}, "SET.guest.net": &types.InvalidArgument{}, "RUN.container": &types.NotSupported{},
	} {
		if err := set(key, "x"); !fault.Is(err, want) {
			t.Errorf("%s: %v", key, err)
		}
	}
	if err := set("SET.guest.ipAddress", "10.9.9.9"); err != nil {
		t.Errorf("a good SET: %v", err)
	}
	if err := set("guestinfo.userdata", "cat ../secret"); err != nil {
		t.Errorf("a value that looks like a path: %v", err)
	}
	task, err := l.cloneTask("../../escape")
	l.refuses("name as path", &types.InvalidDatastorePath{}, task, err)
	task, err = l.cloneTask(".")
	l.refuses("name is a dot", &types.InvalidName{}, task, err)
	task, err = l.cloneTask("a/b")
	l.refuses("name with a slash", &types.InvalidName{}, task, err)
	spec := l.spec()
	spec.Location.Pool = new(l.pools.Reference())
	task, err = l.template.Clone(t.Context(), l.pools, "y", spec)
	l.refuses("a folder as pool", &types.InvalidArgument{}, task, err)
	sub := must(l.pools.CreateFolder(t.Context(), "sub"))(t)
	task, err = sub.MoveInto(t.Context(), []types.ManagedObjectReference{l.pools.Reference()})
	l.refuses("folder into itself", &types.InvalidFolder{}, task, err)
}

func TestFolderDestroy(t *testing.T) {
	l := newLab(t, Options{})
	vm := l.clone("x")
	l.wait(vm.PowerOn(t.Context()))
	task, err := l.pools.Destroy(t.Context())
	l.refuses("folder with a running VM", &types.InvalidState{}, task, err)
	task, err = must(l.find.Folder(t.Context(), vmPath))(t).Destroy(t.Context())
	l.refuses("the datacenter's folder", &types.NotSupported{}, task, err)
	l.wait(vm.PowerOff(t.Context()))
	must(l.pools.CreateFolder(t.Context(), "sub"))(t)
	l.wait(l.pools.Destroy(t.Context()))
	if _, err := vm.PowerState(t.Context()); !fault.Is(err, &types.ManagedObjectNotFound{}) {
		t.Errorf("VM of a destroyed folder: %v", err)
	}
}

func TestFaultRulesAndHook(t *testing.T) {
	l := newLab(t, Options{})
	l.sim.Model().Service.AddFaultRule(&simulator.FaultInjectionRule{
		MethodName: "CloneVM_Task", ObjectType: "VirtualMachine", ObjectName: "*", Probability: 1, MaxCount: 1,
		FaultType: simulator.FaultTypeInsufficientResourcesFault, Enabled: true,
	})
	if _, err := l.cloneTask("x"); !fault.Is(err, &types.InsufficientResourcesFault{}) {
		t.Errorf("fault rule: %v", err)
	}
	l.sim.Before(func(method string, request any) types.BaseMethodFault {
		if clone, ok := request.(*types.CloneVM_Task); ok && method == "CloneVM_Task" && clone.Name == "x" {
			return &types.NoDiskSpace{}
		}
		return nil
	})
	task := must(l.cloneTask("x"))(t)
	l.refuses("hook", &types.NoDiskSpace{}, task, nil)
	l.clone("y")
}

// TestOneFolderTwoTemplates is what kills plain vcsim most surely: clones of two templates into one folder, with renames.
func TestOneFolderTwoTemplates(t *testing.T) {
	l := newLab(t, Options{})
	second := l.wait(l.template.Clone(t.Context(), l.templates, "other", l.spec())).Result.(types.ManagedObjectReference)
	other := object.NewVirtualMachine(l.client, second)
	var wg sync.WaitGroup
	for n, tpl := range []*object.VirtualMachine{l.template, other, l.template, other} {
		wg.Go(func() {
			for i := range 10 {
				task, err := tpl.Clone(t.Context(), l.pools, fmt.Sprintf("vm-%d-%d", n, i), l.spec())
				info, err := l.result(task, err)
				if err != nil {
					t.Error(err)
					return
				}
				vm := object.NewVirtualMachine(l.client, info.Result.(types.ManagedObjectReference))
				task, err = vm.Rename(t.Context(), fmt.Sprintf("renamed-%d-%d", n, i))
				if _, err = l.result(task, err); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(l.names()); n != 40 {
		t.Errorf("%d VMs", n)
	}
}

// TestDestroyDuringClone destroys each VM as soon as a poller sees it, as an over-eager cleaner would.
func TestDestroyDuringClone(t *testing.T) {
	l := newLab(t, Options{})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			children, _ := l.pools.Children(t.Context())
			for _, c := range children {
				task, err := object.NewVirtualMachine(l.client, c.Reference()).Destroy(t.Context())
				_, err = l.result(task, err)
				if err != nil && !fault.Is(err, &types.ManagedObjectNotFound{}) {
					t.Error(err)
				}
			}
		}
	})
	for i := range 20 {
		l.clone(fmt.Sprintf("vm-%d", i))
	}
	close(stop)
	wg.Wait()
}

func TestSetFieldOnDestroyed(t *testing.T) {
	l := newLab(t, Options{})
	m := must(object.GetCustomFieldsManager(l.client))(t)
	field := must(m.Add(t.Context(), "owner", "VirtualMachine", nil, nil))(t)
	vm := l.clone("x")
	if err := m.Set(t.Context(), vm.Reference(), field.Key, "me"); err != nil {
		t.Fatal(err)
	}
	l.wait(vm.Destroy(t.Context()))
	for range 2 {
		if err := m.Set(t.Context(), vm.Reference(), field.Key, "me"); !fault.Is(err, &types.ManagedObjectNotFound{}) {
			t.Errorf("set field: %v", err)
		}
	}
}

// TestCloseEndsWaits leaves a client waiting without a time limit, which keeps plain vcsim from closing.
func TestCloseEndsWaits(t *testing.T) {
	l := newLab(t, Options{})
	var wg sync.WaitGroup
	entered := make(chan struct{})
	pc := must(property.DefaultCollector(l.client).Create(t.Context()))(t)
	wg.Go(func() {
		once := sync.OnceFunc(func() { close(entered) })
		err := property.Wait(t.Context(), pc, l.template.Reference(), []string{"name"}, func([]types.PropertyChange) bool {
			once()
			return false
		})
		if err == nil {
			t.Error("the wait ended without an error")
		}
	})
	<-entered
	l.sim.Close()
	wg.Wait()
}

// TestSoak mixes everything, from several clients, with two templates and one folder.
func TestSoak(t *testing.T) {
	l := newLab(t, Options{CloneDelay: 2 * time.Millisecond, BootDelay: 3 * time.Millisecond})
	must(l.sim.Serve("127.0.0.1:0"))(t)
	remote := must(l.dial(Password, l.sim.Connection().Thumbprints[0]))(t)
	m := must(object.GetCustomFieldsManager(l.client))(t)
	field := must(m.Add(t.Context(), "owner", "VirtualMachine", nil, nil))(t)
	var wg sync.WaitGroup
	for worker := range 6 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(worker), 1))
			for i := range 6 {
				l.soak(r, fmt.Sprintf("w%d-%d", worker, i), field.Key)
			}
		})
	}
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() { l.sweep(remote, stop) })
	wg.Wait()
	close(stop)
	reader.Wait()
	if names := l.names(); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}

// soak lets one VM live through a random life. What other goroutines do meanwhile never makes its own calls fail.
func (l *lab) soak(r *rand.Rand, name string, field int32) {
	ctx := l.Context()
	task, err := l.cloneTask(name)
	info, err := l.result(task, err)
	if err != nil {
		l.Error(err)
		return
	}
	vm := object.NewVirtualMachine(l.client, info.Result.(types.ManagedObjectReference))
	steps := []func() (*object.Task, error){
		func() (*object.Task, error) { return vm.PowerOn(ctx) },
		func() (*object.Task, error) { return vm.PowerOff(ctx) },
		func() (*object.Task, error) { return vm.Reset(ctx) },
		func() (*object.Task, error) { return vm.Rename(ctx, name+"-renamed") },
		func() (*object.Task, error) { return vm.CreateSnapshot(ctx, "s", "", false, false) },
		func() (*object.Task, error) {
			return vm.Reconfigure(ctx, types.VirtualMachineConfigSpec{
				Annotation:  "soaked",
				ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "k", Value: name}},
			})
		},
		func() (*object.Task, error) { return nil, errors.Join(vm.ShutdownGuest(ctx), errNoTask) },
		func() (*object.Task, error) {
			m, _ := object.GetCustomFieldsManager(l.client)
			return nil, errors.Join(m.Set(ctx, vm.Reference(), field, name), errNoTask)
		},
	}
	for range 6 {
		l.step(steps[r.IntN(len(steps))]())
	}
	for {
		task, err := vm.PowerOff(ctx)
		l.step(task, err)
		task, err = vm.Destroy(ctx)
		if _, err = l.result(task, err); err == nil {
			return
		}
		if !fault.Is(err, &types.InvalidPowerState{}) {
			l.Error(err)
			return
		}
	}
}

var errNoTask = errors.New("no task")

func (l *lab) step(task *object.Task, err error) {
	if task == nil {
		if fault.Is(err, &types.SystemErrorFault{}) {
			l.Error(err)
		}
		return
	}
	if _, err = l.result(task, err); fault.Is(err, &types.SystemErrorFault{}) {
		l.Error(err)
	}
}

// sweep reads as the adapter does, over HTTPS: VMs by their folder, events, recent tasks.
func (l *lab) sweep(remote *vim25.Client, stop <-chan struct{}) {
	pc := property.DefaultCollector(remote)
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-stop:
			return
		case <-pace.C:
		}
		req := types.RetrievePropertiesEx{This: pc.Reference(), SpecSet: []types.PropertyFilterSpec{{
			PropSet: []types.PropertySpec{{
				Type: "VirtualMachine", PathSet: []string{"name", "runtime", "guest", "config.extraConfig", "recentTask"},
			}},
			ObjectSet: []types.ObjectSpec{{
				Obj: l.pools.Reference(), Skip: new(true),
				SelectSet: []types.BaseSelectionSpec{&types.TraversalSpec{Type: "Folder", Path: "childEntity"}},
			}},
		}}}
		if _, err := methods.RetrievePropertiesEx(l.Context(), remote, &req); err != nil {
			l.Error(err)
		}
		var tpl mo.VirtualMachine
		if err := pc.RetrieveOne(l.Context(), l.template.Reference(), []string{"recentTask"}, &tpl); err != nil {
			l.Error(err)
		}
		q := types.QueryEvents{This: *remote.ServiceContent.EventManager}
		if _, err := methods.QueryEvents(l.Context(), remote, &q); err != nil {
			l.Error(err)
		}
	}
}
