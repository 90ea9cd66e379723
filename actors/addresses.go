package actors

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

// addressing is what is known of the addresses that a machine's guest shows. A guest that boots shows some before it has settled, and
// one that runs loses them for a moment when it renews a lease, so a list counts only when it was shown twice in a row. A value.
type addressing struct {
	// held is the list that counts, seen the one shown last, at that time.
	held, seen []string
	at         time.Time
	// given are those of the list that counts that no other machine had before.
	given []string
}

// settle takes in what the guest shows. Observations that were overtaken by later ones say nothing.
func (a addressing) settle(shown []string, at time.Time) addressing {
	if !at.After(a.at) {
		return a
	}
	if !a.at.IsZero() && slices.Equal(shown, a.seen) {
		a.held = shown
	}
	a.seen, a.at = shown, at
	return a
}

// open says whether the guest showed something else than what counts, so that a second look is due.
func (a addressing) open() bool { return !a.at.IsZero() && !slices.Equal(a.held, a.seen) }

// tenant is a machine that has addresses.
type tenant struct {
	id    vsphere.MachineID
	name  string
	since time.Time
	has   []string
}

// tenancy finds the tenant of each address. If two have it, the older one counts.
func tenancy(tenants []tenant) map[string]tenant {
	by := map[string]tenant{}
	for _, t := range tenants {
		for _, address := range t.has {
			if other, taken := by[address]; !taken || t.before(other) {
				by[address] = t
			}
		}
	}
	return by
}

func (t tenant) before(other tenant) bool {
	return cmp.Or(t.since.Compare(other.since), cmp.Compare(t.id, other.id)) < 0
}

// divide leaves a machine those addresses that no other has, and says what is wrong if one has: two guests with one address answer in
// turns, and the older one was there first.
func divide(shown []string, id vsphere.MachineID, tenantOf func(string) (tenant, bool)) (own []string, conflict string) {
	for _, address := range shown {
		other, taken := tenantOf(address)
		switch {
		case !taken || other.id == id:
			own = append(own, address)
		case conflict == "":
			conflict = fmt.Sprintf("address %s is already %s's: see that the image makes its own machine-id and DHCP identity",
				address, other.name)
		}
	}
	return own, conflict
}

// tenanted says whether a machine in the phase has its addresses still: from its power-on until it is off.
func (p phase) tenanted() bool {
	switch p {
	case booting, running, retiring, stopping, draining, halting:
		return true
	default:
		return false
	}
}

// tenants are the members' addresses, as the next observations are to be measured by.
func (s *supervisor) tenants() map[string]tenant {
	var all []tenant
	for _, seat := range s.seats {
		if has := seat.has(); len(has) > 0 && seat.rec.Phase.tenanted() {
			all = append(all, tenant{seat.rec.ID, seat.rec.Name, seat.rec.since(), has})
		}
	}
	return tenancy(all)
}

// tenantOf is the machine that has an address now: who had it when the tenants were counted may have left since.
func (s *supervisor) tenantOf(address string) (tenant, bool) {
	t, known := s.sight.tenants[address]
	if !known {
		return tenant{}, false
	}
	seat := s.seats[t.id]
	if seat == nil || !seat.rec.Phase.tenanted() || !slices.Contains(seat.has(), address) {
		return tenant{}, false
	}
	return t, true
}

func (r record) since() time.Time {
	if r.Launched.IsZero() {
		return r.Requested
	}
	return r.Launched
}

// has are the member's addresses: what it was given, or, until it is seen for the first time, what its record says.
func (s *seat) has() []string {
	if s.addresses.at.IsZero() {
		return s.rec.IPs
	}
	return s.addresses.given
}

// show passes an observation on to a member, with the addresses that count; most tell nothing new, and are not worth a message.
func (s *supervisor) show(ctx actor.Context, seat *seat, o observed) {
	if o.vm.Connected {
		o = s.withAddresses(seat, o)
	}
	o.frozen = s.held.freezing
	repeats := o.at.Sub(seat.shown) < bootNews && seat.rec.boots(o, s.settings())
	if !repeats && !seat.rec.expects(o, s.config.Name) {
		seat.shown = o.at
		ctx.Send(seat.pid, o)
	}
}

// bootNews is how often a machine that boots is shown that it is not ready yet: it is looked at more often than its deadline needs.
const bootNews = 500 * time.Millisecond

func (s *supervisor) withAddresses(seat *seat, o observed) observed {
	a := seat.addresses
	if a.at.IsZero() {
		a.held = seat.rec.IPs
	}
	a = a.settle(o.vm.IPs, o.at)
	a.given, o.conflict = divide(a.held, seat.rec.ID, s.tenantOf)
	if a.open() {
		o.conflict = seat.rec.Conflict
	}
	for _, address := range a.given {
		if _, taken := s.tenantOf(address); !taken && seat.rec.Phase.tenanted() {
			s.sight.tenants[address] = tenant{seat.rec.ID, seat.rec.Name, seat.rec.since(), a.given}
		}
	}
	seat.addresses, o.vm.IPs = a, a.given
	s.attend(seat)
	return o
}
