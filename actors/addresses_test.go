package actors

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vspherepool/vsphere"
)

func TestAddressesSettle(t *testing.T) {
	lists := rapid.SampledFrom([][]string{nil, {"10.0.0.1"}, {"10.0.0.2"}, {"10.0.0.1", "10.0.0.2"}})
	rapid.Check(t, func(t *rapid.T) {
		a := addressing{held: lists.Draw(t, "stored")}
		at := time.Unix(100, 0)
		for range rapid.IntRange(1, 8).Draw(t, "looks") {
			before, shown := a, lists.Draw(t, "shown")
			late := rapid.Bool().Draw(t, "late")
			if late {
				at = at.Add(-time.Second)
			} else {
				at = at.Add(time.Minute)
			}
			a = a.settle(shown, at)
			twice := !before.at.IsZero() && slices.Equal(before.seen, shown)
			switch {
			case at.Before(before.at) || at.Equal(before.at):
				if !slices.Equal(a.held, before.held) || !a.at.Equal(before.at) {
					t.Fatal("an observation from before counts")
				}
			case twice && !slices.Equal(a.held, shown):
				t.Fatal("shown twice and not taken")
			case !twice && !slices.Equal(a.held, before.held):
				t.Fatal("shown once and taken")
			}
			if a.open() != !slices.Equal(a.held, a.seen) && !a.at.IsZero() {
				t.Fatal("open means that something else was shown")
			}
		}
	})
}

func TestAddressesAreNeverGivenTwice(t *testing.T) {
	address := rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::1"})
	rapid.Check(t, func(t *rapid.T) {
		var tenants []tenant
		for i := range rapid.IntRange(0, 4).Draw(t, "tenants") {
			tenants = append(tenants, tenant{
				id: vsphere.MachineID('a' + rune(i)), name: "web", has: rapid.SliceOfNDistinct(address, 0, 3, rapid.ID).Draw(t, "has"),
				since: time.Unix(int64(rapid.IntRange(0, 2).Draw(t, "since")), 0),
			})
		}
		index := tenancy(tenants)
		for at, holder := range index {
			for _, other := range tenants {
				if slices.Contains(other.has, at) && other.before(holder) {
					t.Fatalf("%s is %s's, but %s was there first", at, holder.id, other.id)
				}
			}
		}
		given := map[string]vsphere.MachineID{}
		for _, id := range []vsphere.MachineID{"a", "b", "c", "d"} {
			shown := rapid.SliceOfNDistinct(address, 0, 4, rapid.ID).Draw(t, "shown")
			own, conflict := divide(shown, id, func(a string) (tenant, bool) { t, taken := index[a]; return t, taken })
			if (len(own) < len(shown)) != (conflict != "") {
				t.Fatalf("%v of %v, %q", own, shown, conflict)
			}
			for _, ip := range own {
				if holder, taken := index[ip]; taken && holder.id != id || !slices.Contains(shown, ip) {
					t.Fatalf("%s got %s", id, ip)
				}
				if _, held := index[ip]; held && given[ip] != "" {
					t.Fatalf("%s and %s got %s", id, given[ip], ip)
				}
				given[ip] = id
			}
		}
	})
}

// lens shows the world's VMs as the test wants them seen, and each of them with its own time to sweep.
type lens struct {
	fusedProvider
	alter func(vm *vsphere.VM)
	slow  time.Duration
}

func (l *lens) each(vms []vsphere.VM) []vsphere.VM {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range vms {
		if l.alter != nil {
			l.alter(&vms[i])
		}
	}
	return vms
}

func (l *lens) Sweep(ctx context.Context, elsewhere []vsphere.Ref) (vsphere.Inventory, error) {
	if err := l.wait(ctx, l.slow); err != nil {
		return vsphere.Inventory{}, err
	}
	inventory, err := l.fusedProvider.Sweep(ctx, elsewhere)
	inventory.VMs = l.each(inventory.VMs)
	return inventory, err
}

func (l *lens) Read(ctx context.Context, refs []vsphere.Ref) ([]vsphere.VM, []vsphere.Ref, error) {
	vms, absent, err := l.fusedProvider.Read(ctx, refs)
	return l.each(vms), absent, err
}

// through runs a test on a world that is seen through a lens, with more keys in the template.
func through(t *testing.T, keys string, test func(t *testing.T, r *rig, l *lens)) {
	t.Helper()
	inBubble(t, func(t *testing.T, r *rig) {
		r.stop()
		l := &lens{}
		r.wrap = func(p fusedProvider) Provider { l.fusedProvider = p; return l }
		r.config = strings.Replace(document, "Resources}", "Resources"+keys+"}", 1)
		r.start()
		test(t, r, l)
	})
}

// seen makes the lens alter VMs from now on.
func (r *rig) seen(l *lens, alter func(vm *vsphere.VM)) {
	r.world.mu.Lock()
	defer r.world.mu.Unlock()
	l.alter = alter
}

func TestAddressesCountWhenShownTwice(t *testing.T) {
	through(t, "", func(t *testing.T, r *rig, l *lens) {
		r.resize(1)
		r.after(time.Minute)
		ip := r.expect(Running, 1)[0].PrivateIPs[0]
		for name, shown := range map[string][]string{"another": {"10.7.7.7"}, "none": nil} {
			// The one look that a hint causes is not enough, and the next, soon after it, shows the old ones again.
			looks := 0
			r.seen(l, func(vm *vsphere.VM) {
				if looks++; looks == 1 {
					vm.IPs = shown
				}
			})
			r.world.hint("vm-2")
			r.after(5 * time.Second)
			if got := r.expect(Running, 1)[0].PrivateIPs; !slices.Equal(got, []string{ip}) || looks < 2 {
				t.Errorf("%s: a single look gave %v, after %d looks", name, got, looks)
			}
			r.seen(l, func(vm *vsphere.VM) { vm.IPs = shown })
			r.world.hint("vm-2")
			r.after(5 * time.Second)
			if got := r.expect(Running, 1)[0].PrivateIPs; !slices.Equal(got, shown) {
				t.Errorf("%s: %v, want %v", name, got, shown)
			}
			r.seen(l, nil)
			r.after(time.Minute)
			if got := r.expect(Running, 1)[0].PrivateIPs; !slices.Equal(got, []string{ip}) {
				t.Errorf("%s: %v afterwards", name, got)
			}
		}
	})
}

// hint makes an event about a VM.
func (w *world) hint(ref vsphere.Ref) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hints = append(w.hints, ref)
}

func TestSecondGuestWithAnAddressNeverRuns(t *testing.T) {
	through(t, ", bootTimeout: 1m", func(t *testing.T, r *rig, l *lens) {
		r.resize(1)
		r.after(time.Minute)
		first := r.expect(Running, 1)[0]
		r.seen(l, func(vm *vsphere.VM) {
			if len(vm.IPs) > 0 {
				vm.IPs = first.PrivateIPs
			}
		})
		r.resize(2)
		r.after(45 * time.Second)
		second := r.expect(Pending, 1)[0]
		says := "address " + first.PrivateIPs[0] + " is already " + first.Metadata.Name + "'s"
		if !strings.Contains(second.Metadata.Error, says) || len(second.PrivateIPs) != 0 {
			t.Errorf("%+v, want %s", second, says)
		}
		if n := strings.Count(r.log.String(), "shows another machine's address"); n != 1 {
			t.Errorf("warned %d times", n)
		}
		r.after(10 * time.Minute)
		if got := r.expect(Running, 1)[0]; got.ID != first.ID || !slices.Equal(got.PrivateIPs, first.PrivateIPs) || got.Metadata.Error != "" {
			t.Errorf("%+v", got)
		}
		gone := r.in(Terminated)
		if len(gone) == 0 || !strings.Contains(gone[0].Metadata.Reason, says) {
			t.Errorf("%+v", gone)
		}
		if status := r.status(); !strings.Contains(status.Blocked, says) {
			t.Errorf("the template is not suspected: %+v", status)
		}
		r.seen(l, nil)
		r.after(10 * time.Minute)
		r.expect(Running, 2)
	})
}

func (r *rig) status() Status {
	r.t.Helper()
	s, err := r.pool.Status(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func TestRunningMachineKeepsItsOtherAddresses(t *testing.T) {
	through(t, "", func(t *testing.T, r *rig, l *lens) {
		r.resize(2)
		r.after(time.Minute)
		machines := r.expect(Running, 2)
		slices.SortFunc(machines, func(a, b Machine) int { return strings.Compare(a.Metadata.VM, b.Metadata.VM) })
		elder, younger := machines[0], machines[1]
		r.seen(l, func(vm *vsphere.VM) {
			if string(vm.Ref) == younger.Metadata.VM {
				vm.IPs = []string{elder.PrivateIPs[0], younger.PrivateIPs[0]}
			}
		})
		r.after(2 * time.Minute)
		check := func(when string) {
			t.Helper()
			for _, m := range r.expect(Running, 2) {
				want, says := elder.PrivateIPs, ""
				if m.ID == younger.ID {
					want, says = younger.PrivateIPs, "already "+elder.Metadata.Name+"'s"
				}
				if !slices.Equal(m.PrivateIPs, want) || !strings.Contains(m.Metadata.Error, says) || (m.Metadata.Error == "") != (says == "") {
					t.Errorf("%s: %+v", when, m)
				}
			}
		}
		check("at first")
		r.stop()
		r.start()
		check("after a restart")
		r.after(2 * time.Minute)
		check("a while after a restart")
		r.seen(l, nil)
		r.after(2 * time.Minute)
		for _, m := range r.expect(Running, 2) {
			if m.Metadata.Error != "" {
				t.Errorf("still %+v", m)
			}
		}
	})
}

func TestAddressOfAMachineThatLeftIsFree(t *testing.T) {
	through(t, "", func(t *testing.T, r *rig, l *lens) {
		r.resize(1)
		r.after(time.Minute)
		first := r.expect(Running, 1)[0]
		r.seen(l, func(vm *vsphere.VM) {
			if len(vm.IPs) > 0 {
				vm.IPs = first.PrivateIPs
			}
		})
		if _, err := r.pool.Terminate(t.Context(), string(first.ID), false); err != nil {
			t.Fatal(err)
		}
		r.after(2 * time.Minute)
		if got := r.expect(Running, 1)[0]; got.ID == first.ID || !slices.Equal(got.PrivateIPs, first.PrivateIPs) {
			t.Errorf("%+v", got)
		}
	})
}

func TestCustomizedMachinesAreReadyWhenThatSucceeded(t *testing.T) {
	through(t, ", customization: linux-dhcp", func(t *testing.T, r *rig, l *lens) {
		states := func(c vsphere.Customization) { r.seen(l, func(vm *vsphere.VM) { vm.Customization = c }) }
		states(vsphere.CustomizationRunning)
		r.resize(1)
		r.after(2 * time.Minute)
		r.expect(Pending, 1)
		states("")
		r.after(time.Minute)
		r.expect(Pending, 1)
		states(vsphere.CustomizationSucceeded)
		r.after(5 * time.Second)
		r.expect(Running, 1)
		states(vsphere.CustomizationFailed)
		r.after(time.Minute)
		first := r.expect(Running, 1)[0]
		r.resize(2)
		r.after(5 * time.Minute)
		if got := r.expect(Running, 1)[0]; got.ID != first.ID {
			t.Errorf("%+v", got)
		}
		gone := r.in(Terminated)
		if len(gone) < bootFailureLimit || !strings.Contains(gone[0].Metadata.Reason, "customization failed: see the specification linux-dhcp") {
			t.Errorf("%+v", gone)
		}
		if status := r.status(); !strings.Contains(status.Blocked, "customization failed") {
			t.Errorf("the template is not suspected: %+v", status)
		}
	})
}

func TestCustomizationThatNeverEnds(t *testing.T) {
	through(t, ", customization: linux-dhcp, bootTimeout: 1m", func(t *testing.T, r *rig, _ *lens) {
		r.resize(1)
		r.after(3 * time.Minute)
		gone := r.in(Terminated)
		if len(gone) == 0 || !strings.Contains(gone[0].Metadata.Reason, "customization did not succeed by then") {
			t.Errorf("%+v", gone)
		}
	})
}

func TestSweepsOfALargePoolAreRarer(t *testing.T) {
	for name, row := range map[string]struct {
		takes    time.Duration
		from, to int
	}{
		"small":     {50 * time.Millisecond, 59, 61},
		"large":     {time.Second, 34, 37},
		"huge":      {10 * time.Second, 24, 26},
		"never":     {time.Minute, 0, 0},
		"unbounded": {29 * time.Second, 19, 21},
	} {
		t.Run(name, func(t *testing.T) {
			through(t, "", func(t *testing.T, r *rig, l *lens) {
				r.world.mu.Lock()
				l.slow = row.takes
				r.world.mu.Unlock()
				r.after(10 * time.Minute)
				before := r.world.called("sweep")
				r.after(30 * time.Minute)
				if n := r.world.called("sweep") - before; n < row.from || n > row.to {
					t.Errorf("%d sweeps in half an hour, want %d to %d", n, row.from, row.to)
				}
				_, err := r.pool.View(t.Context())
				if stale := errors.As(err, new(*Error)); stale != (row.to == 0) {
					t.Errorf("reads answer %v", err)
				}
			})
		})
	}
}
