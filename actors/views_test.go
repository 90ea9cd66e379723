package actors

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"pgregory.net/rapid"

	"vspherepool/vsphere"
)

// audited is a supervisor whose views and leases are compared, after each message, with what would be made from scratch.
type audited struct {
	*supervisor
	t        testing.TB
	messages int
}

// audit is how a supervisor becomes an audited one.
func audit(t testing.TB) func(*supervisor) actor.Actor {
	return func(s *supervisor) actor.Actor { return &audited{supervisor: s, t: t} }
}

// auditAll is the number of members up to which every message is followed by an audit, auditSome how many go unaudited in larger pools.
const (
	auditAll  = 50
	auditSome = 97
)

func (a *audited) Receive(ctx actor.Context) {
	a.supervisor.Receive(ctx)
	if a.messages++; len(a.seats) > auditAll && a.messages%auditSome > 0 {
		return
	}
	if err := a.unsound(); err != nil {
		a.t.Errorf("after %T: %v", ctx.Message(), err)
	}
}

// unsound says how the supervisor's views differ from what its seats show.
func (s *supervisor) unsound() error {
	v := &s.views
	ids := maps.Clone(v.shown)
	for id := range s.seats {
		ids[id] = v.shown[id]
	}
	for id, shown := range ids {
		if now := s.seats[id].machine(); !v.has(id) && !reflect.DeepEqual(shown, now) {
			return fmt.Errorf("machine %s is shown as %+v, and is %+v", id, shown, now)
		}
	}
	if err := cmp.Or(v.misplaced(), s.misaligned()); err != nil {
		return err
	}
	return s.misleading()
}

// misaligned says whether the planner would see other members than there are.
func (s *supervisor) misaligned() error {
	for _, m := range s.members() {
		if seat := s.seats[m.rec.ID]; seat == nil || &seat.member != m {
			return fmt.Errorf("machine %s has no seat, or another one", m.rec.ID)
		}
	}
	if len(s.lineup) != len(s.seats) {
		return fmt.Errorf("%d members of %d are lined up", len(s.lineup), len(s.seats))
	}
	return nil
}

func (v *views) has(id vsphere.MachineID) bool {
	_, touched := v.touched[id]
	return touched
}

// misplaced says whether the machines are not those that are shown, in their order.
func (v *views) misplaced() error {
	want := slices.SortedFunc(maps.Values(v.shown), (*Machine).Compare)
	if !slices.Equal(want, v.machines) {
		return fmt.Errorf("%d machines are not in their places, of %d", len(v.machines), len(want))
	}
	allocated, active := 0, 0
	for _, m := range want {
		if m.State.Allocated() {
			allocated++
			if m.Membership.Active {
				active++
			}
		}
	}
	if allocated != v.allocated || active != v.active {
		return fmt.Errorf("%d machines are allocated and %d active, and are counted as %d and %d", allocated, active, v.allocated, v.active)
	}
	return nil
}

// misleading says how the answer that stands differs from what would be answered now.
func (s *supervisor) misleading() error {
	l := s.views.lease
	if l == nil || !l.holds() {
		return nil
	}
	desired, known := s.desired()
	switch size := l.view.Size; {
	case s.leaving || s.draining || !known || !s.pool.Started || s.readable() != nil:
		return fmt.Errorf("readers are told %+v, and nobody should be told anything", size)
	case size.Desired != desired || size.Requested != *s.pool.Desired || !size.Observed.Equal(s.sight.observed):
		return fmt.Errorf("readers are told %+v, of %d desired at %s", size, desired, s.sight.observed)
	case len(s.views.touched) > 0 || !slices.Equal(l.view.Machines, s.views.machines):
		return errors.New("readers are shown machines that may have changed")
	}
	return nil
}

// Whatever becomes of the members: a view made of what has changed is the one made from scratch, members that have not changed are the
// same pointers, and views that were given away are what they were.
func TestViewsAreAmended(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &viewHistory{s: crowdOf(0)}
		t.Repeat(map[string]func(*rapid.T){
			"come":   h.come,
			"change": h.change,
			"leave":  h.leave,
			"lose":   h.lose,
			"read":   h.read,
			"settle": func(*rapid.T) { h.s.renew() },
			"": func(t *rapid.T) {
				if err := h.s.unsound(); err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}

// viewHistory is a supervisor without actors, and the views that it gave.
type viewHistory struct {
	s     *supervisor
	given []View
	// were are the machines of the views that were given, at that time.
	were [][]Machine
}

func crowdOf(n int) *supervisor {
	s := &supervisor{seats: map[vsphere.MachineID]*seat{}, followed: map[vsphere.MachineID]*seat{}, views: newViews(time.Now())}
	for i := range n {
		s.seat(memberRecord(i))
	}
	return s
}

var someRecord = rapid.Custom(func(t *rapid.T) record {
	r := memberRecord(rapid.IntRange(0, 30).Draw(t, "id"))
	r.Requested = r.Requested.Truncate(time.Duration(rapid.IntRange(1, 30).Draw(t, "requested")) * time.Second)
	r.Phase = rapid.SampledFrom(slices.Sorted(maps.Keys(phases))).Draw(t, "phase")
	r.Status.Active, r.Status.Hold = rapid.Bool().Draw(t, "active"), rapid.Bool().Draw(t, "hold")
	r.CPUs = rapid.IntRange(0, 2).Draw(t, "cpus")
	return r
})

func (h *viewHistory) come(t *rapid.T) { h.s.seat(someRecord.Draw(t, "record")) }

func (h *viewHistory) change(t *rapid.T) {
	r := someRecord.Draw(t, "record")
	if seat := h.s.seats[r.ID]; seat != nil {
		h.s.note(seat, r)
	}
}

func (h *viewHistory) leave(t *rapid.T) { h.s.unseat(someRecord.Draw(t, "record").ID) }

func (h *viewHistory) lose(t *rapid.T) {
	r := someRecord.Draw(t, "record")
	if seat := h.s.seats[r.ID]; seat != nil {
		seat.unknown = rapid.Bool().Draw(t, "unknown")
		h.s.views.touch(r.ID)
	}
}

func (h *viewHistory) read(t *rapid.T) {
	before := h.s.views.view
	now := h.s.view()
	if err := identities(before, now); err != nil {
		t.Fatal(err)
	}
	h.given, h.were = append(h.given, now), append(h.were, values(now))
	for i, v := range h.given {
		if !reflect.DeepEqual(values(v), h.were[i]) {
			t.Fatalf("view %d has changed", v.Version)
		}
	}
}

// identities says what is wrong with what two successive views share.
func identities(before, now View) error {
	old := map[vsphere.MachineID]*Machine{}
	for _, m := range before.Machines {
		old[m.ID] = m
	}
	same := len(before.Machines) == len(now.Machines) && before.Size == now.Size
	for _, m := range now.Machines {
		was := old[m.ID]
		if was != m {
			same = false
			if was != nil && reflect.DeepEqual(was, m) {
				return fmt.Errorf("machine %s is another one without having changed", m.ID)
			}
		}
	}
	if (before.Version == now.Version) != (same && before.Version > 0) {
		return fmt.Errorf("version %d after %d, the same content: %t", now.Version, before.Version, same)
	}
	return nil
}
