package actors

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vspherepool/vsphere"
)

// Partial troubles: some calls fail while others work, or come at the wrong moment.

func TestProtectedMachinesOutliveTheStateDirectory(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(1)
		r.after(time.Minute)
		m := r.expect(Running, 1)[0]
		if _, err := r.pool.SetMembership(t.Context(), string(m.ID), Membership{Active: true}); err != nil {
			t.Fatal(err)
		}
		r.after(20 * time.Minute)
		r.crash()
		r.world.turnOff(vsphere.Ref(m.Metadata.VM))
		r.journal = newMemory()
		r.start()
		r.after(30 * time.Minute)
		if r.world.vm(vsphere.Ref(m.Metadata.VM)) == nil {
			t.Error("the protected VM was destroyed")
		}
	})
}

func TestProtectedMachinesHaveNoBootDeadline(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.world.neverBoots = true
		r.resize(1)
		r.after(40 * time.Second)
		m := r.expect(Pending, 1)[0]
		if _, err := r.pool.SetMembership(t.Context(), string(m.ID), Membership{Active: true}); err != nil {
			t.Fatal(err)
		}
		r.after(30 * time.Minute)
		if r.world.vm(vsphere.Ref(m.Metadata.VM)) == nil {
			t.Error("the protected VM was destroyed")
		}
	})
}

// flawed cannot make machines as long as it is told so.
type flawed struct {
	fusedProvider
	is bool
}

func (p flawed) Site() vsphere.Site {
	site := p.fusedProvider.Site()
	if p.is {
		site.Source = ""
		site.Flaw = &vsphere.Error{Op: "resolve template", Kind: vsphere.Misconfigured, Err: errors.New("there is no template")}
	}
	return site
}

func TestAMissingTemplateBlocksNewMachinesOnly(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(2)
		r.after(time.Minute)
		r.expect(Running, 2)
		r.stop()
		var is atomic.Bool
		is.Store(true)
		r.wrap = func(p fusedProvider) Provider { return flawed{p, is.Load()} }
		r.start()
		if _, err := r.pool.Terminate(t.Context(), string(r.expect(Running, 2)[0].ID), false); err != nil {
			t.Error(err)
		}
		r.after(time.Minute)
		r.expect(Requested, 1)
		if st, _ := r.pool.Status(t.Context()); !strings.Contains(st.Blocked, "there is no template") || st.Outage != "" {
			t.Errorf("%+v", st)
		}
		if _, err := r.pool.Configure(t.Context(), []byte(document)); KindOf(err) != Invalid {
			t.Errorf("such a configuration was accepted: %v", err)
		}
		r.world.fail("connect", vsphere.Unreachable) // one look goes wrong
		r.after(2 * time.Minute)
		is.Store(false)
		r.after(10 * time.Minute)
		r.expect(Running, 2)
	})
}

func TestEventsThatAreNotAnsweredAreNoOutage(t *testing.T) {
	inBubble(t, func(_ *testing.T, r *rig) {
		r.crash()
		r.wrap = func(p fusedProvider) Provider { return failing{fusedProvider: p, hints: errDown} }
		r.start()
		before := r.world.called("sweep")
		r.resize(2)
		r.after(2 * time.Minute)
		r.expect(Running, 2)
		if n := r.world.called("sweep") - before; n > 30 {
			t.Errorf("%d sweeps in two minutes", n)
		}
	})
}

// unsweepable refuses sweeps for a reason that is not an outage.
type unsweepable struct{ fusedProvider }

func (p unsweepable) Sweep(context.Context, []vsphere.Ref) (vsphere.Inventory, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls["sweep"]++
	return vsphere.Inventory{}, &vsphere.Error{Op: "list folder", Kind: vsphere.Forbidden, Err: errors.New("no privilege")}
}

func TestRefusedSweepsKeepTheirPace(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.crash()
		r.wrap = func(p fusedProvider) Provider { return unsweepable{p} }
		r.start()
		before := r.world.called("sweep")
		r.after(10 * time.Minute)
		if n := r.world.called("sweep") - before; n > 30 {
			t.Errorf("%d sweeps in ten minutes", n)
		}
		if st, _ := r.pool.Status(t.Context()); !strings.Contains(st.Blocked, "no privilege") {
			t.Errorf("%+v", st)
		}
	})
}

// unreadable fails reads while it is told to.
type unreadable struct {
	slow
	now *atomic.Bool
}

func (p unreadable) Read(ctx context.Context, refs []vsphere.Ref) ([]vsphere.VM, []vsphere.Ref, error) {
	if p.now.Load() {
		return nil, nil, &vsphere.Error{Op: "read vms", Kind: vsphere.Busy, Err: errors.New("scripted")}
	}
	return p.slow.Read(ctx, refs)
}

// A retry that comes due while a caller's request is served is not lost.
func TestARetryWaitsForACall(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.crash()
		var now atomic.Bool
		now.Store(true)
		r.wrap = func(p fusedProvider) Provider {
			return unreadable{slow{fusedProvider: p, write: 5 * time.Second}, &now}
		}
		r.start()
		r.resize(1)
		r.after(21 * time.Second) // its verification has failed, and will be tried again three seconds later
		now.Store(false)
		m := r.expect(Pending, 1)[0]
		if _, err := r.pool.SetServiceState(t.Context(), string(m.ID), InService, false); err != nil {
			t.Error(err)
		}
		r.after(2 * time.Minute)
		r.expect(Running, 1)
	})
}

func TestARestampedCloneThatWasCancelledIsDestroyed(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.crash()
		r.wrap = func(p fusedProvider) Provider { return restamped{p} }
		r.start()
		r.resize(1)
		r.after(5 * time.Second)
		if _, err := r.pool.Terminate(t.Context(), string(r.expect(Requested, 1)[0].ID), true); err != nil {
			t.Fatal(err)
		}
		r.after(5 * time.Minute)
		if r.world.count() != 0 {
			t.Error("the clone is left behind")
		}
	})
}

func TestAVCenterThatHangsIsAnOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.crash()
		r.config = document + "poolFetch: {refreshInterval: 5s, reachabilityTimeout: 15s}\n"
		var hang atomic.Int64
		r.wrap = func(p fusedProvider) Provider { return hanging{p, &hang} }
		r.start()
		hang.Store(int64(time.Hour))
		r.after(21 * time.Second)
		if _, err := r.pool.View(t.Context()); KindOf(err) != Unavailable {
			t.Errorf("%v", err)
		}
		if st, _ := r.pool.Status(t.Context()); !strings.Contains(st.Outage, "last read") {
			t.Errorf("%+v", st)
		}
	})
}

// hanging does not answer sweeps and events for a while.
type hanging struct {
	fusedProvider
	pause *atomic.Int64
}

func (p hanging) Sweep(ctx context.Context, elsewhere []vsphere.Ref) (vsphere.Inventory, error) {
	if err := p.wait(ctx, time.Duration(p.pause.Load())); err != nil {
		return vsphere.Inventory{}, err
	}
	return p.fusedProvider.Sweep(ctx, elsewhere)
}

func (p hanging) Hints(ctx context.Context) ([]vsphere.Ref, error) {
	if err := p.wait(ctx, time.Duration(p.pause.Load())); err != nil {
		return nil, err
	}
	return p.fusedProvider.Hints(ctx)
}
