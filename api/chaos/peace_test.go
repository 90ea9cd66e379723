package chaos

import (
	"encoding/json"
	"net/http"
	"time"
)

// peace ends all trouble, and then the pool has to get where it should be.
func (w *world) peace() {
	w.book.say("peace")
	w.revive()
	w.process.fuse.arm(0)
	w.network.calm()
	w.disk.fill(false)
	w.note(&w.troubled)
	time.Sleep(time.Minute)
	c := w.model.config[0]
	c.Ceiling = 0
	for _, order := range []call{{Op: "configure", Settings: &c}, {Op: "start"}, {Op: "thaw"}} {
		if !w.insist(order) {
			return
		}
	}
	if !w.settles() {
		return
	}
	time.Sleep(20 * time.Minute) // retention
	w.legacy()
}

// insist repeats an order until it is acknowledged: vCenter is fine, so that has to be soon.
func (w *world) insist(c call) bool {
	var last *request
	for range 20 {
		calls := w.resolve([]call{c})
		last = calls[0]
		w.model.begin(calls)
		last.answer = w.process.send(last.method, last.path, last.body)
		w.book.say("%s -> %d %s", last, last.answer.Status, last.answer.Body)
		w.model.end(calls, false)
		if last.answer.ok() {
			return true
		}
		time.Sleep(30 * time.Second)
	}
	w.book.violation(convergence, "%s is not acknowledged although all is well: %d %s", last, last.answer.Status, last.answer.Body)
	return false
}

// longest is how long the pool may take, with failed launches backed off for minutes and at most one machine replaced at a time.
const longest = 3 * time.Hour

// settles waits until the pool is what it should be.
func (w *world) settles() bool {
	began := time.Now()
	var s snapshot
	for time.Since(began) < longest && !w.book.failed() {
		s = w.observe()
		if s.readable && w.settled(s) {
			w.book.say("settled after %s", time.Since(began))
			return true
		}
		time.Sleep(time.Minute)
	}
	if !w.book.failed() {
		w.book.violation(convergence, "after %s of peace the size is %+v, the status %+v, the machines %+v", longest, s.size, s.status,
			s.pool.Machines)
	}
	return false
}

// settled says whether nothing is left to do: active is desired, or as near as protected machines allow.
func (w *world) settled(s snapshot) bool {
	blessed := 0
	for _, d := range s.pool.Machines {
		switch {
		case d.MachineState == "REQUESTED" || d.MachineState == "PENDING" || d.MachineState == "TERMINATING":
			return false
		case d.allocated() && d.MembershipStatus.Active && !d.MembershipStatus.Evictable:
			blessed++
		}
	}
	return s.size.Active == max(s.size.DesiredSize, blessed)
}

// legacy checks what is left: members and nothing else, and that it stays so.
func (w *world) legacy() {
	s := w.observe()
	if !s.readable || !w.settled(s) {
		w.book.violation(convergence, "the pool did not stay settled: %+v %+v", s.size, s.pool.Machines)
		return
	}
	members := map[string]bool{}
	for _, d := range s.pool.Machines {
		if !d.allocated() {
			w.book.violation(convergence, "machine %s is still listed as %s: %v", d.ID, d.MachineState, d.Metadata)
		}
		members[d.ID] = true
	}
	w.spy.census()
	orphans := w.orphans()
	for _, vm := range w.spy.ours() {
		id := vm.machine()
		switch {
		case members[id]:
			delete(members, id)
		case w.model.hasEnded(id, time.Now()):
			w.book.violation(durability, "machine %s was terminated and still has the VM %s", id, vm.ref.Value)
		case !orphans[vm.ref.Value] && vm.folder == w.spy.folder:
			w.book.violation(convergence, "VM %s is left of machine %s, and nobody reports it", vm.ref.Value, id)
		case !w.model.mayBeOrphaned(id) && w.eyes.lost.IsZero() && !w.network.hid:
			w.book.violation(convergence, "VM %s is left of machine %s, which nobody protected or attached", vm.ref.Value, id)
		}
	}
	for id := range members {
		w.book.violation(convergence, "machine %s has no VM", id)
	}
	w.untouched()
}

// orphans are the VMs that the pool reports as such.
func (w *world) orphans() map[string]bool {
	var doc struct{ Orphans []struct{ VM, Reason string } }
	a := w.process.send(http.MethodGet, "/pool/orphans", "")
	_ = json.Unmarshal(a.Body, &doc)
	refs := map[string]bool{}
	for _, o := range doc.Orphans {
		refs[o.VM] = true
		if o.Reason == "" {
			w.book.violation(reasons, "orphan %s is reported without a reason", o.VM)
		}
	}
	return refs
}

// untouched checks that machines that were detached still have their VMs, unless an administrator removed them.
func (w *world) untouched() {
	w.model.mu.Lock()
	defer w.model.mu.Unlock()
	for ref, id := range w.model.released {
		k := w.model.machines[id]
		if _, there := w.spy.look(refOf(ref)); !there && !w.admin.destroyed[ref] && k.let {
			w.book.violation(durability, "VM %s of machine %s, which was detached, is gone", ref, id)
		}
	}
}
