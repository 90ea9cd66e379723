package actors

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"vspherepool/vsphere"
)

// A crash at any moment of a launch, a scale-in or a termination loses nothing, duplicates nothing and forgets nothing.
func TestCrashAtAnyMoment(t *testing.T) {
	for second := range 60 {
		t.Run(fmt.Sprintf("after %d s", second), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.resize(4)
				r.after(time.Duration(second) * time.Second)
				terminated := ""
				if ms := r.machines(); second%3 == 0 && len(ms) > 0 {
					terminated = string(ms[0].ID)
					if _, err := r.pool.Terminate(t.Context(), terminated, second%2 == 0); err != nil {
						t.Fatal(err)
					}
				}
				size := r.view().Size.Desired
				r.crash()
				r.after(time.Duration(second%7) * time.Second)
				r.start()
				r.after(4 * time.Minute)
				r.expect(Running, size)
				for _, m := range r.in(Running) {
					if string(m.ID) == terminated {
						t.Error("a terminated machine came back")
					}
				}
				if n := r.world.count(); n != size {
					t.Errorf("%d VMs for %d machines", n, size)
				}
			})
		})
	}
}

func TestLossOfTheStateDirectory(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(4)
		r.after(time.Minute)
		ms := r.expect(Running, 4)
		blessed, serving, leaving := string(ms[0].ID), string(ms[1].ID), string(ms[2].ID)
		if _, err := r.pool.SetMembership(t.Context(), blessed, Membership{Active: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.pool.SetServiceState(t.Context(), serving, InService, false); err != nil {
			t.Fatal(err)
		}
		if _, err := r.pool.Terminate(t.Context(), leaving, true); err != nil {
			t.Fatal(err)
		}
		r.crash()
		r.journal = newMemory()
		r.start()
		if size := r.view().Size; size.Desired != 3 {
			t.Errorf("%+v", size)
		}
		r.after(time.Minute)
		for _, m := range r.expect(Running, 3) {
			if string(m.ID) == blessed && m.Membership.Evictable {
				t.Error("the protection is lost")
			}
			if string(m.ID) == serving && m.Service != InService {
				t.Error("the service state is lost")
			}
		}
		if r.world.count() != 3 {
			t.Errorf("%d VMs", r.world.count())
		}
	})
}

func TestLossOfTheStateDirectoryDuringClones(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(4)
		r.after(5 * time.Second)
		r.crash()
		r.journal = newMemory()
		r.config = document + "desiredSize: 4\n"
		r.start()
		r.after(5 * time.Minute)
		r.expect(Running, 4)
		if r.world.count() != 4 {
			t.Errorf("%d VMs", r.world.count())
		}
	})
}

// TestChaos runs random histories of requests, changes from outside, faults, outages and crashes, and then lets the pool be.
func TestChaos(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			inBubble(t, func(_ *testing.T, r *rig) {
				rnd := rand.New(rand.NewPCG(seed, 1))
				c := chaos{rig: r, rnd: rnd}
				for range 60 {
					c.act()
					r.after(time.Duration(rnd.IntN(20)) * time.Second)
				}
				c.peace()
			})
		})
	}
}

// chaos keeps what must hold afterwards.
type chaos struct {
	*rig
	rnd        *rand.Rand
	desired    int
	terminated []string
	strangers  []vsphere.Ref
}

func (c *chaos) act() {
	switch c.rnd.IntN(11) {
	case 0, 1:
		n := c.rnd.IntN(12)
		if _, err := c.pool.Resize(c.t.Context(), n); err == nil {
			c.desired = n
		}
	case 2, 3:
		c.terminate()
	case 4:
		c.crash()
		c.start()
	case 5:
		c.world.setDown(errDown)
	case 6:
		c.world.setDown(nil)
	case 7:
		ops := []string{"clone", "powerOn", "powerOff", "destroy", "write", "sweep", "read", "shutdown", "hints", "locate", "clones"}
		kinds := []vsphere.Kind{vsphere.Unknown, vsphere.Unreachable, vsphere.Busy, vsphere.Capacity, vsphere.Forbidden}
		c.world.fail(ops[c.rnd.IntN(len(ops))], kinds[c.rnd.IntN(len(kinds))])
	case 8:
		c.meddle()
	case 9:
		c.flicker()
	case 10:
		c.freezeOrThaw()
	}
}

// flicker lets vCenter lose or regain its hold of some VMs.
func (c *chaos) flicker() {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	word := []string{"connected", "disconnected", "inaccessible"}[c.rnd.IntN(3)]
	for _, vm := range c.world.vms {
		if c.rnd.IntN(3) == 0 {
			vm.Connection, vm.Connected = word, word == "connected"
		}
	}
}

func (c *chaos) freezeOrThaw() {
	if c.rnd.IntN(2) == 0 {
		_, _ = c.pool.Freeze(c.t.Context(), "chaos")
		return
	}
	_, _ = c.pool.Thaw(c.t.Context(), false)
}

func (c *chaos) terminate() {
	view, err := c.pool.View(c.t.Context())
	if err != nil || len(view.Machines) == 0 {
		return
	}
	m := view.Machines[c.rnd.IntN(len(view.Machines))]
	decrement := c.rnd.IntN(2) == 0
	if _, err := c.pool.Terminate(c.t.Context(), string(m.ID), decrement); err == nil {
		c.terminated = append(c.terminated, string(m.ID))
		if decrement {
			c.desired = max(0, c.desired-1)
		}
	}
}

// meddle is what an administrator does behind the pool's back.
func (c *chaos) meddle() {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	for ref, vm := range c.world.vms {
		if !vm.Owned("web") {
			continue
		}
		switch c.rnd.IntN(4) {
		case 0:
			delete(c.world.vms, ref)
			c.world.hints = append(c.world.hints, ref)
		case 1:
			vm.Power, vm.IPs, vm.ToolsRunning = vsphere.PoweredOff, nil, false
		case 2:
			mark := *vm.Mark
			c.strangers = append(c.strangers, c.world.add(vsphere.VM{
				Name: "copy-" + vm.Name + string(ref), InstanceUUID: "copy-" + string(ref), Power: vsphere.PoweredOn, Mark: &mark,
			}))
		case 3:
			c.world.moved[ref] = true
		}
		return
	}
}

// peace ends all trouble and checks the promise.
func (c *chaos) peace() {
	c.t.Helper()
	c.world.setDown(nil)
	c.world.mu.Lock()
	c.world.faults = map[string][]error{}
	for _, vm := range c.world.vms {
		vm.Connection, vm.Connected = "connected", true
	}
	c.world.mu.Unlock()
	if _, err := c.pool.Thaw(c.t.Context(), false); err != nil {
		c.t.Error(err)
	}
	c.after(45 * time.Minute)
	size := c.view().Size
	if size.Desired != c.desired || size.Active != c.desired {
		c.t.Errorf("desired %d, the pool says %+v", c.desired, size)
	}
	c.expect(Running, c.desired)
	for _, id := range c.terminated {
		for _, m := range c.machines() {
			if string(m.ID) == id && m.State.Allocated() {
				c.t.Errorf("%s came back as %s", id, m.State)
			}
		}
	}
	c.checkWorld()
	synctest.Wait()
}

func (c *chaos) checkWorld() {
	c.t.Helper()
	ours := map[vsphere.MachineID]int{}
	c.world.mu.Lock()
	for _, vm := range c.world.vms {
		if vm.Owned("web") {
			ours[vm.Mark.Machine]++
		}
	}
	c.world.mu.Unlock()
	if len(ours) != c.desired {
		c.t.Errorf("%d VMs of ours for %d machines", len(ours), c.desired)
	}
	for id, n := range ours {
		if n > 1 {
			c.t.Errorf("machine %s has %d VMs", id, n)
		}
	}
	for _, ref := range c.strangers {
		if vm := c.world.vm(ref); vm == nil || vm.Power != vsphere.PoweredOn {
			c.t.Errorf("the copy %s was touched", ref)
		}
	}
}
