package vsphere

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// sightAge is how old a reading of datastores and hosts may be to serve another clone: those that start together share one.
const sightAge = 5 * time.Second

// books are a ledger that several clients may use: a client ends with each change of the configuration, and its clones go on.
type books struct {
	mu     sync.Mutex
	ledger ledger
}

// booksOf are those of a vCenter: managed object ids mean something else in another one.
func (k *Connector) booksOf(vCenter string) *books {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.books == nil {
		k.books = map[string]*books{}
	}
	if k.books[vCenter] == nil {
		k.books[vCenter] = newBooks()
	}
	return k.books[vCenter]
}

func newBooks() *books { return &books{ledger: newLedger()} }

// launcher is what the clones of one client know of each other.
type launcher struct {
	*books

	looking turn     // guards seen, and makes one reading of several
	seen    prospect // the last reading

	// cluster is the turn of the datastore cluster: between a recommendation and the clone that takes it nobody else asks, for the same
	// datastore would be recommended again.
	cluster turn
}

func newLauncher() *launcher {
	return &launcher{books: newBooks(), looking: make(turn, 1), cluster: make(turn, 1)}
}

// sight is the last reading of the places, or a new one by read.
func (l *launcher) sight(ctx context.Context, read func(context.Context) (prospect, error)) (prospect, error) {
	if err := l.looking.take(ctx); err != nil {
		return prospect{}, err
	}
	defer l.looking.leave()
	asked := time.Now()
	if l.seen.stores != nil && asked.Sub(l.seen.at) < sightAge {
		return l.seen, nil
	}
	p, err := read(ctx)
	if err == nil {
		p.at = asked
		l.seen = p
	}
	return p, err
}

// settled says that a single datastore needs no look: vCenter tells if it is full. One that did is looked at for a while.
func (l *launcher) settled(w wish) bool {
	if len(w.stores) != 1 || len(w.hosts) > 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, avoided := l.ledger.avoids(w.stores[0], time.Now())
	return !avoided
}

// reserve chooses a place and promises it.
func (l *launcher) reserve(id MachineID, w wish, p prospect) (spot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.ledger.release(id)
	s, err := l.ledger.choose(w, p, now)
	if err == nil {
		l.ledger.reserve(id, s, w.needs, now)
	}
	return s, err
}

// pick chooses a place without a promise.
func (l *launcher) pick(w wish, p prospect) (spot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ledger.choose(w, p, time.Now())
}

// follow takes the first of the datastores that were recommended, in their order, and promises it.
func (l *launcher) follow(id MachineID, on types.ManagedObjectReference, w wish, p prospect) (spot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	store, err := l.ledger.first(w, p, now)
	s := spot{store: store, host: on}
	if err == nil {
		l.ledger.reserve(id, s, w.needs, now)
	}
	return s, err
}

// hold promises a place that was not a matter of choice.
func (l *launcher) hold(id MachineID, s spot, needs footprint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ledger.reserve(id, s, needs, time.Now())
}

// release takes a promise back before anything was asked of vCenter.
func (l *launcher) release(id MachineID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ledger.release(id)
}

// launched learns from the answer to a clone call, and says whether another place is worth a try. A call without an answer may have had
// its effect, so its promise stays.
func (l *launcher) launched(id MachineID, t Task, s spot, err error) (elsewhere bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.ledger.start(id, t)
	case faultOf(err) != nil:
		l.ledger.release(id)
	}
	return l.blame(s, err)
}

// ended learns from the end of a clone task. That the caller did not wait for it, or vCenter could not be asked, is no end.
func (l *launcher) ended(t Task, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil || faultOf(err) != nil || KindOf(err) == NotFound {
		l.blame(l.ledger.settle(t, err == nil, time.Now()), err)
	}
}

// blame avoids the datastore or the host that a clone failed of.
func (l *launcher) blame(s spot, err error) bool {
	switch {
	case s.store != (types.ManagedObjectReference{}) && full(err):
		l.ledger.avoid(s.store, time.Now())
	case s.host != (types.ManagedObjectReference{}) && unfit(err):
		l.ledger.avoid(s.host, time.Now())
	default:
		return false
	}
	return true
}

// full says that a datastore had no room.
func full(err error) bool {
	return causedBy(err, fault[types.NoDiskSpace](), fault[types.InsufficientStorageSpace]())
}

// unfit says that a host is in no state to take a VM: in maintenance, disconnected, not responding.
func unfit(err error) bool {
	return causedBy(err, fault[types.InvalidHostState](), fault[types.HostCommunication]())
}

// causedBy says whether err carries one of the named faults, or one that extends it, itself or as a cause of its fault.
func causedBy(err error, names ...string) bool {
	for f := faultOf(err); f != nil; {
		for _, name := range names {
			if slices.Contains(lineage(f), name) {
				return true
			}
		}
		cause := f.GetMethodFault().FaultCause
		if cause == nil {
			return false
		}
		f = cause.Fault
	}
	return false
}
