package actors

import (
	"strings"
	"testing"
	"time"

	"vspherepool/vsphere"
)

// doubted is the member's error, if it is that vCenter does not know its VM.
func (r *rig) doubted(id vsphere.MachineID) bool {
	r.t.Helper()
	for _, m := range r.machines() {
		if m.ID == id {
			return m.State == Running && strings.Contains(m.Metadata.Error, "does not know its VM")
		}
	}
	return false
}

// take takes a VM away, and returns what puts it back.
func (w *world) take(ref vsphere.Ref) (back func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	vm := w.vms[ref]
	delete(w.vms, ref)
	w.hints = append(w.hints, ref)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.vms[ref] = vm
	}
}

// TestADoubtIsShownBeforeItIsSettled has a vCenter whose sweeps take ten seconds, so that proving a VM gone takes twenty.
func TestADoubtIsShownBeforeItIsSettled(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(2)
		r.after(time.Minute)
		ms := r.expect(Running, 2)
		r.crash()
		r.wrap = func(p fusedProvider) Provider { return slow{fusedProvider: p, sweep: 10 * time.Second} }
		r.start()
		r.after(time.Minute)

		r.world.take(vsphere.Ref(ms[0].Metadata.VM))
		back := r.world.take(vsphere.Ref(ms[1].Metadata.VM))
		r.after(time.Second)
		for _, m := range ms {
			if !r.doubted(m.ID) {
				t.Errorf("nothing is shown after a second: %+v", r.machines())
			}
		}
		clones := r.world.clones()
		back()
		r.after(5 * time.Second)
		if r.world.clones() != clones {
			t.Error("a doubt was taken for a proof")
		}
		r.after(time.Minute)
		if r.doubted(ms[1].ID) || len(r.expect(Running, 2)) != 2 {
			t.Errorf("one was put back, the other one had to be replaced: %+v", r.machines())
		}
		if n := len(r.in(Terminated)); n != 1 {
			t.Errorf("%d are given up", n)
		}
	})
}
