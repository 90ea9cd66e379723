package actors

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// stack is the pool over the real driver and the simulator, in virtual time, and an administrator beside it.
type stack struct {
	*rig
	sim   *simulator.Simulator
	admin *vim25.Client
}

// inSimulator runs a test of the whole stack; three machines are RUNNING when it begins.
func inSimulator(t *testing.T, test func(t *testing.T, s *stack)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sim, err := simulator.New(simulator.Options{CloneDelay: 20 * time.Second, BootDelay: 30 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer sim.Close()
		s := &stack{rig: &rig{t: t, journal: newMemory(), config: document, fuse: &fuse{}}, sim: sim}
		if s.admin, err = sim.Client(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.launch()
		defer func() {
			s.stop()
			time.Sleep(time.Minute)
		}()
		s.resize(3)
		s.after(90 * time.Second)
		s.expect(Running, 3)
		test(t, s)
	})
}

func (s *stack) launch() {
	s.t.Helper()
	pool, err := start(Options{
		Journal: s.journal,
		Connect: func(ctx context.Context, pool string, _ vsphere.Connection, _ vsphere.Template) (Provider, error) {
			vc, err := s.sim.Client(ctx)
			if err != nil {
				return nil, err
			}
			return vsphere.New(ctx, pool, vc, s.sim.Template())
		},
		Log:    slog.New(slog.NewTextHandler(&s.log, nil)),
		Config: []byte(s.config),
	}, audit(s.t))
	if err != nil {
		s.t.Fatal(err)
	}
	s.pool = pool
	if err := pool.Ready(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stack) vm(m Machine) *object.VirtualMachine {
	return object.NewVirtualMachine(s.admin, types.ManagedObjectReference{Type: "VirtualMachine", Value: m.Metadata.VM})
}

// done waits for an administrator's task.
func (s *stack) done(task *object.Task, err error) *types.TaskInfo {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	info, err := task.WaitForResult(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return info
}

func (s *stack) exists(vm *object.VirtualMachine) bool {
	_, err := vm.PowerState(s.t.Context())
	return err == nil
}

func TestOutOfBandChangesOnTheSimulator(t *testing.T) {
	inSimulator(t, func(t *testing.T, s *stack) {
		ms := s.in(Running)
		off, deleted := s.vm(ms[0]), s.vm(ms[1])
		s.done(off.PowerOff(t.Context()))
		s.done(deleted.PowerOff(t.Context()))
		s.done(deleted.Destroy(t.Context()))
		s.after(2 * time.Second)
		if n := len(s.in(Terminated)); n != 2 {
			t.Errorf("%d machines are seen to be out after 2 s", n)
		}
		s.after(2 * time.Minute)
		s.expect(Running, 3)
		if !s.exists(off) {
			t.Error("the machine that was powered off did not stay for the retention period")
		}
		s.after(12 * time.Minute)
		if s.exists(off) {
			t.Error("the machine that was powered off stays for ever")
		}
	})
}

func TestRenamedAndMovedMembersStay(t *testing.T) {
	inSimulator(t, func(t *testing.T, s *stack) {
		ms := s.in(Running)
		s.done(s.vm(ms[0]).Rename(t.Context(), "renamed"))
		parent, err := find.NewFinder(s.admin).Folder(t.Context(), "/DC0/vm")
		if err != nil {
			t.Fatal(err)
		}
		s.done(parent.MoveInto(t.Context(), []types.ManagedObjectReference{s.vm(ms[1]).Reference()}))
		s.after(5 * time.Minute)
		now := map[vsphere.MachineID]Machine{}
		for _, m := range s.expect(Running, 3) {
			now[m.ID] = m
		}
		if now[ms[0].ID].Metadata.Name != "renamed" || now[ms[1].ID].State != Running {
			t.Errorf("%+v", now)
		}
		s.resize(0)
		s.after(5 * time.Minute)
		if s.exists(s.vm(ms[1])) {
			t.Error("the machine that was moved is left behind")
		}
	})
}

func TestTheMarkDecides(t *testing.T) {
	inSimulator(t, func(t *testing.T, s *stack) {
		ms := s.in(Running)
		unmarked := s.vm(ms[0])
		s.done(unmarked.Reconfigure(t.Context(), types.VirtualMachineConfigSpec{
			ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "vspherepool.mark", Value: ""}},
		}))
		copied := s.copyOf(ms[1])
		s.after(3 * time.Minute)
		s.expect(Running, 3)
		s.resize(0)
		s.after(20 * time.Minute)
		for what, vm := range map[string]*object.VirtualMachine{"unmarked VM": unmarked, "copy": copied} {
			if !s.exists(vm) {
				t.Errorf("the %s was destroyed", what)
			}
		}
		if state, _ := unmarked.PowerState(t.Context()); state != types.VirtualMachinePowerStatePoweredOn {
			t.Error("the unmarked VM was powered off")
		}
		if st, _ := s.pool.Status(t.Context()); st.Foreign != 2 {
			t.Errorf("%+v", st)
		}
	})
}

// copyOf clones a member with its extraConfig, as an administrator might.
func (s *stack) copyOf(m Machine) *object.VirtualMachine {
	s.t.Helper()
	ctx := s.t.Context()
	vm := s.vm(m)
	var mark string
	found, _, err := s.provider().Read(ctx, []vsphere.Ref{vsphere.Ref(m.Metadata.VM)})
	if err != nil {
		s.t.Fatal(err)
	}
	mark = found[0].Mark.String()
	folder, err := find.NewFinder(s.admin).Folder(ctx, s.sim.Template().Folder)
	if err != nil {
		s.t.Fatal(err)
	}
	info := s.done(vm.Clone(ctx, folder, "copy", types.VirtualMachineCloneSpec{
		Config: &types.VirtualMachineConfigSpec{ExtraConfig: []types.BaseOptionValue{
			&types.OptionValue{Key: "vspherepool.mark", Value: mark},
		}},
	}))
	return object.NewVirtualMachine(s.admin, info.Result.(types.ManagedObjectReference))
}

func (s *stack) provider() Provider {
	s.t.Helper()
	vc, err := s.sim.Client(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	p, err := vsphere.New(s.t.Context(), "web", vc, s.sim.Template())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = p.Close(context.Background()) })
	return p
}

func TestDetachAttachAndStatusOnTheSimulator(t *testing.T) {
	inSimulator(t, func(t *testing.T, s *stack) {
		m := s.in(Running)[0]
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(failureOnly(s.pool.SetServiceState(t.Context(), string(m.ID), InService, false)))
		must(failureOnly(s.pool.Detach(t.Context(), string(m.ID), true)))
		must(failureOnly(s.pool.Attach(t.Context(), s.sim.Template().Folder+"/"+m.Metadata.Name)))
		must(failureOnly(s.pool.SetMembership(t.Context(), string(m.ID), Membership{Active: true})))
		s.stop()
		s.journal = newMemory()
		s.launch()
		s.after(time.Minute)
		for _, now := range s.expect(Running, 3) {
			if now.ID == m.ID && (now.Membership.Evictable || now.Service != UnknownState) {
				t.Errorf("%+v", now)
			}
		}
	})
}
