package vsphere

import (
	"slices"
	"sync"
	"time"
)

// departureSpell is how long nothing is worth telling of a VM since its end was last worked on: events arrive seconds late at most.
const departureSpell = time.Minute

// departures are the VMs that the pool itself is taking away. What becomes of them is known from their tasks, so that the events of their
// end are no news: to look at each of them would cost as much as their end does. The zero value is ready.
type departures struct {
	mu    sync.Mutex
	since map[Ref]time.Time
}

// note takes in that the end of a VM is being worked on, or that this failed: then anything may become of it.
func (d *departures) note(ref Ref, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		delete(d.since, ref)
		return
	}
	if d.since == nil {
		d.since = map[Ref]time.Time{}
	}
	d.since[ref] = time.Now()
}

// without are the VMs that something else may have happened to.
func (d *departures) without(refs []Ref) []Ref {
	d.mu.Lock()
	defer d.mu.Unlock()
	for ref, since := range d.since {
		if time.Since(since) >= departureSpell {
			delete(d.since, ref)
		}
	}
	return slices.DeleteFunc(refs, func(ref Ref) bool {
		_, leaves := d.since[ref]
		return leaves
	})
}
