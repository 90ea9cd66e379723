package vsphere

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// headroom stays free on every datastore (as bosh-vsphere-cpi leaves it): VMs that are there already need room for swap, logs and
// snapshots, and stop when they find none.
const headroom = 1 << 30

// wish is what a clone asks of its place.
type wish struct {
	// stores are the datastores to choose from, best first where all else is equal.
	stores []types.ManagedObjectReference
	// hosts are the hosts to choose from; none leaves the choice to DRS.
	hosts []types.ManagedObjectReference
	// parents are the datastores that a host must also reach: those with the disks that a linked clone shares.
	parents []types.ManagedObjectReference
	needs   footprint
	// only says that there is one datastore and no other to spare it for: that it was full a while ago does not matter, its free space
	// tells when it can be used again.
	only bool
}

// prospect is what vCenter said of datastores and hosts.
type prospect struct {
	// at is when it was asked for.
	at     time.Time
	stores map[types.ManagedObjectReference]store
	hosts  map[types.ManagedObjectReference]host
}

// store is a datastore; refusal says why it takes no machine whatever its size, and nothing if it does.
type store struct {
	name    string
	free    int64
	refusal string
}

// host is a host with the datastores that it mounts.
type host struct {
	name    string
	refusal string
	stores  []types.ManagedObjectReference
}

// choose finds a clone its place: the host with the fewest machines of those that can take one, and of its datastores the one with the
// most space that is neither used nor promised. Kinds: Storage if no datastore has room, Capacity if no host takes a machine.
func (l *ledger) choose(w wish, p prospect, now time.Time) (spot, error) {
	if len(w.hosts) == 0 {
		best, ok := l.roomiest(w, w.stores, p, now)
		if !ok {
			return spot{}, l.noStore(w, p, now)
		}
		return spot{store: best}, nil
	}
	usable := 0
	for _, ref := range l.idlest(w.hosts) {
		if l.hostRefusal(w, ref, p, now) != "" {
			continue
		}
		usable++
		if best, ok := l.roomiest(w, common(w.stores, p.hosts[ref].stores), p, now); ok {
			return spot{store: best, host: ref}, nil
		}
	}
	if usable > 0 {
		return spot{}, l.noStore(w, p, now)
	}
	return spot{}, l.noHost(w, p, now)
}

// roomiest is the datastore with the most space left of those that have enough; the first of equals.
func (l *ledger) roomiest(
	w wish, from []types.ManagedObjectReference, p prospect, now time.Time,
) (best types.ManagedObjectReference, found bool) {
	var most int64
	for _, ref := range from {
		left := p.stores[ref].free - l.promised(ref, p.at, now)
		if l.storeRefusal(w, ref, p, now) == "" && (!found || left > most) {
			best, most, found = ref, left, true
		}
	}
	return best, found
}

// storeRefusal says why a datastore does not take the clone; empty if it does.
func (l *ledger) storeRefusal(w wish, ref types.ManagedObjectReference, p prospect, now time.Time) string {
	s, known := p.stores[ref]
	promised := l.promised(ref, p.at, now)
	until, avoided := l.avoids(ref, now)
	switch {
	case !known:
		return "does not exist any more"
	case s.refusal != "":
		return s.refusal
	case avoided && !w.only:
		return "was full, and is left alone until " + until.Format(time.TimeOnly)
	case s.free-promised-w.needs.total() < headroom:
		return fmt.Sprintf("has %s free, %s of that promised to machines being made", gib(s.free), gib(promised))
	}
	return ""
}

// first is the first of the datastores that takes the clone, for a choice that was made elsewhere and is only held against the ledger. One
// that was not seen yet has joined since, and is trusted.
func (l *ledger) first(w wish, p prospect, now time.Time) (types.ManagedObjectReference, error) {
	for _, ref := range w.stores {
		if _, known := p.stores[ref]; !known || l.storeRefusal(w, ref, p, now) == "" {
			return ref, nil
		}
	}
	return types.ManagedObjectReference{}, l.noStore(w, p, now)
}

func (l *ledger) hostRefusal(w wish, ref types.ManagedObjectReference, p prospect, now time.Time) string {
	h, known := p.hosts[ref]
	until, avoided := l.avoids(ref, now)
	switch {
	case !known:
		return "does not exist any more"
	case h.refusal != "":
		return h.refusal
	case avoided:
		return "refused a machine, and is left alone until " + until.Format(time.TimeOnly)
	case len(common(w.parents, h.stores)) < len(w.parents):
		return "does not reach the template's datastore, where the disks are that a linked clone shares"
	case len(common(w.stores, h.stores)) == 0:
		return "reaches none of the datastores"
	}
	return ""
}

// idlest are the hosts with those first that were given the fewest machines; equals stay in order.
func (l *ledger) idlest(hosts []types.ManagedObjectReference) []types.ManagedObjectReference {
	return slices.SortedStableFunc(slices.Values(hosts), func(a, b types.ManagedObjectReference) int {
		return cmp.Compare(l.load[a], l.load[b])
	})
}

func (l *ledger) noStore(w wish, p prospect, now time.Time) error {
	var reasons []string
	for _, ref := range w.stores {
		name := cmp.Or(p.stores[ref].name, ref.Value)
		reasons = append(reasons, name+" "+cmp.Or(l.storeRefusal(w, ref, p, now), "is out of the hosts' reach"))
	}
	return &Error{
		Kind: Storage,
		Err: fmt.Errorf("no datastore has room for a machine of %s and %s of headroom: %s", gib(w.needs.total()), gib(headroom),
			strings.Join(reasons, "; ")),
		Hint: "free space, or add a datastore",
	}
}

func (l *ledger) noHost(w wish, p prospect, now time.Time) error {
	var reasons []string
	for _, ref := range w.hosts {
		reasons = append(reasons, cmp.Or(p.hosts[ref].name, ref.Value)+" "+l.hostRefusal(w, ref, p, now))
	}
	return &Error{
		Kind: Capacity, Err: errors.New("no host takes a machine: " + strings.Join(reasons, "; ")),
		Hint: "bring one back, or add one to hosts",
	}
}

func common(a, b []types.ManagedObjectReference) []types.ManagedObjectReference {
	return slices.DeleteFunc(slices.Clone(a), func(ref types.ManagedObjectReference) bool { return !slices.Contains(b, ref) })
}
