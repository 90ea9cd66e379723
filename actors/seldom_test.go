package actors

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"vspherepool/vsphere"
)

// Moments that come seldom, and together seldom still, and must not cost the pool anything.

// hooked is a vCenter that lets a test do something at a call.
type hooked struct {
	fusedProvider
	onClaim func()
	onFind  func()
	onRead  func(refs []vsphere.Ref)
}

func (p *hooked) Claim(ctx context.Context, ref vsphere.Ref, c vsphere.Change) error {
	err := p.fusedProvider.Claim(ctx, ref, c)
	if p.onClaim != nil {
		p.onClaim()
	}
	return err
}

func (p *hooked) Find(ctx context.Context, query string) (vsphere.VM, error) {
	if p.onFind != nil {
		p.onFind()
	}
	return p.fusedProvider.Find(ctx, query)
}

func (p *hooked) Read(ctx context.Context, refs []vsphere.Ref) ([]vsphere.VM, []vsphere.Ref, error) {
	if p.onRead != nil {
		p.onRead(refs)
	}
	return p.fusedProvider.Read(ctx, refs)
}

// hook starts the pool anew over a vCenter with hooks.
func (r *rig) hook(p *hooked) {
	r.t.Helper()
	r.crash()
	r.wrap = func(f fusedProvider) Provider { p.fusedProvider = f; return p }
	r.start()
}

// pet is a running VM of somebody's, which is no machine of any pool.
func (r *rig) pet(ips ...string) vsphere.Ref {
	return r.world.put(vsphere.VM{Name: "pet", InstanceUUID: "11111111-0000-4000-8000-000000000000", Power: vsphere.PoweredOn, IPs: ips})
}

// lostMark is a VM that carries the pool's mark without being a member.
func (r *rig) lostMark() vsphere.Ref {
	uuid := "22222222-0000-4000-8000-000000000000"
	mark, status := vsphere.Mark{Pool: "web", Machine: vsphere.MachineID(uuid), UUID: uuid}, vsphere.DefaultStatus()
	return r.world.put(vsphere.VM{Name: "lost", InstanceUUID: uuid, Power: vsphere.PoweredOn, Mark: &mark, Status: &status})
}

func TestAGuestWithoutAddressesHoldsUpNoLaunch(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.grown(1)
		if _, err := r.pool.Attach(t.Context(), string(r.pet())); err != nil {
			t.Fatal(err)
		}
		r.after(time.Minute)
		r.expect(Pending, 1)
		r.world.fail("clone", vsphere.Capacity)
		r.resize(3)
		r.after(time.Hour)
		r.expect(Running, 2)
	})
}

func TestAReplacementThatIsLostFromSightHoldsUpNoOther(t *testing.T) {
	inBubble(t, func(_ *testing.T, r *rig) {
		refs := r.grown(5)
		r.world.mu.Lock()
		r.world.neverBoots = true
		r.world.mu.Unlock()
		r.world.turnOff(refs[0])
		r.after(time.Minute)
		r.world.connect("disconnected", vsphere.Ref(r.expect(Pending, 1)[0].Metadata.VM))
		r.world.mu.Lock()
		r.world.neverBoots = false
		r.world.mu.Unlock()
		r.after(3 * time.Minute)
		r.world.turnOff(refs[1])
		r.after(30 * time.Minute)
		r.expect(Running, 4)
	})
}

func TestARefusedLaunchThatWasAskedForIsTriedAgainInACrisis(t *testing.T) {
	inBubble(t, func(_ *testing.T, r *rig) {
		refs := r.grown(10)
		r.world.connect("inaccessible", refs[:3]...)
		r.after(35 * time.Second)
		r.world.fail("clone", vsphere.Capacity)
		r.world.fail("clone", vsphere.Forbidden)
		r.resize(13)
		r.after(time.Hour)
		r.expect(Running, 13)
	})
}

func TestTakingOverTakesTheMachinesThatTheOtherMade(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.grown(3)
		second := &rig{t: t, world: r.world, journal: newMemory(), config: document, wrap: plain}
		second.start()
		r.after(2 * time.Minute)
		second.resize(6)
		r.after(3 * time.Minute)
		second.expect(Running, 6)
		second.stop()
		r.resize(6)
		r.thaw(true)
		r.after(5 * time.Minute)
		r.expect(Running, 6)
		if strays, _ := r.pool.Orphans(t.Context()); len(strays) != 0 || r.world.clones() != 6 {
			t.Errorf("%d clones, orphans %+v", r.world.clones(), strays)
		}
	})
}

func TestTwinsStopAndOneTakesOver(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		second := &rig{t: t, world: r.world, journal: newMemory(), config: document, wrap: plain}
		second.start()
		r.resize(2)
		second.resize(2)
		r.after(3 * time.Minute)
		for _, pool := range []*rig{r, second} {
			if !pool.rail("writers").Holding {
				t.Errorf("%+v", pool.rail("writers"))
			}
		}
		second.stop()
		r.thaw(true)
		r.after(5 * time.Minute)
		r.expect(Running, 2)
		if n := r.world.count(); n != 2 {
			t.Errorf("%d VMs are left of the two pools'", n)
		}
	})
}

func TestTheSignatureGoesToAMachineThatCanBeWritten(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.grown(3)
		ms := r.machines()
		first := slices.MinFunc(ms, func(a, b Machine) int { return strings.Compare(string(a.ID), string(b.ID)) })
		r.world.connect("disconnected", vsphere.Ref(first.Metadata.VM))
		r.after(time.Minute)
		second := &rig{t: t, world: r.world, journal: newMemory(), config: document, wrap: plain}
		second.start()
		defer second.stop()
		r.after(2 * time.Minute)
		if !r.rail("writers").Holding {
			t.Error("the first one goes on")
		}
	})
}

func TestNothingIsAttachedAfterAnotherTookOver(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		p := &hooked{onFind: func() { time.Sleep(45 * time.Second) }}
		r.hook(p)
		r.grown(2)
		pet := r.pet("10.9.9.9")
		second := &rig{t: t, world: r.world, journal: newMemory(), config: document, wrap: plain}
		second.start()
		defer second.stop()
		r.after(20 * time.Second)
		if r.rail("writers").Holding {
			t.Fatal("it has been noticed already")
		}
		if _, err := r.pool.Attach(t.Context(), string(pet)); KindOf(err) != Unavailable {
			t.Errorf("%v", err)
		}
		if vm := r.world.vm(pet); vm.Mark != nil {
			t.Errorf("%+v", vm.Mark)
		}
	})
}

// The process dies after it has marked a VM that was to be attached, and before that is on record.
func TestAnAttachThatWasCutShortCostsNobodyHisVM(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		p := &hooked{}
		r.config = document + "rails: {retireOrphans: true, orphanAge: 1h}\n"
		r.hook(p)
		r.grown(1)
		pet := r.pet("10.9.9.9")
		p.onClaim = func() { r.fuse.blow() }
		if _, err := r.pool.Attach(t.Context(), string(pet)); err == nil {
			t.Fatal("attached")
		}
		p.onClaim = nil
		r.stop()
		r.start()
		r.after(3 * time.Hour)
		if vm := r.world.vm(pet); vm == nil || vm.Power != vsphere.PoweredOn {
			t.Errorf("%+v", vm)
		}
		strays, err := r.pool.Orphans(t.Context())
		if err != nil || len(strays) != 1 || !strings.Contains(strays[0].Reason, "attached") {
			t.Errorf("%+v, %v", strays, err)
		}
	})
}

// What keeps an orphan from being removed does so until the last moment.
func TestAnOrphanIsLeftAloneIfThingsChangeWhileItIsLookedAt(t *testing.T) {
	for name, change := range map[string]func(r *rig, orphan vsphere.Ref){
		"frozen by hand": func(r *rig, _ vsphere.Ref) { _, _ = r.pool.Freeze(r.t.Context(), "hold it") },
		"protected": func(r *rig, orphan vsphere.Ref) {
			r.world.mu.Lock()
			defer r.world.mu.Unlock()
			r.world.vms[orphan].Status = &vsphere.Status{Active: true}
		},
		"of unknown age": func(r *rig, orphan vsphere.Ref) {
			r.world.mu.Lock()
			defer r.world.mu.Unlock()
			r.world.vms[orphan].CreateDate = time.Time{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				p := &hooked{}
				r.config = document + "rails: {retireOrphans: true, orphanAge: 1h}\n"
				r.hook(p)
				r.grown(1)
				orphan := r.lostMark()
				old, looks := time.Now().Add(59*time.Minute+45*time.Second), 0
				p.onRead = func(refs []vsphere.Ref) {
					if slices.Contains(refs, orphan) && time.Now().After(old) {
						looks++
						change(r, orphan)
					}
				}
				r.after(60*time.Minute + 20*time.Second)
				if looks == 0 {
					t.Error("it was not looked at")
				}
				if vm := r.world.vm(orphan); vm == nil || vm.Power != vsphere.PoweredOn {
					t.Errorf("%+v", vm)
				}
			})
		})
	}
}

func TestMachinesThatExchangeAddresses(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		refs := r.grown(2)
		one, other := r.world.vm(refs[0]).IPs, r.world.vm(refs[1]).IPs
		r.world.mu.Lock()
		r.world.vms[refs[0]].IPs, r.world.vms[refs[1]].IPs = other, one
		r.world.mu.Unlock()
		r.after(2 * time.Minute)
		for _, m := range r.expect(Running, 2) {
			want := one
			if m.Metadata.VM == string(refs[0]) {
				want = other
			}
			if !slices.Equal(m.PrivateIPs, want) || m.Metadata.Error != "" {
				t.Errorf("%+v, want %v", m, want)
			}
		}
	})
}

func TestAJournalThatCannotBeWrittenCostsNoReplacements(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		refs := r.grown(1)
		r.journal.mu.Lock()
		r.journal.broken = context.DeadlineExceeded
		r.journal.mu.Unlock()
		r.world.turnOff(refs[0])
		r.after(time.Hour)
		r.journal.mu.Lock()
		r.journal.broken = nil
		r.journal.mu.Unlock()
		r.after(2 * time.Minute)
		r.expect(Running, 1)
		if rail := r.rail("churn"); rail.Value != 1 {
			t.Errorf("%+v", rail)
		}
	})
}

// What a machine says of itself that cannot be reached must be true: that it is replaced once its VM is not there any more.
func TestAMachineThatCannotBeReachedIsReplacedAsItSays(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		refs := r.grown(3)
		r.world.connect("disconnected", refs[0])
		r.after(time.Minute)
		var told Machine
		for _, m := range r.expect(Running, 3) {
			if m.Metadata.Error != "" {
				told = m
			}
		}
		if _, err := r.pool.SetMembership(t.Context(), string(told.ID), Membership{Evictable: true}); err == nil {
			t.Fatal("the simulated vCenter writes to VMs that it cannot reach")
		}
		if !strings.Contains(told.Metadata.Error, "remove") || strings.Contains(told.Metadata.Error, "membershipStatus") {
			t.Errorf("%q", told.Metadata.Error)
		}
		r.world.mu.Lock()
		delete(r.world.vms, refs[0])
		r.world.mu.Unlock()
		r.after(3 * time.Minute)
		r.expect(Running, 3)
	})
}

// forget takes keys off the stored record of the pool, as a release wrote it that did not know them.
func (m *memory) forget(t *testing.T, keys ...string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	var pool map[string]json.RawMessage
	if err := json.Unmarshal(m.pool, &pool); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		delete(pool, key)
	}
	m.pool, _ = json.Marshal(pool)
}

func TestTheJournalOfAnEarlierReleaseIsGoneOnWith(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		refs := r.grown(3)
		r.crash()
		r.journal.forget(t, "writer", "owed", "churn", "still")
		r.world.mu.Lock()
		for _, vm := range r.world.vms {
			vm.Mark = &vsphere.Mark{Pool: vm.Mark.Pool, Machine: vm.Mark.Machine, UUID: vm.Mark.UUID}
		}
		r.world.mu.Unlock()
		r.config = ""
		r.start()
		r.after(2 * time.Minute)
		r.expect(Running, 3)
		signed := 0
		for _, ref := range refs {
			if w := r.world.vm(ref).Mark.Writer; w.ID != "" && w.Epoch == 1 {
				signed++
			}
		}
		if f := r.freeze(); signed != 1 || f.Frozen || r.world.clones() != 3 {
			t.Errorf("%d VMs are signed, %d clones, %+v", signed, r.world.clones(), f)
		}
	})
}

// A state directory from a backup knows an earlier epoch than the VMs: its owner has to say that it is the right one.
func TestAStateDirectoryFromABackupStopsAndTakesOver(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.grown(3)
		backup := newMemory()
		r.journal.mu.Lock()
		backup.pool, backup.machines = r.journal.pool, maps.Clone(r.journal.machines)
		r.journal.mu.Unlock()
		second := &rig{t: t, world: r.world, journal: newMemory(), config: document, wrap: plain}
		second.start()
		r.after(2 * time.Minute)
		second.stop()
		r.thaw(true)
		r.resize(5)
		r.after(3 * time.Minute)
		r.expect(Running, 5)
		r.crash()
		r.journal = backup
		r.start()
		r.after(10 * time.Minute)
		if n := r.world.count(); n != 5 || !r.rail("writers").Holding {
			t.Errorf("%d VMs, %+v", n, r.rail("writers"))
		}
		r.resize(5)
		r.thaw(true)
		r.after(3 * time.Minute)
		r.expect(Running, 5)
		if r.world.clones() != 5 {
			t.Errorf("%d clones", r.world.clones())
		}
	})
}

func TestAFreezeByHandOutlivesANewConfiguration(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		if _, err := r.pool.Freeze(t.Context(), "maintenance"); err != nil {
			t.Fatal(err)
		}
		renamed := strings.Replace(document, "name: web", "name: shop", 1)
		if _, err := r.pool.Configure(t.Context(), []byte(renamed)); err != nil {
			t.Fatal(err)
		}
		r.world.mu.Lock()
		r.world.pool = "shop"
		r.world.mu.Unlock()
		r.after(time.Minute)
		r.resize(2)
		r.after(5 * time.Minute)
		if f := r.freeze(); !f.Manual || r.world.clones() != 0 {
			t.Errorf("%d clones, %+v", r.world.clones(), f)
		}
		r.thaw(false)
		r.after(2 * time.Minute)
		r.expect(Running, 2)
	})
}
