package actors

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vspherepool/vsphere"
)

// What reviews and trials have found to go wrong, and must not again.

func TestARegisteredAnewVMStaysTheMember(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(1)
		r.after(time.Minute)
		m := r.expect(Running, 1)[0]
		vm := r.world.vm(vsphere.Ref(m.Metadata.VM))
		r.world.mu.Lock()
		delete(r.world.vms, vm.Ref)
		again := r.world.add(*vm)
		r.world.mu.Unlock()
		r.after(2 * time.Minute)
		if now := r.expect(Running, 1)[0]; now.ID != m.ID || now.Metadata.VM != string(again) {
			t.Errorf("%+v", now)
		}
		r.resize(0)
		r.after(5 * time.Minute)
		if r.world.count() != 0 {
			t.Error("the VM is left behind")
		}
	})
}

func TestMembersElsewhereSurviveTheLossOfTheStateDirectory(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(2)
		r.after(time.Minute)
		m := r.expect(Running, 2)[0]
		r.world.mu.Lock()
		r.world.moved[vsphere.Ref(m.Metadata.VM)] = true
		r.world.mu.Unlock()
		r.after(2 * time.Minute)
		r.crash()
		r.journal = newMemory()
		r.start()
		r.after(5 * time.Minute)
		r.expect(Running, 2)
		if r.world.count() != 2 {
			t.Errorf("%d VMs", r.world.count())
		}
	})
}

func TestMembersThatCannotBeReadAtFirstAreAdoptedLater(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(2)
		r.after(time.Minute)
		ref := vsphere.Ref(r.expect(Running, 2)[0].Metadata.VM)
		before := *r.world.vm(ref)
		hide := func(vm vsphere.VM) {
			r.world.mu.Lock()
			defer r.world.mu.Unlock()
			r.world.vms[ref] = &vm
		}
		hide(vsphere.VM{Ref: ref, Name: before.Name})
		r.crash()
		r.journal = newMemory()
		r.start()
		r.after(time.Minute)
		hide(before)
		r.after(2 * time.Minute)
		if n := len(r.machines()); n != 2 {
			t.Errorf("%d machines: %+v", n, r.machines())
		}
	})
}

// restamped gives every clone another instance UUID than it was asked for, as vCenter may.
type restamped struct{ fusedProvider }

func (p restamped) Await(ctx context.Context, task vsphere.Task) (vsphere.Cloned, error) {
	made, err := p.fusedProvider.Await(ctx, task)
	if err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if vm := p.vms[made.Ref]; vm.InstanceUUID == string(vm.Mark.Machine) {
			vm.InstanceUUID = "other-" + string(made.Ref)
		}
	}
	return made, err
}

func TestClonesWithAnotherUUIDAreMembersLikeAny(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.crash()
		r.wrap = func(p fusedProvider) Provider { return restamped{p} }
		r.start()
		r.resize(1)
		r.after(time.Minute)
		m := r.expect(Running, 1)[0]
		if _, err := r.pool.Attach(t.Context(), m.Metadata.VM); err != nil || r.view().Size.Desired != 1 {
			t.Errorf("attach of a member: %v, %+v", err, r.view().Size)
		}
		if _, err := r.pool.Terminate(t.Context(), string(m.ID), true); err != nil {
			t.Fatal(err)
		}
		r.after(5 * time.Minute)
		if r.world.count() != 0 {
			t.Error("the terminated VM is still there")
		}
	})
}

func TestAttachesKeepWithinTheBounds(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.reconfigure("bounds: {max: 3}\n")
		r.resize(2)
		r.after(time.Minute)
		errs := make(chan error, 2)
		for _, name := range []string{"a", "b"} {
			ref := r.world.put(vsphere.VM{Name: name, InstanceUUID: "uuid-" + name, Power: vsphere.PoweredOn, IPs: []string{"10.1.1.1"}})
			go func() { errs <- failureOnly(r.pool.Attach(t.Context(), string(ref))) }()
		}
		kinds := []ErrorKind{KindOf(<-errs), KindOf(<-errs)}
		if !slices.Contains(kinds, Invalid) {
			t.Errorf("both were attached: %v", kinds)
		}
		r.after(5 * time.Minute)
		r.expect(Running, 3)
		if r.world.count() != 4 {
			t.Error("an attached VM was destroyed")
		}
		if _, err := r.pool.Attach(t.Context(), r.in(Running)[0].Metadata.VM); err != nil {
			t.Errorf("attach of a member of a full pool: %v", err)
		}
	})
}

func TestAttachesOfOneVMAreOne(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		ref := r.world.put(vsphere.VM{Name: "a", InstanceUUID: "uuid-a", Power: vsphere.PoweredOn, IPs: []string{"10.1.1.1"}})
		errs := make(chan error)
		for range 6 {
			go func() { errs <- failureOnly(r.pool.Attach(t.Context(), string(ref))) }()
		}
		for range 6 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if size := r.view().Size; size.Desired != 1 {
			t.Errorf("%+v", size)
		}
	})
}

func TestAttachOfAGivenUpMachineLasts(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(1)
		r.after(time.Minute)
		m := r.expect(Running, 1)[0]
		ref := vsphere.Ref(m.Metadata.VM)
		r.world.turnOff(ref)
		r.after(5 * time.Second)
		r.expect(Terminated, 1)
		r.world.mu.Lock()
		vm := r.world.vms[ref]
		vm.Power, vm.IPs, vm.ToolsRunning = vsphere.PoweredOn, []string{"10.0.0.9"}, true
		r.world.mu.Unlock()
		if _, err := r.pool.Attach(t.Context(), string(ref)); err != nil {
			t.Fatal(err)
		}
		r.crash()
		r.start()
		r.after(20 * time.Minute)
		r.expect(Running, 2)
		if r.world.vm(ref) == nil || r.view().Size.Desired != 2 {
			t.Errorf("the attach was lost: %+v", r.view().Size)
		}
	})
}

// failing lets single calls fail for ever.
type failing struct {
	fusedProvider
	clone, hints error
	panics       *atomic.Int32
}

func (p failing) Clone(ctx context.Context, o vsphere.CloneOrder) (vsphere.Task, error) {
	if p.clone != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.calls["clone"]++
		return "", p.clone
	}
	return p.fusedProvider.Clone(ctx, o)
}

func (p failing) Hints(ctx context.Context) ([]vsphere.Ref, error) {
	if p.hints != nil {
		return nil, p.hints
	}
	return p.fusedProvider.Hints(ctx)
}

func (p failing) Await(ctx context.Context, task vsphere.Task) (vsphere.Cloned, error) {
	if p.panics != nil && p.panics.Add(-1) >= 0 {
		panic("a defect of the driver")
	}
	return p.fusedProvider.Await(ctx, task)
}

func TestHopelessClonesAreNotTriedAllTheTime(t *testing.T) {
	for name, kind := range map[string]vsphere.Kind{"no answer": vsphere.Unreachable, "name taken": vsphere.NameTaken, "busy": vsphere.Busy} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.crash()
				r.wrap = func(p fusedProvider) Provider {
					return failing{fusedProvider: p, clone: &vsphere.Error{Op: "clone vm", Kind: kind, Err: errors.New("scripted")}}
				}
				r.start()
				r.resize(8)
				r.after(10 * time.Minute)
				if n := r.world.called("clone"); n > 100 {
					t.Errorf("%d clones in ten minutes", n)
				}
				if st, _ := r.pool.Status(t.Context()); kind != vsphere.Busy && !strings.Contains(st.Blocked, "scripted") {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

func TestADefectOfTheDriverCostsOneAttempt(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.crash()
		var panics atomic.Int32
		panics.Store(1)
		r.wrap = func(p fusedProvider) Provider { return failing{fusedProvider: p, panics: &panics} }
		r.start()
		r.resize(2)
		r.after(5 * time.Minute)
		r.expect(Running, 2)
		if r.world.count() != 2 {
			t.Errorf("%d VMs", r.world.count())
		}
	})
}

func TestWithoutEventsThePoolIsOnlySlower(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.crash()
		r.wrap = func(p fusedProvider) Provider {
			return failing{fusedProvider: p, hints: &vsphere.Error{Op: "read events", Kind: vsphere.Forbidden}}
		}
		r.start()
		r.resize(2)
		r.after(time.Minute)
		ms := r.expect(Running, 2)
		before := r.world.called("sweep")
		r.after(10 * time.Minute)
		if n := r.world.called("sweep") - before; n > 25 {
			t.Errorf("%d sweeps in ten minutes", n)
		}
		r.world.turnOff(vsphere.Ref(ms[0].Metadata.VM))
		r.after(time.Minute)
		if len(r.in(Terminated)) != 1 {
			t.Error("a machine that was powered off is not seen")
		}
	})
}

// slow takes its time for what the test is about.
type slow struct {
	fusedProvider
	sweep, write time.Duration
}

func (p slow) Sweep(ctx context.Context, elsewhere []vsphere.Ref) (vsphere.Inventory, error) {
	if err := p.wait(ctx, p.sweep); err != nil {
		return vsphere.Inventory{}, err
	}
	return p.fusedProvider.Sweep(ctx, elsewhere)
}

func (p slow) Write(ctx context.Context, o vsphere.Ownership, c vsphere.Change) error {
	if err := p.wait(ctx, p.write); err != nil {
		return err
	}
	return p.fusedProvider.Write(ctx, o, c)
}

func TestSlowSweepsDoNotMakeReadsStale(t *testing.T) {
	inBubble(t, func(_ *testing.T, r *rig) {
		r.crash()
		r.wrap = func(p fusedProvider) Provider { return slow{fusedProvider: p, sweep: 10 * time.Second} }
		r.start()
		r.resize(1)
		for range 360 {
			r.after(5 * time.Second)
			r.view()
		}
	})
}

// A decision about a machine that is busy with a caller's request waits for that, instead of being made over and over.
func TestDecisionsWaitForCalls(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.crash()
		r.wrap = func(p fusedProvider) Provider { return slow{fusedProvider: p, write: 30 * time.Second} }
		r.start()
		r.resize(1)
		r.after(time.Minute)
		id := string(r.expect(Running, 1)[0].ID)
		done := make(chan error, 1)
		go func() { done <- failureOnly(r.pool.SetServiceState(t.Context(), id, InService, false)) }()
		r.after(time.Second)
		r.resize(0)
		r.after(10 * time.Second)
		if n := strings.Count(r.log.String(), "machine is to go"); n != 1 {
			t.Errorf("decided %d times", n)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		r.after(time.Minute)
		r.expect(Terminated, 1)
	})
}

func TestCallersOfABrokenActorAreAnswered(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.reconfigure("bounds: {min: 1}\n")
		r.resize(3)
		r.after(10 * time.Second)
		ids := r.expect(Requested, 3)
		done := make(chan error, len(ids))
		r.provoke(2)
		for _, m := range ids {
			go func() { done <- failureOnly(r.pool.Terminate(t.Context(), string(m.ID), true)) }()
		}
		begun := time.Now()
		for range ids {
			<-done
		}
		if took := time.Since(begun); took > time.Minute {
			t.Errorf("a caller waited for %s", took)
		}
		r.after(5 * time.Minute)
		size := r.view().Size
		r.expect(Running, size.Desired)
		r.resize(2)
		r.after(2 * time.Minute)
		if _, err := r.pool.Terminate(t.Context(), string(r.in(Running)[0].ID), true); err != nil {
			t.Errorf("a decrement that the bounds allow: %v", err)
		}
	})
}

func TestAFileThatIsMissingAtRestartIsNoDeadEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.crash()
		r.journal.mu.Lock()
		pool := PoolRecord{Started: true, Document: []byte(strings.Replace(document, "password: p", "passwordFile: /nowhere", 1))}
		r.journal.mu.Unlock()
		if err := r.journal.Write([]Change{{pool: &pool}}); err != nil {
			t.Fatal(err)
		}
		r.config = ""
		r.start()
		r.resize(1)
		r.after(time.Minute)
		r.expect(Running, 1)
	})
}
