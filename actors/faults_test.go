package actors

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vspherepool/vsphere"
)

// Failures of vSphere and what the pool does about them, over hours of virtual time.

func TestEveryKindHasAReaction(t *testing.T) {
	ways := []event{outcomeLost, clonePostponed, nameTaken, opRefused}
	kinds := 0
	for kind := vsphere.Unknown; kind.String() != ""; kind++ {
		kinds++
		r := reactionTo(kind)
		for _, p := range []pauses{r.again, r.launches} {
			if p != none && (p.first <= 0 || p.first > p.most) {
				t.Errorf("%s pauses %s to %s", kind, p.first, p.most)
			}
		}
		if !slices.Contains(ways, r.clone) || r.again == none {
			t.Errorf("%s has no reaction: %+v", kind, r)
		}
		if r.clone == opRefused && r.launches == none {
			t.Errorf("%s is refused all the time", kind)
		}
	}
	if len(reactions) != kinds {
		t.Errorf("%d reactions to %d kinds", len(reactions), kinds)
	}
	if reactionTo(-1) != reactionTo(vsphere.Unknown) || reactionTo(1000) != reactionTo(vsphere.Unknown) {
		t.Error("what is no kind is not unknown")
	}
}

// faulty meets scripted failures and notes when each call was made.
type faulty struct {
	fusedProvider
	script *troubles
}

type troubles struct {
	mu   sync.Mutex
	fail map[string][]error
	at   map[string][]time.Time
	ops  []string
	// orders are the clones asked for.
	orders []vsphere.CloneOrder
	// halfMade hides VMs that long.
	halfMade time.Duration
}

func (s *troubles) meet(op string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at[op] = append(s.at[op], time.Now())
	s.ops = append(s.ops, op)
	if queue := s.fail[op]; len(queue) > 0 {
		s.fail[op] = queue[1:]
		return queue[0]
	}
	return nil
}

// script fails the operation that often.
func (s *troubles) script(op string, kind vsphere.Kind, times int) {
	err := &vsphere.Error{Op: op, Object: "web-1", Kind: kind, Err: errors.New("scripted")}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail[op] = append(s.fail[op], slices.Repeat([]error{err}, times)...)
}

func (s *troubles) times(op string) []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.at[op])
}

// gaps are the pauses between the calls of an operation.
func (s *troubles) gaps(op string) []time.Duration {
	at := s.times(op)
	var out []time.Duration
	for i := 1; i < len(at); i++ {
		out = append(out, at[i].Sub(at[i-1]))
	}
	return out
}

func (p faulty) Clone(ctx context.Context, o vsphere.CloneOrder) (vsphere.Task, error) {
	err := p.script.meet("clone")
	p.script.mu.Lock()
	p.script.orders = append(p.script.orders, o)
	p.script.mu.Unlock()
	if err != nil {
		return "", err
	}
	return p.fusedProvider.Clone(ctx, o)
}

func (p faulty) Await(ctx context.Context, task vsphere.Task) (vsphere.Cloned, error) {
	if err := p.script.meet("await"); err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if vsphere.KindOf(err) != vsphere.Unreachable { // the task's own end
			p.world.tasks[task].err = err
		}
		return vsphere.Cloned{}, err
	}
	return p.fusedProvider.Await(ctx, task)
}

func (p faulty) Locate(ctx context.Context, id vsphere.MachineID, name string) (vsphere.VM, error) {
	if err := p.script.meet("locate"); err != nil {
		return vsphere.VM{}, err
	}
	return p.fusedProvider.Locate(ctx, id, name)
}

func (p faulty) PowerOn(ctx context.Context, o vsphere.Ownership) error {
	if err := p.script.meet("powerOn"); err != nil {
		return err
	}
	return p.fusedProvider.PowerOn(ctx, o)
}

func (p faulty) Destroy(ctx context.Context, o vsphere.Ownership) error {
	if err := p.script.meet("destroy"); err != nil {
		return err
	}
	return p.fusedProvider.Destroy(ctx, o)
}

func (p faulty) Read(ctx context.Context, refs []vsphere.Ref) (found []vsphere.VM, absent []vsphere.Ref, err error) {
	found, absent, err = p.fusedProvider.Read(ctx, refs)
	p.script.mu.Lock()
	hidden := p.script.halfMade
	p.script.mu.Unlock()
	young := func(vm vsphere.VM) bool { return time.Since(vm.CreateDate) < hidden }
	for _, vm := range found {
		if young(vm) {
			absent = append(absent, vm.Ref)
		}
	}
	return slices.DeleteFunc(found, young), absent, err
}

// inTrouble runs a test with a pool of one machine that meets the script.
func inTrouble(t *testing.T, write func(*troubles), test func(*testing.T, *rig, *troubles)) {
	t.Helper()
	inBubble(t, func(t *testing.T, r *rig) {
		r.crash()
		s := &troubles{fail: map[string][]error{}, at: map[string][]time.Time{}}
		write(s)
		r.wrap = func(p fusedProvider) Provider { return faulty{p, s} }
		r.world.powerTime = 1300 * time.Millisecond // so that it does not end in the very moment of a sweep
		r.start()
		r.resize(1)
		test(t, r, s)
	})
}

func (r *rig) blocked() string {
	r.t.Helper()
	st, err := r.pool.Status(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return st.Blocked
}

// untilRunning waits for the one machine.
func (r *rig) untilRunning(most time.Duration) Machine {
	r.t.Helper()
	for end := time.Now().Add(most); time.Now().Before(end); {
		r.after(time.Second)
		if m := r.in(Running); len(m) == 1 {
			return m[0]
		}
	}
	r.t.Fatalf("nothing runs after %s: %+v", most, r.machines())
	return Machine{}
}

// within says whether a pause is the wanted one, of which jitter may take a quarter, but for what the steps between take.
func within(got, want time.Duration) bool { return got >= want*3/4 && got <= want+2*time.Second }

func TestClonesThatFail(t *testing.T) {
	for _, row := range []struct {
		trouble string
		kind    vsphere.Kind
		times   int
		// same says that the machine stays the same one; pause is the first one.
		same  bool
		pause time.Duration
	}{
		{"cluster full", vsphere.Capacity, 3, false, 30 * time.Second},
		{"licences used up", vsphere.Licence, 2, false, 30 * time.Second},
		{"datastore full", vsphere.Storage, 2, false, 15 * time.Second},
		{"storage out of reach", vsphere.Inaccessible, 5, true, time.Minute},
		{"host down", vsphere.HostDown, 3, true, time.Minute},
		{"host down for long", vsphere.HostDown, 7, false, time.Minute},
		{"privilege missing", vsphere.Forbidden, 3, false, 15 * time.Second},
		{"login refused", vsphere.BadLogin, 10, true, 15 * time.Second},
		{"bad configuration", vsphere.Misconfigured, 2, false, 15 * time.Second},
		{"template gone", vsphere.NotFound, 2, false, 15 * time.Second},
		{"other task", vsphere.Busy, 8, true, time.Second},
		{"backup", vsphere.Locked, 8, true, 5 * time.Second},
		{"raced", vsphere.Conflict, 5, true, time.Second},
		{"raced for ever", vsphere.Conflict, 6, false, time.Second},
		{"state", vsphere.WrongState, 5, true, time.Second},
		{"too many sessions", vsphere.TooMany, 5, true, 15 * time.Second},
		{"name taken", vsphere.NameTaken, 2, true, 3 * time.Second},
		{"files left over", vsphere.Leftover, 2, true, 3 * time.Second},
		{"cancelled", vsphere.Cancelled, 2, true, 3 * time.Second},
		{"cancelled again and again", vsphere.Cancelled, 3, false, 3 * time.Second},
		{"system error", vsphere.Unknown, 3, true, 3 * time.Second},
		{"system error again and again", vsphere.Unknown, 4, false, 3 * time.Second},
		{"no answer", vsphere.Unreachable, 9, true, 3 * time.Second},
	} {
		t.Run(row.trouble, func(t *testing.T) {
			inTrouble(t, func(s *troubles) { s.script("clone", row.kind, row.times) }, func(t *testing.T, r *rig, s *troubles) {
				r.after(500 * time.Millisecond)
				if row.kind != vsphere.BadLogin && !strings.Contains(r.blocked(), "scripted") {
					t.Errorf("blocked: %q", r.blocked())
				}
				m := r.untilRunning(4 * time.Hour)
				first := s.orders[0]
				if (m.ID == first.ID) != row.same {
					t.Errorf("%s runs after %s", m.ID, first.ID)
				}
				if n := len(s.times("clone")); n != row.times+1 {
					t.Errorf("%d clones", n)
				}
				if gap := s.gaps("clone")[0]; !within(gap, row.pause) {
					t.Errorf("the first pause is %s", gap)
				}
				if strings.Contains(r.blocked(), "cannot be made") {
					t.Errorf("blocked after all: %s", r.blocked())
				}
				if row.kind == vsphere.NameTaken || row.kind == vsphere.Leftover {
					if m.Metadata.Name == first.Name {
						t.Errorf("still called %s", m.Metadata.Name)
					}
				}
			})
		})
	}
}

// What may have had its effect is looked for before it is asked for again.
func TestNoCloneIsSentAgainWithoutALook(t *testing.T) {
	for _, kind := range []vsphere.Kind{vsphere.Unreachable, vsphere.Unknown, vsphere.Cancelled, vsphere.NameTaken, vsphere.Leftover} {
		for _, op := range []string{"clone", "await"} {
			t.Run(op+" "+kind.String(), func(t *testing.T) {
				inTrouble(t, func(s *troubles) { s.script(op, kind, 2) }, func(t *testing.T, r *rig, s *troubles) {
					r.untilRunning(time.Hour)
					looked := true
					for _, op := range s.ops {
						if op == "clone" && !looked {
							t.Fatalf("a clone follows a failure without a look: %v", s.ops)
						}
						looked = op == "locate"
					}
				})
			})
		}
	}
}

// A clone task that fails is judged like the call, but its leftovers are looked for first.
func TestCloneTasksThatFail(t *testing.T) {
	for _, row := range []struct {
		kind vsphere.Kind
		same bool
	}{
		{vsphere.Capacity, false},
		{vsphere.Storage, false},
		{vsphere.Inaccessible, true},
		{vsphere.Locked, true},
		{vsphere.Busy, true},
		{vsphere.Unknown, true},
		{vsphere.Misconfigured, false},
		{vsphere.HostDown, true},
	} {
		t.Run(row.kind.String(), func(t *testing.T) {
			inTrouble(t, func(s *troubles) { s.script("await", row.kind, 1) }, func(t *testing.T, r *rig, s *troubles) {
				m := r.untilRunning(time.Hour)
				if (m.ID == s.orders[0].ID) != row.same || len(s.orders) != 2 {
					t.Errorf("%s runs after %d clones, of %s at first", m.ID, len(s.orders), s.orders[0].ID)
				}
			})
		})
	}
}

func TestCapacityIsProbedMoreAndMoreRarelyByOneMachine(t *testing.T) {
	inTrouble(t, func(s *troubles) { s.script("clone", vsphere.Capacity, 1000) }, func(t *testing.T, r *rig, s *troubles) {
		r.after(time.Second)
		r.resize(8)
		r.after(3 * time.Hour)
		gaps := s.gaps("clone")
		want := 30 * time.Second
		for i := range 8 {
			if want = min(want, 30*time.Minute); i >= len(gaps) || !within(gaps[i], want) {
				t.Fatalf("pauses are %v", gaps)
			}
			want *= 2
		}
		if n := len(gaps); n > 13 {
			t.Errorf("%d probes in three hours", n)
		}
	})
}

func TestPowerOnsThatFail(t *testing.T) {
	for _, row := range []struct {
		trouble string
		kind    vsphere.Kind
		times   int
		// kept says that the same VM gets powered on in the end, least and most how long that, or its replacement, takes.
		kept        bool
		least, most time.Duration
	}{
		{"cluster full for a while", vsphere.Capacity, 3, true, 2 * time.Minute, 5 * time.Minute},
		{"cluster full for long", vsphere.Capacity, 8, false, 45 * time.Minute, 100 * time.Minute},
		{"datastore full", vsphere.Storage, 3, false, 30 * time.Second, 3 * time.Minute},
		{"storage out of reach", vsphere.Inaccessible, 30, true, time.Hour, 3 * time.Hour},
		{"host down for a while", vsphere.HostDown, 5, true, 7 * time.Minute, 13 * time.Minute},
		{"host down for long", vsphere.HostDown, 7, false, 10 * time.Minute, 18 * time.Minute},
		{"privilege missing", vsphere.Forbidden, 30, true, time.Hour, 3 * time.Hour},
		{"licences used up", vsphere.Licence, 5, true, 10 * time.Minute, 20 * time.Minute},
		{"outage", vsphere.Unreachable, 30, true, 10 * time.Minute, 3 * time.Hour},
		{"backup", vsphere.Locked, 14, true, 7 * time.Minute, 15 * time.Minute},
		{"backup that never ends", vsphere.Locked, 15, false, 7 * time.Minute, 17 * time.Minute},
		{"other task", vsphere.Busy, 10, true, 3 * time.Minute, 8 * time.Minute},
		{"raced", vsphere.Conflict, 5, true, 5 * time.Second, 2 * time.Minute},
		{"bad configuration", vsphere.Misconfigured, 8, false, 10 * time.Minute, 30 * time.Minute},
		{"system error", vsphere.Unknown, 3, true, 15 * time.Second, 2 * time.Minute},
		{"system error again and again", vsphere.Unknown, 4, false, 15 * time.Second, 2 * time.Minute},
	} {
		t.Run(row.trouble, func(t *testing.T) {
			inTrouble(t, func(s *troubles) { s.script("powerOn", row.kind, row.times) }, func(t *testing.T, r *rig, s *troubles) {
				r.after(30 * time.Second)
				vm, start := r.machines()[0].Metadata.VM, time.Now()
				m := r.untilRunning(6 * time.Hour)
				if took := time.Since(start); took < row.least || took > row.most {
					t.Errorf("it took %s", took)
				}
				if (m.Metadata.VM == vm) != row.kept || (r.world.vm(vsphere.Ref(vm)) != nil) != row.kept {
					t.Errorf("%s runs, after %s", m.Metadata.VM, vm)
				}
				if n := len(s.times("powerOn")); n != row.times+1 {
					t.Errorf("%d power-ons", n)
				}
			})
		})
	}
}

// A machine that is kept waiting blocks the pool with one sentence, and no others are made to share its fate.
func TestAMachineWithoutRoomBlocksThePool(t *testing.T) {
	inTrouble(t, func(s *troubles) { s.script("powerOn", vsphere.Capacity, 6) }, func(t *testing.T, r *rig, s *troubles) {
		r.after(time.Minute)
		r.resize(5)
		r.after(10 * time.Minute)
		if n := len(s.times("clone")); n != 1 {
			t.Errorf("%d clones", n)
		}
		if b := r.blocked(); !strings.Contains(b, "powerOn web-1: scripted") {
			t.Errorf("blocked: %q", b)
		}
		r.after(2 * time.Hour)
		r.expect(Running, 5)
	})
}

func TestAVMThatIsNotThereYet(t *testing.T) {
	for _, row := range []struct {
		hidden time.Duration
		clones int
	}{{20 * time.Second, 1}, {50 * time.Second, 2}} {
		t.Run(row.hidden.String(), func(t *testing.T) {
			inTrouble(t, func(s *troubles) { s.halfMade = row.hidden }, func(t *testing.T, r *rig, s *troubles) {
				r.after(45 * time.Second)
				s.mu.Lock()
				if row.clones == 2 {
					s.halfMade = time.Hour
				}
				s.mu.Unlock()
				r.after(30 * time.Second)
				s.mu.Lock()
				s.halfMade = 0
				s.mu.Unlock()
				r.untilRunning(10 * time.Minute)
				if n := len(s.times("clone")); n != row.clones {
					t.Errorf("%d clones", n)
				}
				r.after(10 * time.Minute)
				if n := r.world.count(); n != 1 {
					t.Errorf("%d VMs", n)
				}
			})
		})
	}
}

func TestACloneThatHangsIsCancelled(t *testing.T) {
	inTrouble(t, func(*troubles) {}, func(t *testing.T, r *rig, s *troubles) {
		r.after(time.Second)
		r.world.mu.Lock()
		for _, task := range r.world.tasks {
			task.ends = task.ends.Add(100 * time.Hour)
		}
		r.world.mu.Unlock()
		r.after(119 * time.Minute)
		if r.world.called("cancel") != 0 {
			t.Error("cancelled too soon")
		}
		r.after(time.Minute)
		if m := r.machines()[0]; r.world.called("cancel") != 1 || !strings.Contains(m.Metadata.Error, "was cancelled") {
			t.Errorf("%+v", m)
		}
		r.untilRunning(5 * time.Minute)
		if n := len(s.times("clone")); n != 2 {
			t.Errorf("%d clones", n)
		}
	})
}

func TestACloneThatCannotBeCancelledIsWaitedFor(t *testing.T) {
	inTrouble(t, func(*troubles) {}, func(t *testing.T, r *rig, s *troubles) {
		r.after(time.Second)
		r.world.mu.Lock()
		for _, task := range r.world.tasks {
			task.ends = task.ends.Add(3 * time.Hour)
		}
		r.world.mu.Unlock()
		r.world.fail("cancel", vsphere.Forbidden)
		r.after(121 * time.Minute)
		if m := r.machines()[0]; !strings.Contains(m.Metadata.Error, "cannot be cancelled") {
			t.Errorf("%+v", m)
		}
		r.untilRunning(2 * time.Hour)
		if n := len(s.times("clone")); n != 1 {
			t.Errorf("%d clones", n)
		}
	})
}

func TestATaskThatVanishedIsDecidedByTheInventory(t *testing.T) {
	for _, done := range []bool{true, false} {
		inTrouble(t, func(*troubles) {}, func(t *testing.T, r *rig, s *troubles) {
			r.after(10 * time.Second)
			r.world.mu.Lock()
			for id, task := range r.world.tasks {
				if done {
					r.world.finishClone(task)
				}
				delete(r.world.tasks, id)
			}
			r.world.mu.Unlock()
			r.untilRunning(5 * time.Minute)
			if n := len(s.times("clone")); (n == 1) != done {
				t.Errorf("done %t: %d clones", done, n)
			}
		})
	}
}

// What ends a machine is tried until it is done, however long something holds it.
func TestTerminationIsNeverGivenUp(t *testing.T) {
	for kind := vsphere.Unknown; kind.String() != ""; kind++ {
		if kind == vsphere.NotFound || kind == vsphere.NotOurs || kind == vsphere.WrongState { // gone, not to be touched, or on again
			continue
		}
		t.Run(kind.String(), func(t *testing.T) {
			inTrouble(t, func(s *troubles) { s.script("destroy", kind, 25) }, func(t *testing.T, r *rig, s *troubles) {
				r.untilRunning(time.Minute)
				r.reconfigure("poolFetch: {eventInterval: 1m}") // which makes the hours shorter
				r.resize(0)
				r.after(14 * time.Hour)
				if n := len(s.times("destroy")); n != 26 || r.world.count() != 0 {
					t.Errorf("%d tries, %d VMs", n, r.world.count())
				}
				if longest := slices.Max(s.gaps("destroy")); longest > reactionTo(kind).again.most+2*time.Second {
					t.Errorf("a pause of %s: %v", longest, s.gaps("destroy"))
				}
			})
		})
	}
}

func TestAProtectedMachineIsNotGivenUp(t *testing.T) {
	rec := record{Phase: starting, Status: vsphere.DefaultStatus()}
	failed := outcome{on: opFailed, err: &vsphere.Error{Kind: vsphere.Storage}}
	if o := failed.surrender(rec, 3); o.on != opRefused {
		t.Errorf("%+v", o)
	}
	if o := failed.surrender(rec, 2); o.on != opFailed {
		t.Errorf("too soon: %+v", o)
	}
	rec.Status.Evictable = false
	if o := failed.surrender(rec, 100); o.on != opFailed {
		t.Errorf("protected: %+v", o)
	}
}

func TestAMachineWithoutAnAddressSaysWhatItLacks(t *testing.T) {
	for _, row := range []struct {
		tools  bool
		config string
		want   string
	}{
		{false, "", "see its console"},
		{true, "", "the template's own port groups"},
		{true, "networks: [/DC0/network/web, /DC0/network/storage]", "the VLAN of /DC0/network/web, /DC0/network/storage"},
	} {
		inBubble(t, func(t *testing.T, r *rig) {
			r.crash()
			if row.config != "" {
				r.config = strings.Replace(document, "folder:", row.config+", folder:", 1)
			}
			r.world.neverBoots = true
			r.start()
			r.resize(1)
			r.after(time.Minute)
			r.world.mu.Lock()
			for _, vm := range r.world.vms {
				vm.ToolsRunning = row.tools
			}
			r.world.mu.Unlock()
			r.after(10 * time.Minute)
			if !strings.Contains(r.log.String(), row.want) {
				t.Errorf("nothing says %q", row.want)
			}
		})
	}
}

func TestOnlyLaunchesWaitForRoom(t *testing.T) {
	for kind := range reactions {
		r := reactionTo(vsphere.Kind(kind))
		for p := range phases {
			got := r.pausesIn(p)
			launch := p == requested || p == cloning || p == cloned || p == starting
			if launch && got != r.again || !launch && (got.most > time.Minute || got.first > got.most || got.first <= 0) {
				t.Errorf("kind %d, %s: %+v", kind, p, got)
			}
		}
	}
}
