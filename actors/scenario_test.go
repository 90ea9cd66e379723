package actors

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

func TestGrowAndShrink(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(3)
		r.after(0)
		r.expect(Requested, 3)
		r.after(23 * time.Second)
		r.expect(Pending, 3)
		r.after(15 * time.Second)
		for _, m := range r.expect(Running, 3) {
			if len(m.PrivateIPs) != 1 || m.Launched.IsZero() || m.Size != "2cpu-4096MiB" || m.Region != "DC0" {
				t.Errorf("%+v", m)
			}
		}
		r.resize(1)
		r.after(0)
		r.expect(Terminating, 2)
		r.after(15 * time.Second)
		r.expect(Terminated, 2)
		r.expect(Running, 1)
		if n := r.world.machines(); n != 1 {
			t.Errorf("%d VMs", n)
		}
		r.after(11 * time.Minute)
		if n := len(r.machines()); n != 1 {
			t.Errorf("%d machines are listed after the retention period", n)
		}
	})
}

func TestCreatesKeepWithinTheirBudget(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(20)
		r.after(10 * time.Second)
		if n := r.world.clones(); n != 8 {
			t.Errorf("%d clones at once", n)
		}
		r.expect(Requested, 20)
		r.after(3 * time.Minute)
		r.expect(Running, 20)
	})
}

func TestScaleInBeforeTheCloneCostsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(20)
		r.after(5 * time.Second)
		r.resize(0)
		r.after(3 * time.Minute)
		if n := r.world.count(); n != 0 {
			t.Errorf("%d VMs are left", n)
		}
		if n := r.world.called("clone"); n != 8 {
			t.Errorf("%d clones", n)
		}
	})
}

func TestTerminateWithAndWithoutDecrement(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(3)
		r.after(time.Minute)
		ids := r.expect(Running, 3)
		ctx := t.Context()
		if _, err := r.pool.Terminate(ctx, string(ids[0].ID), true); err != nil {
			t.Fatal(err)
		}
		if _, err := r.pool.Terminate(ctx, string(ids[0].ID), true); KindOf(err) != NotFound {
			t.Errorf("a repeated terminate: %v", err)
		}
		if _, err := r.pool.Terminate(ctx, string(ids[1].ID), false); err != nil {
			t.Fatal(err)
		}
		r.after(0)
		if size := r.view().Size; size.Desired != 2 || size.Active != 2 {
			t.Errorf("%+v", size)
		}
		r.expect(Requested, 1)
		r.after(time.Minute)
		r.expect(Running, 2)
		r.expect(Terminated, 2)
	})
}

func TestTerminateWhileCloning(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(1)
		r.after(5 * time.Second)
		id := r.expect(Requested, 1)[0].ID
		if _, err := r.pool.Terminate(t.Context(), string(id), true); err != nil {
			t.Fatal(err)
		}
		r.expect(Terminating, 1)
		r.after(time.Minute)
		r.expect(Terminated, 1)
		if r.world.count() != 0 {
			t.Error("the clone's result is left")
		}
	})
}

func TestAFailedFirstStepChangesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(1)
		r.after(time.Minute)
		id := r.expect(Running, 1)[0].ID
		r.world.fail("write", vsphere.Unreachable)
		if _, err := r.pool.Terminate(t.Context(), string(id), true); KindOf(err) != Unavailable {
			t.Fatalf("%v", err)
		}
		r.world.fail("write", vsphere.Forbidden)
		if _, err := r.pool.Detach(t.Context(), string(id), true); KindOf(err) != Unavailable {
			t.Fatalf("%v", err)
		}
		r.expect(Running, 1)
		if size := r.view().Size; size.Desired != 1 {
			t.Errorf("%+v", size)
		}
	})
}

func TestDecrementsDoNotCountAResizeTwice(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(4)
		r.after(time.Minute)
		ids := r.expect(Running, 4)
		done := make(chan error)
		for _, m := range ids[:3] {
			go func() { done <- failureOnly(r.pool.Terminate(t.Context(), string(m.ID), true)) }()
		}
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if size := r.view().Size; size.Desired != 1 {
			t.Errorf("%+v", size)
		}
	})
}

func TestBoundsAreKept(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.reconfigure("bounds: {min: 1, max: 3}\n")
		r.resize(9)
		r.after(time.Minute)
		r.expect(Running, 3)
		if size := r.view().Size; size.Desired != 3 || size.Requested != 9 {
			t.Errorf("%+v", size)
		}
		r.resize(1)
		r.after(time.Minute)
		id := r.expect(Running, 1)[0].ID
		if _, err := r.pool.Terminate(t.Context(), string(id), true); KindOf(err) != Invalid {
			t.Errorf("below the bound: %v", err)
		}
		if _, err := r.pool.Resize(t.Context(), -1); KindOf(err) != Invalid {
			t.Errorf("negative: %v", err)
		}
	})
}

func (r *rig) reconfigure(more string) {
	r.t.Helper()
	if _, err := r.pool.Configure(r.t.Context(), []byte(document+more)); err != nil {
		r.t.Fatal(err)
	}
	r.after(time.Second)
}

func TestProtectedMachinesStay(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(1)
		r.after(time.Minute)
		id := string(r.expect(Running, 1)[0].ID)
		if _, err := r.pool.SetMembership(t.Context(), id, Membership{Active: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.pool.Terminate(t.Context(), id, false); KindOf(err) != Invalid {
			t.Errorf("terminate: %v", err)
		}
		if _, err := r.pool.Detach(t.Context(), id, false); KindOf(err) != Invalid {
			t.Errorf("detach: %v", err)
		}
		r.resize(0)
		r.after(5 * time.Minute)
		r.expect(Running, 1)
	})
}

func TestOutOfServiceHolds(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(2)
		r.after(time.Minute)
		id := string(r.expect(Running, 2)[0].ID)
		if _, err := r.pool.SetServiceState(t.Context(), id, OutOfService, true); err != nil {
			t.Fatal(err)
		}
		r.after(time.Minute)
		r.expect(Running, 3)
		if size := r.view().Size; size.Active != 2 || size.Allocated != 3 {
			t.Errorf("%+v", size)
		}
		if _, err := r.pool.SetServiceState(t.Context(), id, InService, true); err != nil {
			t.Fatal(err)
		}
		r.after(time.Minute)
		r.expect(Running, 2)
	})
}

func TestTheMarkerAloneHasNoEffect(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(1)
		r.after(time.Minute)
		id := string(r.expect(Running, 1)[0].ID)
		if _, err := r.pool.SetServiceState(t.Context(), id, OutOfService, false); err != nil {
			t.Fatal(err)
		}
		r.after(5 * time.Minute)
		if m := r.expect(Running, 1)[0]; m.Service != OutOfService || !m.Membership.Active {
			t.Errorf("%+v", m)
		}
	})
}

func TestAHoldDoesNotUndoAnOperatorsDeactivation(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(1)
		r.after(time.Minute)
		id := string(r.expect(Running, 1)[0].ID)
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(failureOnly(r.pool.SetMembership(t.Context(), id, Membership{Active: false, Evictable: false})))
		must(failureOnly(r.pool.SetServiceState(t.Context(), id, OutOfService, true)))
		must(failureOnly(r.pool.SetServiceState(t.Context(), id, InService, true)))
		for _, m := range r.machines() {
			if string(m.ID) == id && (m.Membership.Active || m.Membership.Evictable) {
				t.Errorf("%+v", m)
			}
		}
	})
}

func TestDetachAndAttach(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(2)
		r.after(time.Minute)
		m := r.expect(Running, 2)[0]
		if _, err := r.pool.Detach(t.Context(), string(m.ID), true); err != nil {
			t.Fatal(err)
		}
		r.after(time.Minute)
		r.expect(Running, 1)
		vm := r.world.vm(vsphere.Ref(m.Metadata.VM))
		if vm == nil || vm.Mark != nil || vm.Power != vsphere.PoweredOn {
			t.Fatalf("%+v", vm)
		}
		for range 2 { // the second time it is a member already
			if _, err := r.pool.Attach(t.Context(), m.Metadata.VM); err != nil {
				t.Fatal(err)
			}
		}
		r.after(5 * time.Second)
		r.expect(Running, 2)
		if size := r.view().Size; size.Desired != 2 {
			t.Errorf("%+v", size)
		}
		r.after(10 * time.Minute)
		r.expect(Running, 2)
	})
}

func TestAttachRefuses(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		other := vsphere.Mark{Pool: "db", Machine: "x", UUID: "x"}
		foreign := r.world.put(vsphere.VM{Name: "foreign", InstanceUUID: "x", Power: vsphere.PoweredOn, Mark: &other})
		off := r.world.put(vsphere.VM{Name: "off", InstanceUUID: "y", Power: vsphere.PoweredOff})
		for _, ref := range []vsphere.Ref{foreign, off} {
			if _, err := r.pool.Attach(t.Context(), string(ref)); KindOf(err) != Invalid {
				t.Errorf("%s: %v", ref, err)
			}
		}
		if _, err := r.pool.Attach(t.Context(), "nowhere"); KindOf(err) != NotFound {
			t.Errorf("unknown: %v", err)
		}
		if size := r.view().Size; size.Desired != 0 {
			t.Errorf("%+v", size)
		}
	})
}

func TestOutOfBandChanges(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(5)
		r.after(time.Minute)
		ms := r.expect(Running, 5)
		ref := func(i int) vsphere.Ref { return vsphere.Ref(ms[i].Metadata.VM) }
		w := r.world
		w.turnOff(ref(0))
		w.mu.Lock()
		delete(w.vms, ref(1))
		w.hints = append(w.hints, ref(1))
		w.vms[ref(2)].Name = "renamed"
		w.moved[ref(3)] = true
		w.vms[ref(4)].Mark, w.vms[ref(4)].Status = nil, nil
		w.hints = append(w.hints, ref(4))
		w.mu.Unlock()
		r.after(2 * time.Second)
		if n := len(r.in(Terminated)); n != 3 {
			t.Errorf("%d machines are seen to be out after 2 s: %+v", n, r.machines())
		}
		r.after(4 * time.Minute) // three that fail together are replaced only after a while, and one after the other
		running := r.expect(Running, 5)
		names := map[string]bool{}
		for _, m := range running {
			names[m.Metadata.Name] = true
		}
		if !names["renamed"] || !names[ms[3].Metadata.Name] {
			t.Errorf("a renamed or moved member was replaced: %v", names)
		}
		if vm := w.vm(ref(4)); vm == nil || vm.Power != vsphere.PoweredOn {
			t.Error("the VM without its mark was touched")
		}
		r.after(15 * time.Minute)
		if w.vm(ref(0)) != nil {
			t.Error("what was powered off is still there after the retention period")
		}
	})
}

func TestCopiesAndStrangersAreLeftAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(1)
		r.after(time.Minute)
		m := r.expect(Running, 1)[0]
		original := r.world.vm(vsphere.Ref(m.Metadata.VM))
		r.world.put(vsphere.VM{Name: "copy", InstanceUUID: "another", Power: vsphere.PoweredOn, Mark: original.Mark, Status: original.Status})
		r.world.put(vsphere.VM{Name: "stranger", InstanceUUID: "s", Power: vsphere.PoweredOn})
		r.after(2 * time.Minute)
		r.resize(0)
		r.after(2 * time.Minute)
		if r.world.count() != 2 {
			t.Errorf("%d VMs", r.world.count())
		}
		st, err := r.pool.Status(t.Context())
		if err != nil || st.Foreign != 2 {
			t.Errorf("%+v %v", st, err)
		}
	})
}

func TestAnOutageChangesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(2)
		r.after(time.Minute)
		r.expect(Running, 2)
		r.world.setDown(errDown)
		r.after(2 * time.Minute)
		r.expect(Running, 2)
		r.resize(4)
		r.after(2 * time.Minute)
		r.expect(Running, 2)
		if size := r.view().Size; size.Desired != 4 || size.Allocated != 2 {
			t.Errorf("%+v", size)
		}
		r.after(5 * time.Minute)
		if _, err := r.pool.View(t.Context()); KindOf(err) != Unavailable {
			t.Errorf("a view older than the reachability timeout: %v", err)
		}
		r.world.setDown(nil)
		r.after(2 * time.Minute)
		r.expect(Running, 4)
	})
}

func TestAnOutageDuringClonesDuplicatesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(5)
		r.after(10 * time.Second)
		r.world.setDown(errDown)
		r.after(time.Minute)
		r.world.setDown(nil)
		r.after(3 * time.Minute)
		r.expect(Running, 5)
		if r.world.count() != 5 {
			t.Errorf("%d VMs", r.world.count())
		}
	})
}

func TestRefusedClones(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for range 8 {
			r.world.fail("clone", vsphere.Forbidden)
		}
		r.resize(20)
		r.after(2 * time.Second)
		for _, m := range r.expect(Rejected, 8) {
			if !strings.Contains(m.Metadata.Error, "scripted") {
				t.Errorf("%+v", m.Metadata)
			}
		}
		st, _ := r.pool.Status(t.Context())
		if !strings.Contains(st.Blocked, "scripted") {
			t.Errorf("%+v", st)
		}
		r.after(10 * time.Second)
		if n := r.world.called("clone"); n != 8 {
			t.Errorf("%d clones during the pause", n)
		}
		r.after(5 * time.Minute)
		r.expect(Running, 20)
		if st, _ := r.pool.Status(t.Context()); st.Blocked != "" {
			t.Errorf("%+v", st)
		}
	})
}

func TestMachinesThatNeverBoot(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.world.neverBoots = true
		r.resize(3)
		r.after(time.Hour)
		clones := r.world.called("clone")
		if clones < 4 || clones > 12 {
			t.Errorf("%d clones in an hour", clones)
		}
		if st, _ := r.pool.Status(t.Context()); !strings.Contains(st.Blocked, "not ready within 10m0s") {
			t.Errorf("%+v", st)
		}
		r.world.mu.Lock()
		r.world.neverBoots = false
		r.world.mu.Unlock()
		r.after(20 * time.Minute)
		r.expect(Running, 3)
	})
}

func TestAForeignVMWithOurName(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.world.fail("clone", vsphere.NameTaken)
		r.resize(1)
		r.after(2 * time.Minute)
		m := r.expect(Running, 1)[0]
		if strings.HasSuffix(m.Metadata.Name, string(m.ID[:8])) {
			t.Errorf("the name that was taken is used: %s", m.Metadata.Name)
		}
	})
}

func TestStoppedPoolsRest(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(1)
		r.after(time.Minute)
		if _, err := r.pool.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := r.pool.View(t.Context()); KindOf(err) != NotStarted {
			t.Errorf("%v", err)
		}
		if _, err := r.pool.Resize(t.Context(), 5); KindOf(err) != NotStarted {
			t.Errorf("%v", err)
		}
		r.stop()
		r.start()
		if st, _ := r.pool.Status(t.Context()); st.Started || !st.Configured {
			t.Errorf("%+v", st)
		}
		if _, err := r.pool.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.after(time.Second)
		r.expect(Running, 1)
	})
}

func TestABrokenJournalStopsCreatesNotReads(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(1)
		r.after(time.Minute)
		r.journal.mu.Lock()
		r.journal.broken = errors.New("no space left on device")
		r.journal.mu.Unlock()
		if _, err := r.pool.Resize(t.Context(), 5); KindOf(err) != Internal {
			t.Errorf("%v", err)
		}
		r.after(time.Minute)
		r.expect(Running, 1)
		r.journal.mu.Lock()
		r.journal.broken = nil
		r.journal.mu.Unlock()
		r.resize(2)
		r.after(2 * time.Minute)
		r.expect(Running, 2)
	})
}

func TestConfigurationsThatDoNotWorkChangeNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(1)
		r.after(time.Minute)
		if _, err := r.pool.Configure(t.Context(), []byte("name: web")); KindOf(err) != Invalid {
			t.Errorf("invalid: %v", err)
		}
		r.world.fail("connect", vsphere.Misconfigured)
		if _, err := r.pool.Configure(t.Context(), []byte(document)); KindOf(err) != Invalid {
			t.Errorf("rejected by vCenter: %v", err)
		}
		other := strings.Replace(document, "name: web", "name: db", 1)
		if _, err := r.pool.Configure(t.Context(), []byte(other)); KindOf(err) != Invalid {
			t.Errorf("another name: %v", err)
		}
		r.expect(Running, 1)
		shown, err := r.pool.Config(t.Context())
		if err != nil || strings.Contains(string(shown), `"password":"p"`) || !strings.Contains(string(shown), "********") {
			t.Errorf("%s %v", shown, err)
		}
		if _, err := r.pool.Configure(t.Context(), shown); err != nil {
			t.Errorf("the masked document does not come back: %v", err)
		}
		if size := r.view().Size; size.Desired != 1 {
			t.Errorf("%+v", size)
		}
	})
}

// provoke makes one machine's actor panic, the youngest of the first few: it lets the actor's operation of that number end with an
// error that is none.
func (r *rig) provoke(op opID) {
	r.t.Helper()
	for n := 9; n > 0; n-- {
		pid := actor.NewPID(r.pool.system.Address(), fmt.Sprintf("%s/$%d", r.pool.supervisor.Id, n))
		if _, alive := r.pool.system.ProcessRegistry.Get(pid); alive {
			r.pool.system.Root.Send(pid, opDone{op: op, outcome: outcome{on: outcomeLost, err: (*Error)(nil)}})
			return
		}
	}
	r.t.Fatal("no machine")
}

func TestAPanicCostsOneMachine(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(3)
		r.after(10 * time.Second)
		r.provoke(2) // the wait for its clone
		r.after(2 * time.Minute)
		r.expect(Running, 3)
		if r.world.count() != 3 {
			t.Errorf("%d VMs", r.world.count())
		}
		if !strings.Contains(r.log.String(), "actor panicked") {
			t.Error("nothing panicked")
		}
	})
}

func TestShutdownSettlesInFlightCalls(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(3)
		r.after(10 * time.Second)
		r.stop()
		r.after(time.Minute)
		r.start()
		r.after(time.Minute)
		r.expect(Running, 3)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.pool.Ready(ctx); err != nil {
			t.Error(err)
		}
	})
}
