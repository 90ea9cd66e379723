package vsphere_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// TestManyPowerOnsAtOnce also has a read of the pool go on meanwhile; one VM's power-on fails and another's takes long.
func TestManyPowerOnsAtOnce(t *testing.T) {
	t.Parallel()
	const machines = 40
	s := newSite(t, nil)
	owns := make([]vsphere.Ownership, machines)
	var cloning sync.WaitGroup
	for i := range owns {
		cloning.Go(func() { _, owns[i] = s.make(t, fmt.Sprintf("web-%d", i)) })
	}
	cloning.Wait()
	var mu sync.Mutex
	calls := map[string]int{}
	release := make(chan struct{})
	s.sim.Before(func(method string, request any) types.BaseMethodFault {
		mu.Lock()
		calls[method]++
		mu.Unlock()
		r, ok := request.(*types.PowerOnVM_Task)
		switch {
		case ok && r.This.Value == string(owns[3].Ref):
			return &types.InsufficientFailoverResourcesFault{}
		case ok && r.This.Value == string(owns[4].Ref):
			<-release
		}
		return nil
	})
	var others, slow sync.WaitGroup
	for i, own := range owns {
		wait := &others
		if i == 4 {
			wait = &slow
		}
		wait.Go(func() {
			if err := s.PowerOn(t.Context(), own); (err == nil) != (i != 3) || i == 3 && vsphere.KindOf(err) != vsphere.Capacity {
				t.Errorf("web-%d: %v", i, err)
			}
		})
	}
	others.Wait()
	if view, err := s.Sweep(t.Context(), nil); err != nil || len(view.VMs) != machines {
		t.Errorf("%d VMs, %v", len(view.VMs), err)
	}
	close(release)
	slow.Wait()
	mu.Lock()
	defer mu.Unlock()
	if calls["PowerOnMultiVM_Task"] > machines/4 || calls["PowerOnVM_Task"] != machines {
		t.Errorf("calls %v", calls)
	}
	for i, own := range owns {
		if on := s.read(t, own.Ref).Power == vsphere.PoweredOn; on != (i != 3) {
			t.Errorf("web-%d is on: %t", i, on)
		}
	}
}

// TestALaunchTakesFourCalls counts what arrives at vCenter for one machine, but for the shared waits.
func TestALaunchTakesFourCalls(t *testing.T) {
	t.Parallel()
	sim, connection := served(t)
	proxy, err := simulator.NewProxy(connection.URL, 1)
	must(t, err)
	t.Cleanup(proxy.Close)
	client := connect(t, sim, proxy.Connection())
	launch := func(name string) {
		placed := order(name)
		task, err := client.Clone(t.Context(), placed)
		must(t, err)
		made, err := client.Await(t.Context(), task)
		must(t, err)
		_, _, err = client.Read(t.Context(), []vsphere.Ref{made.Ref})
		must(t, err)
		must(t, client.PowerOn(t.Context(), vsphere.Ownership{Ref: made.Ref, Machine: placed.ID}))
	}
	launch("web-1") // learns what stays
	proxy.Reset()
	launch("web-2")
	calls := proxy.Calls()
	total := 0
	for method, n := range calls {
		if !strings.HasPrefix(method, "RetrievePropertiesEx Task") {
			total += n
		}
	}
	if total > 4 || calls["CloneVM_Task"] != 1 || calls["PowerOnMultiVM_Task"] != 1 {
		t.Errorf("calls %v", calls)
	}
}

func TestQuestionsAreAnswered(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	_, own := s.make(t, "web-1")
	must(t, s.PowerOn(t.Context(), own))
	ask := func(id string) {
		s.sim.Ask(own.Ref, types.VirtualMachineQuestionInfo{
			Id: "7", Text: id + ": what now?", Message: []types.VirtualMachineMessage{{Id: id}},
			Choice: types.ChoiceOption{ChoiceInfo: []types.BaseElementDescription{
				&types.ElementDescription{Key: "0"}, &types.ElementDescription{Key: "1"},
			}},
		})
	}
	ask("msg.odd")
	wantKind(t, s.PowerOff(t.Context(), own), vsphere.Locked)
	if got := s.read(t, own.Ref); got.Power != vsphere.PoweredOn {
		t.Errorf("%+v", got)
	}
	ask("msg.hbacommon.outofspace")
	must(t, s.PowerOff(t.Context(), own))
	ask("msg.uuid.altered")
	must(t, s.Destroy(t.Context(), own))
}

func TestBusyNamesTheOtherTask(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	_, own := s.make(t, "web-1")
	must(t, s.PowerOn(t.Context(), own))
	task, err := s.admin(t, own.Ref).CreateSnapshot(t.Context(), "s", "", false, false)
	wait(t, task, err)
	s.sim.Before(func(method string, _ any) types.BaseMethodFault {
		if method == "PowerOffVM_Task" {
			return &types.TaskInProgress{Task: task.Reference()}
		}
		return nil
	})
	err = s.PowerOff(t.Context(), own)
	wantKind(t, err, vsphere.Busy)
	if !strings.Contains(err.Error(), task.Reference().Value+" (VirtualMachine.createSnapshotEx by ") {
		t.Error(err)
	}
}

// TestForeignDisksSurvive attaches another VM's disk in ways that users do.
func TestForeignDisksSurvive(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		mode       types.VirtualDiskMode
		controller string
		snapshot   bool
		kept       bool // the VM
	}{
		"plain":                     {mode: types.VirtualDiskModePersistent},
		"independent":               {mode: types.VirtualDiskModeIndependent_persistent},
		"nonpersistent":             {mode: types.VirtualDiskModeIndependent_nonpersistent},
		"of a controller of itself": {mode: types.VirtualDiskModePersistent, controller: "nvme"},
		"in a snapshot":             {mode: types.VirtualDiskModePersistent, snapshot: true, kept: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			_, own := s.make(t, "web-1")
			_, other := s.make(t, "web-2")
			foreign := s.diskOf(t, other.Ref)
			s.attach(t, own.Ref, foreign, row.mode, row.controller)
			vm := s.admin(t, own.Ref)
			if row.snapshot {
				task, err := vm.CreateSnapshot(t.Context(), "before the upgrade", "", false, false)
				wait(t, task, err)
			}
			err := s.Destroy(t.Context(), own)
			if (err != nil) != row.kept {
				t.Fatal(err)
			}
			if again := s.diskOf(t, other.Ref); again != foreign {
				t.Errorf("disk %q became %q", foreign, again)
			}
			if !row.kept {
				return
			}
			wantKind(t, err, vsphere.Locked)
			for _, want := range []string{`"before the upgrade"`, foreign, "remove the snapshot"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v lacks %s", err, want)
				}
			}
			task, err := vm.RemoveAllSnapshot(t.Context(), nil)
			wait(t, task, err)
			must(t, s.Destroy(t.Context(), own))
		})
	}
}

// TestOwnSnapshotsDoNotMatter destroys a VM that an administrator took nested snapshots of.
func TestOwnSnapshotsDoNotMatter(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	_, own := s.make(t, "web-1")
	for range 2 {
		task, err := s.admin(t, own.Ref).CreateSnapshot(t.Context(), "s", "", false, false)
		wait(t, task, err)
	}
	must(t, s.Destroy(t.Context(), own))
}

// attach gives a VM a disk file that exists.
func (s *site) attach(t *testing.T, ref vsphere.Ref, file string, mode types.VirtualDiskMode, controller string) {
	t.Helper()
	ctx := t.Context()
	vm := s.admin(t, ref)
	devices, err := vm.Device(ctx)
	must(t, err)
	if controller != "" {
		made, err := devices.CreateNVMEController()
		must(t, err)
		must(t, vm.AddDevice(ctx, made))
		devices, err = vm.Device(ctx)
		must(t, err)
	}
	on, err := devices.FindDiskController(controller)
	must(t, err)
	disk := devices.CreateDisk(on, types.ManagedObjectReference{}, file)
	disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo).DiskMode = string(mode)
	must(t, vm.AddDevice(ctx, disk))
}
