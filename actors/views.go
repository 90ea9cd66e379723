package actors

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"time"

	"vspherepool/vsphere"
)

// views keeps the immutable view that readers get. A new one, made when somebody asks after a change, costs a look at the members that
// have changed and a copy of the pointers to the others.
type views struct {
	epoch   string
	version uint64
	view    View
	// touched are the members that may look different by now. Every change of a seat, and of which seats there are, adds to them.
	touched map[vsphere.MachineID]struct{}
	// shown are the members as they looked when touched was empty, machines the same in the order of the view, never written to.
	shown    map[vsphere.MachineID]*Machine
	machines []*Machine
	// amended says that machines are not the last view's, allocated and active count them.
	amended           bool
	allocated, active int
	// lease is the answer that readers may give themselves; nil: none.
	lease *lease
}

func newViews(begun time.Time) views {
	return views{
		epoch:   strconv.FormatInt(begun.UnixNano(), 36),
		touched: map[vsphere.MachineID]struct{}{},
		shown:   map[vsphere.MachineID]*Machine{},
	}
}

// touch notes that a member may have changed, come or gone.
func (v *views) touch(id vsphere.MachineID) { v.touched[id] = struct{}{} }

// settle looks at the members that may have changed.
func (v *views) settle(seats map[vsphere.MachineID]*seat) {
	if len(v.touched) == 0 {
		return
	}
	var edits []edit
	for id := range v.touched {
		edits = append(edits, v.editsOf(v.shown[id], seats[id].machine())...)
	}
	clear(v.touched)
	if len(edits) > 0 {
		v.machines, v.amended = amend(v.machines, edits), true
	}
}

// editsOf are what turns a member as it was shown into what it is now, either of them nil if there is none.
func (v *views) editsOf(old, now *Machine) []edit {
	if old == nil && now == nil || old != nil && now != nil && reflect.DeepEqual(old, now) {
		return nil
	}
	var edits []edit
	if old != nil {
		delete(v.shown, old.ID)
		v.count(old, -1)
		edits = append(edits, edit{at: old})
	}
	if now == nil {
		return edits
	}
	v.shown[now.ID] = now
	v.count(now, 1)
	if old != nil && old.Compare(now) == 0 {
		edits = nil
	}
	return append(edits, edit{at: now, now: now})
}

func (v *views) count(m *Machine, n int) {
	if m.State.Allocated() {
		v.allocated += n
		if m.Membership.Active {
			v.active += n
		}
	}
}

// edit puts a machine in its place in the view, or, with nil, takes out what is there.
type edit struct{ at, now *Machine }

// amend makes the edits, in a new slice.
func amend(machines []*Machine, edits []edit) []*Machine {
	slices.SortFunc(edits, func(a, b edit) int { return a.at.Compare(b.at) })
	out := make([]*Machine, 0, len(machines)+len(edits))
	for _, e := range edits {
		i, there := slices.BinarySearchFunc(machines, e.at, (*Machine).Compare)
		out = append(out, machines[:i]...)
		if there {
			i++
		}
		machines = machines[i:]
		if e.now != nil {
			out = append(out, e.now)
		}
	}
	return append(out, machines...)
}

// machine is the member as readers see it; nil if they do not.
func (s *seat) machine() *Machine {
	if s == nil || s.rec.Phase == forgotten {
		return nil
	}
	m := s.rec.machine()
	switch {
	case !s.rec.allocated():
	case s.doubted:
		m.Metadata.Error = "vCenter does not know its VM any more: the last known state is shown until that is certain"
	case s.unknown:
		m.Metadata.Error = "vCenter cannot tell about its VM (" + cmp.Or(s.connection, "unreadable") + "): the last known state is shown, " +
			"and the machine is not replaced: mend its host or datastore, or remove the VM from vCenter's inventory to have it replaced"
	}
	return &m
}
