package actors

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"vspherepool/vsphere"
)

// grown is a pool of n running machines, as their VMs' references.
func (r *rig) grown(n int) []vsphere.Ref {
	r.t.Helper()
	r.resize(n)
	r.after(time.Duration(1+n/4) * time.Minute)
	var refs []vsphere.Ref
	for _, m := range r.expect(Running, n) {
		refs = append(refs, vsphere.Ref(m.Metadata.VM))
	}
	return refs
}

// connect changes how vCenter can reach VMs.
func (w *world) connect(connection string, refs ...vsphere.Ref) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ref := range refs {
		w.vms[ref].Connection, w.vms[ref].Connected = connection, connection == "connected"
	}
}

func (r *rig) freeze() Freeze {
	r.t.Helper()
	f, err := r.pool.Frozen(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return f
}

// rail is one of the rails as it stands.
func (r *rig) rail(name string) Rail {
	r.t.Helper()
	for _, rail := range r.freeze().Rails {
		if rail.Name == name {
			return rail
		}
	}
	r.t.Fatalf("there is no rail %s", name)
	return Rail{}
}

func (r *rig) thaw(takeOver bool) {
	r.t.Helper()
	if _, err := r.pool.Thaw(r.t.Context(), takeOver); err != nil {
		r.t.Fatal(err)
	}
	r.after(0)
}

func TestMachinesThatCannotBeReachedAreNotReplaced(t *testing.T) {
	for _, connection := range []string{"disconnected", "inaccessible", "orphaned", "invalid"} {
		t.Run(connection, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				refs := r.grown(10)
				r.world.connect(connection, refs[:3]...)
				r.after(35 * time.Second)
				f := r.freeze()
				if !f.Frozen || f.Manual || f.Since.IsZero() || !strings.Contains(strings.Join(f.Reasons, ""), "3 of 10 machines are unreachable") {
					t.Errorf("%+v", f)
				}
				if st, _ := r.pool.Status(t.Context()); !strings.Contains(st.Frozen, "3 of 10 machines") {
					t.Errorf("%+v", st)
				}
				for _, m := range r.expect(Running, 10)[:3] {
					if !strings.Contains(m.Metadata.Error, connection) {
						t.Errorf("%+v", m.Metadata)
					}
				}
				r.after(2 * time.Hour)
				if n := r.world.clones(); n != 10 {
					t.Errorf("%d clones", n)
				}
				r.world.connect("connected", refs[:3]...)
				r.after(time.Minute)
				if f := r.freeze(); f.Frozen || !f.Since.IsZero() {
					t.Errorf("not thawed: %+v", f)
				}
				for _, m := range r.expect(Running, 10) {
					if m.Metadata.Error != "" {
						t.Errorf("%+v", m.Metadata)
					}
				}
			})
		})
	}
}

func TestMachinesThatFailTogetherAreReplacedLaterAndOneByOne(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		refs := r.grown(10)
		for _, ref := range refs[:4] {
			r.world.turnOff(ref)
		}
		r.after(90 * time.Second)
		if n := r.world.clones(); n > 11 {
			t.Errorf("%d clones in the crisis", n)
		}
		if rail := r.rail("freeze"); !rail.Holding || rail.Value != 4 || rail.Limit != 3 || rail.Lift == "" {
			t.Errorf("%+v", rail)
		}
		r.after(45 * time.Second)
		for range 20 {
			r.after(5 * time.Second)
			if n := len(r.in(Requested)) + len(r.in(Pending)); n > 1 {
				t.Fatalf("%d machines are in replacement at once", n)
			}
		}
		if r.rail("freeze").Holding {
			t.Errorf("%+v", r.rail("freeze"))
		}
		r.after(5 * time.Minute)
		r.expect(Running, 10)
	})
}

func TestWhatIsAskedForIsDoneInACrisis(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		refs := r.grown(10)
		r.world.connect("inaccessible", refs[:3]...)
		r.after(35 * time.Second)
		r.resize(15)
		r.after(2 * time.Minute)
		r.expect(Running, 15)
		r.resize(3)
		r.after(2 * time.Minute)
		for _, m := range r.expect(Running, 3) {
			if m.Metadata.Error == "" {
				t.Errorf("a machine that cannot be reached was chosen to go: %+v", m)
			}
		}
	})
}

func TestThawLiftsACrisisUntilThereIsMore(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		refs := r.grown(10)
		r.world.connect("inaccessible", refs[:3]...)
		r.world.turnOff(refs[3])
		r.after(35 * time.Second)
		clones := r.world.clones()
		r.thaw(false)
		r.after(time.Minute)
		if r.freeze().Frozen {
			t.Errorf("%+v", r.freeze())
		}
		r.world.turnOff(refs[4])
		r.after(time.Minute)
		if n := r.world.clones(); n <= clones {
			t.Error("nothing was replaced after the thaw")
		}
		r.after(5 * time.Minute)
		r.world.connect("inaccessible", refs[5:8]...)
		r.after(35 * time.Second)
		if f := r.freeze(); !f.Frozen || !r.rail("freeze").Holding {
			t.Errorf("a new crisis: %+v", f)
		}
	})
}

func TestFrozenByHand(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		refs := r.grown(4)
		if _, err := r.pool.Freeze(t.Context(), "maintenance"); err != nil {
			t.Fatal(err)
		}
		r.world.turnOff(refs[0])
		r.resize(6)
		r.after(20 * time.Minute)
		if n := r.world.clones(); n != 4 {
			t.Errorf("%d clones", n)
		}
		if r.world.vm(refs[0]) == nil {
			t.Error("the stopped VM was removed")
		}
		if _, err := r.pool.Terminate(t.Context(), string(r.expect(Running, 3)[0].ID), true); err != nil {
			t.Fatal(err)
		}
		r.after(time.Minute)
		if n := r.world.machines(); n != 2 {
			t.Errorf("%d VMs are on: what is asked for by name is done", n)
		}
		r.crash()
		r.config = ""
		r.start()
		f := r.freeze()
		if !f.Manual || !f.Frozen || !strings.Contains(f.Reasons[0], "maintenance") {
			t.Errorf("after a restart: %+v", f)
		}
		r.thaw(false)
		r.after(5 * time.Minute)
		r.expect(Running, 5)
		if f := r.freeze(); f.Frozen || f.Manual {
			t.Errorf("%+v", f)
		}
	})
}

// hidden is a vCenter whose listings lack VMs that exist.
type hidden struct {
	fusedProvider
	lacks map[vsphere.Ref]bool
}

func (p *hidden) Sweep(ctx context.Context, elsewhere []vsphere.Ref) (vsphere.Inventory, error) {
	inventory, err := p.fusedProvider.Sweep(ctx, elsewhere)
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := inventory.VMs[:0]
	for _, vm := range inventory.VMs {
		if !p.lacks[vm.Ref] {
			kept = append(kept, vm)
		}
	}
	inventory.VMs = kept
	return inventory, err
}

func TestAListingThatLacksManyIsNotBelievedAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		p := &hidden{lacks: map[vsphere.Ref]bool{}}
		r.crash()
		r.wrap = func(f fusedProvider) Provider { p.fusedProvider = f; return p }
		r.start()
		refs := r.grown(10)
		hide := func(n int) {
			r.world.mu.Lock()
			defer r.world.mu.Unlock()
			clear(p.lacks)
			for _, ref := range refs[:n] {
				p.lacks[ref] = true
			}
		}
		for _, n := range []int{10, 4, 3} {
			before := r.view().Observed
			swept := r.world.called("sweep")
			hide(n)
			for r.world.called("sweep") < swept+2 { // one that lacks them, one that confirms it
				r.after(100 * time.Millisecond)
			}
			if rail := r.rail("shrink"); !rail.Holding || rail.Value != 10*n || r.view().Observed != before {
				t.Errorf("%d hidden: %+v, seen at %s", n, rail, r.view().Observed)
			}
			hide(0)
			r.after(2 * time.Minute)
			r.expect(Running, 10)
			if r.rail("shrink").Holding || r.world.clones() != 10 {
				t.Errorf("%d hidden and found again: %+v, %d clones", n, r.rail("shrink"), r.world.clones())
			}
		}
		hide(2)
		r.after(2 * time.Minute)
		r.expect(Terminated, 2)
	})
}

func TestAFailingTemplateChurnsNoFurtherThanTheCap(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.reconfigure("rails: {churn: 6}\n")
		r.grown(2)
		for range 60 { // whatever gets ready is stopped soon
			r.after(time.Minute)
			for _, m := range r.in(Running) {
				r.world.turnOff(vsphere.Ref(m.Metadata.VM))
			}
		}
		if n := r.world.clones(); n < 6 || n > 2+6+6+1 {
			t.Errorf("%d clones in an hour", n)
		}
		if rail := r.rail("churn"); !rail.Holding || rail.Limit != 6 {
			t.Errorf("%+v", rail)
		}
		r.crash()
		r.config = ""
		r.start()
		if rail := r.rail("churn"); rail.Value == 0 {
			t.Errorf("forgotten by a restart: %+v", rail)
		}
		clones := r.world.clones()
		r.thaw(false)
		r.after(time.Minute)
		if r.world.clones() == clones {
			t.Error("a thaw did not lift the cap")
		}
	})
}

func TestLossesStayOwedAcrossACrash(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		refs := r.grown(10)
		for _, ref := range refs[:5] {
			r.world.turnOff(ref)
		}
		r.after(10 * time.Second)
		r.crash()
		r.config = ""
		r.start()
		for range 20 {
			r.after(3 * time.Second)
			if n := len(r.in(Requested)) + len(r.in(Pending)); n > 1 {
				t.Fatalf("%d machines are in replacement at once", n)
			}
		}
		r.after(6 * time.Minute)
		r.expect(Running, 10)
	})
}

func TestClonesFollowVCentersQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.world.queueTime = 15 * time.Second
		r.resize(40)
		most := 0
		for range 40 {
			r.after(5 * time.Second)
			r.world.mu.Lock()
			running := 0
			for _, task := range r.world.tasks {
				if task.ref == "" && task.err == nil {
					running++
				}
			}
			r.world.mu.Unlock()
			if time.Since(r.machines()[0].Requested) > 90*time.Second {
				most = max(most, running)
			}
		}
		if most > 2 {
			t.Errorf("%d clones at a time although they queue", most)
		}
		if rail := r.rail("creates"); rail.Limit > 2 || !rail.Holding || !strings.Contains(rail.Reason, "lowered from 8") {
			t.Errorf("%+v", rail)
		}
		r.world.mu.Lock()
		r.world.queueTime = 0
		r.world.mu.Unlock()
		r.after(20 * time.Minute)
		r.expect(Running, 40)
		if rail := r.rail("creates"); rail.Limit != 8 {
			t.Errorf("in the end %+v", rail)
		}
	})
}

// A second vspherepool, with a state directory of its own, takes the pool over; the first one notices and stops.
func TestASecondWriterStopsTheFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		refs := r.grown(3)
		second := &rig{t: t, world: r.world, journal: newMemory(), config: document, wrap: plain}
		second.start()
		defer second.stop()
		r.after(2 * time.Minute)
		if st, _ := r.pool.Status(t.Context()); !strings.Contains(st.Frozen, "another vspherepool") {
			t.Errorf("the first one goes on: %+v", st)
		}
		if second.freeze().Frozen {
			t.Errorf("the second one does not: %+v", second.freeze())
		}
		if !r.rail("writers").Holding {
			t.Errorf("%+v", r.rail("writers"))
		}
		id := string(r.machines()[0].ID)
		if _, err := r.pool.Terminate(t.Context(), id, false); KindOf(err) != Unavailable {
			t.Errorf("terminate by the first: %v", err)
		}
		if _, err := r.pool.Attach(t.Context(), string(refs[0])); KindOf(err) != Unavailable {
			t.Errorf("attach by the first: %v", err)
		}
		r.resize(9)
		r.world.turnOff(refs[0])
		r.after(2 * time.Minute)
		if n := r.world.machines(); n != 3 {
			t.Errorf("%d machines, want the second one's 3", n)
		}
		if _, err := r.pool.Thaw(t.Context(), false); KindOf(err) != Invalid {
			t.Errorf("a thaw without taking over: %v", err)
		}
		r.thaw(true)
		r.after(5 * time.Minute)
		r.expect(Running, 9)
		if st, _ := second.pool.Status(t.Context()); !strings.Contains(st.Frozen, "another vspherepool") {
			t.Errorf("the second one goes on: %+v", st)
		}
	})
}

func TestOrphansAreRetiredOnlyOnOrder(t *testing.T) {
	for name, row := range map[string]struct {
		more string
		gone int
	}{
		"reported":         {"", 0},
		"retired":          {"rails: {retireOrphans: true, orphanAge: 1h}\n", 2},
		"not old enough":   {"rails: {retireOrphans: true, orphanAge: 100h}\n", 0},
		"frozen meanwhile": {"rails: {retireOrphans: true, orphanAge: 1h}\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.reconfigure(row.more)
				r.grown(1)
				for i := range 3 {
					uuid := fmt.Sprintf("00000000-0000-4000-8000-00000000000%d", i)
					mark := vsphere.Mark{Pool: "web", Machine: vsphere.MachineID(uuid), UUID: uuid}
					status := vsphere.DefaultStatus()
					status.Evictable = i > 0
					r.world.put(vsphere.VM{Name: "lost-" + uuid, InstanceUUID: uuid, Power: vsphere.PoweredOn, Mark: &mark, Status: &status})
				}
				if name == "frozen meanwhile" {
					if _, err := r.pool.Freeze(t.Context(), ""); err != nil {
						t.Fatal(err)
					}
				}
				r.after(2 * time.Minute)
				strays, err := r.pool.Orphans(t.Context())
				if err != nil || len(strays) != 3 || strays[0].Reason == "" {
					t.Errorf("%+v, %v", strays, err)
				}
				r.after(50 * time.Minute)
				if n := r.world.count(); n != 4 {
					t.Errorf("%d VMs before the orphans are old", n)
				}
				r.after(30 * time.Minute)
				if n := r.world.count(); n != 4-row.gone {
					t.Errorf("%d VMs, want %d to be gone", n, row.gone)
				}
				r.expect(Running, 1)
			})
		})
	}
}

func TestWhatTheDoctorFindsIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		sick := vsphere.Finding{
			Check: "privileges", Object: "/DC0/vm/web", Severity: vsphere.Failure,
			Message: "the account u lacks VirtualMachine.Inventory.Delete on /DC0/vm/web: machines cannot be destroyed", Remedy: "grant it",
		}
		r.world.mu.Lock()
		r.world.findings = []vsphere.Finding{{Check: "clock", Severity: vsphere.Fine, Message: "fine"}, sick}
		r.world.mu.Unlock()
		r.resize(1)
		r.after(time.Minute)
		r.world.fail("clone", vsphere.Forbidden)
		r.resize(2)
		r.after(10 * time.Minute)
		st, _ := r.pool.Status(t.Context())
		if notes := strings.Join(st.Notes, "\n"); !strings.Contains(notes, sick.Sentence()) || strings.Contains(notes, "fine") {
			t.Errorf("notes: %q", notes)
		}
		r.world.mu.Lock()
		r.world.findings = nil
		r.world.mu.Unlock()
		r.after(10 * time.Minute)
		if st, _ = r.pool.Status(t.Context()); len(st.Notes) != 0 {
			t.Errorf("cured: %q", st.Notes)
		}
		if n := r.world.called("examine"); n > 8 {
			t.Errorf("examined %d times", n)
		}
	})
}

func TestAMissingPrivilegeIsToldUntilItIsThere(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.grown(2)
		for range 3 {
			r.world.fail("destroy", vsphere.Forbidden)
		}
		r.resize(1)
		r.after(15 * time.Second)
		if st, _ := r.pool.Status(t.Context()); !strings.Contains(st.Blocked, "a privilege is missing: destroy") {
			t.Errorf("%+v", st)
		}
		r.after(5 * time.Minute)
		r.expect(Terminated, 1)
		if st, _ := r.pool.Status(t.Context()); st.Blocked != "" {
			t.Errorf("it is there again: %+v", st)
		}
	})
}

func TestAFreezeGivesBootsTheirTimeAnew(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.world.neverBoots = true
		r.resize(1)
		r.after(5 * time.Minute)
		id := r.expect(Pending, 1)[0].ID
		if _, err := r.pool.Freeze(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		r.after(time.Hour)
		r.expect(Pending, 1)
		r.thaw(false)
		r.after(9 * time.Minute)
		if got := r.expect(Pending, 1)[0].ID; got != id {
			t.Errorf("%s waits in the place of %s", got, id)
		}
		r.after(3 * time.Minute)
		for _, m := range r.machines() {
			if m.ID == id && m.State.Allocated() {
				t.Errorf("it may take for ever: %+v", m)
			}
		}
	})
}

func TestAMissingPrivilegeThatACallerMetIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.grown(1)
		id := string(r.expect(Running, 1)[0].ID)
		r.world.fail("write", vsphere.Forbidden)
		if _, err := r.pool.SetMembership(t.Context(), id, Membership{Active: true}); KindOf(err) != Unavailable {
			t.Errorf("%v", err)
		}
		r.after(time.Second)
		if st, _ := r.pool.Status(t.Context()); !strings.Contains(st.Blocked, "a privilege is missing: write") {
			t.Errorf("%+v", st)
		}
	})
}
