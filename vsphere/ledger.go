package vsphere

import (
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

const (
	// avoidance is how long a datastore that was full, or a host that was in the wrong state, is not tried again.
	avoidance = 10 * time.Minute
	// promiseLimit ends the promise of a clone of which nothing more is heard. Clones have been seen to take an hour.
	promiseLimit = 2 * time.Hour
	// freeSpaceLag is how much older than it looks vCenter's free space may be: vCenter refreshes it after an operation, not with it.
	freeSpaceLag = 30 * time.Second
	// swapLag is how long after the end of its clone a machine may take to be powered on, which makes its swap file.
	swapLag = 2 * time.Minute
)

// spot is where a clone goes. Without a host DRS chooses one.
type spot struct {
	store, host types.ManagedObjectReference
}

// promise is what one clone was promised.
type promise struct {
	spot  spot
	needs footprint
	// made is when the promise was made; ended when the clone was done, zero before.
	made, ended time.Time
}

// claim is how much of the promise a free space that was read at read does not show yet. While a clone runs all of it counts, though a
// part may be written already: how much nobody tells, and too much room is better than a full datastore.
func (p promise) claim(read, now time.Time) int64 {
	switch {
	case p.ended.IsZero() && now.Before(p.made.Add(promiseLimit)), !p.ended.IsZero() && read.Before(p.ended.Add(freeSpaceLag)):
		return p.needs.total()
	case !p.ended.IsZero() && now.Before(p.ended.Add(swapLag)):
		return p.needs.swap
	}
	return 0
}

// over says that the promise will never count again: every reading from now on shows what it was about.
func (p promise) over(now time.Time) bool {
	if p.ended.IsZero() {
		return !now.Before(p.made.Add(promiseLimit))
	}
	return !now.Before(p.ended.Add(swapLag))
}

// ledger is what is known of the clones in flight that vCenter does not show: what they were promised, and which datastores and hosts
// refused some. It is not safe for concurrent use, see [launcher].
type ledger struct {
	promises map[MachineID]promise
	tasks    map[Task]MachineID
	// load counts the machines that each host was given, in flight or made.
	load map[types.ManagedObjectReference]int
	// avoided are datastores and hosts that refused, and until when they are let alone.
	avoided map[types.ManagedObjectReference]time.Time
}

func newLedger() ledger {
	return ledger{
		promises: map[MachineID]promise{}, tasks: map[Task]MachineID{},
		load: map[types.ManagedObjectReference]int{}, avoided: map[types.ManagedObjectReference]time.Time{},
	}
}

// reserve promises a place to a machine. A machine has one promise: a clone that is tried again takes its place anew.
func (l *ledger) reserve(id MachineID, s spot, needs footprint, now time.Time) {
	l.release(id)
	l.expire(now)
	l.promises[id] = promise{spot: s, needs: needs, made: now}
	l.load[s.host]++
}

// release takes back the promise of a clone that was refused or failed: vCenter removes the files of those.
func (l *ledger) release(id MachineID) {
	p, known := l.promises[id]
	if !known {
		return
	}
	delete(l.promises, id)
	if p.ended.IsZero() {
		l.load[p.spot.host]--
	}
}

// start notes by which task a promise is kept.
func (l *ledger) start(id MachineID, t Task) { l.tasks[t] = id }

// settle notes that a task has ended, well or not, and is the spot of its clone; zero if the task is not known.
func (l *ledger) settle(t Task, well bool, now time.Time) spot {
	id, known := l.tasks[t]
	p := l.promises[id]
	delete(l.tasks, t)
	switch {
	case !known || !p.ended.IsZero():
	case well && !p.made.IsZero():
		p.ended = now
		l.promises[id] = p
	default:
		l.release(id)
	}
	return p.spot
}

// expire drops what does not count any more.
func (l *ledger) expire(now time.Time) {
	for id, p := range l.promises {
		if p.over(now) {
			delete(l.promises, id)
		}
	}
	for t, id := range l.tasks {
		if _, promised := l.promises[id]; !promised {
			delete(l.tasks, t)
		}
	}
	for ref, until := range l.avoided {
		if !now.Before(until) {
			delete(l.avoided, ref)
		}
	}
}

// promised is how many bytes of a datastore are spoken for that a free space read at read still counts as free.
func (l *ledger) promised(store types.ManagedObjectReference, read, now time.Time) int64 {
	var sum int64
	for _, p := range l.promises {
		if p.spot.store == store {
			sum += p.claim(read, now)
		}
	}
	return sum
}

// avoid keeps clones away from a datastore or host for a while.
func (l *ledger) avoid(ref types.ManagedObjectReference, now time.Time) {
	l.avoided[ref] = now.Add(avoidance)
}

// avoids is until when a datastore or host is avoided; false if it is not.
func (l *ledger) avoids(ref types.ManagedObjectReference, now time.Time) (until time.Time, yes bool) {
	until, yes = l.avoided[ref]
	return until, yes && now.Before(until)
}
