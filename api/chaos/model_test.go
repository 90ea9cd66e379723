package chaos

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// model is what the specification says must be true after what was answered. It knows nothing of how the pool works. What nobody can
// know (a call without an answer may have been done or not) it keeps as sets of possible values, which an observation narrows.
type model struct {
	mu sync.Mutex
	// desired are the possible requested sizes; nil: any.
	desired set[int]
	started set[bool]
	frozen  set[bool]
	config  []settings
	// configured is when it was acknowledged last.
	configured time.Time
	// machines are those that anybody ever saw or asked about.
	machines map[string]*machine
	// claimable are the VMs that an attach may be marking now, by reference, until when.
	claimable map[string]time.Time
	// released are the VMs of machines that were detached, by reference.
	released map[string]string
	// doubt is until when calls without an answer may still take effect: nothing is narrowed before.
	doubt time.Time
}

// machine is what is known of one machine.
type machine struct {
	// allocated is whether it was REQUESTED, PENDING or RUNNING when last seen.
	allocated bool
	// ended: a terminate was acknowledged. It never comes back. let: a detach was.
	ended, let bool
	endedAt    time.Time
	// over: it was seen to be leaving or gone, and so never counts again, unless it is attached anew.
	over bool
	// ran: it was seen RUNNING, so what is said of it since is written on its VM too.
	ran bool
	// doubtful: a change of its status was not acknowledged, and so its VM may tell another one than the journal.
	doubtful bool
	// excused: it was protected, or somebody asked to attach it. Then its VM may be left, as an orphan that is reported.
	excused bool
	// membership, hold and service are its possible statuses.
	membership set[membership]
	hold       set[bool]
	service    set[string]
}

type membership struct{ Active, Evictable bool }

// set is a set of possible values; nil: all of them.
type set[T comparable] map[T]bool

func only[T comparable](values ...T) set[T] {
	s := set[T]{}
	for _, v := range values {
		s[v] = true
	}
	return s
}

func (s set[T]) has(v T) bool { return s == nil || s[v] }

// with is the set and more.
func (s set[T]) with(values ...T) set[T] {
	if s == nil {
		return nil
	}
	wider := maps.Clone(s)
	for _, v := range values {
		wider[v] = true
	}
	return wider
}

func newModel(start settings) *model {
	m := &model{
		started: only(true), frozen: only(false), config: []settings{start},
		machines: map[string]*machine{}, claimable: map[string]time.Time{}, released: map[string]string{},
	}
	m.desired = only(0)
	if start.Desired != nil {
		m.desired = only(*start.Desired)
	}
	return m
}

// machine is what is known of id; a new one has the status that nobody has said anything about.
func (m *model) machine(id string) *machine {
	if m.machines[id] == nil {
		m.machines[id] = &machine{membership: only(membership{true, true}), hold: only(false), service: only("UNKNOWN")}
	}
	return m.machines[id]
}

// protected says whether the machine certainly may not be evicted.
func (m *model) protected(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.machines[id]
	if known == nil || known.membership == nil || known.hold == nil || !known.allocated {
		return false
	}
	held := !known.hold[false]
	blessed := !known.membership[membership{true, true}] && !known.membership[membership{false, true}]
	return held || blessed
}

// hasEnded says whether the machine's termination was acknowledged before then.
func (m *model) hasEnded(id string, then time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.machines[id]
	return k != nil && k.ended && k.endedAt.Before(then)
}

// mayBeOrphaned says whether the machine may leave a VM behind that is no member's.
func (m *model) mayBeOrphaned(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.machines[id] != nil && m.machines[id].excused
}

// attaching says whether a claim of the VM is to be expected.
func (m *model) attaching(ref string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Before(m.claimable[ref])
}

// ceiling is the one that certainly holds, and did then; 0: none does.
func (m *model) ceiling(then time.Time) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.configured.After(then) {
		return 0
	}
	highest := 0
	for _, c := range m.config {
		if c.Ceiling == 0 {
			return 0
		}
		highest = max(highest, c.Ceiling)
	}
	return highest
}

// begin widens what is possible by what the calls may do from now on.
func (m *model) begin(calls []*request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range calls {
		if r.vm != "" && r.Op == "attach" {
			m.claimable[r.vm] = time.Now().Add(2 * time.Minute)
		}
		m.widen(r)
	}
}

// widen adds the values that a call's success would set.
func (m *model) widen(r *request) {
	switch r.Op {
	case "freeze", "thaw":
		m.frozen = m.frozen.with(r.Op == "freeze")
	case "start", "stop":
		m.started = m.started.with(r.Op == "start")
	case "configure":
		m.config = append(slices.Clone(m.config), *r.Settings)
	case "membershipStatus":
		k := m.machine(r.id)
		k.membership = k.membership.with(membership{r.Active, r.Evictable})
	case "serviceState":
		k := m.machine(r.id)
		k.service = k.service.with(r.Service)
		if r.Path {
			k.hold = k.hold.with(r.Service == "OUT_OF_SERVICE")
		}
	case "attach":
		if r.machine != "" {
			k := m.machine(r.machine)
			k.excused = true
			k.membership, k.hold, k.service = k.membership.with(membership{true, true}), k.hold.with(false), k.service.with("UNKNOWN")
		}
	}
}

// end takes in the answers. certain says that nothing else happened meanwhile. It says what is wrong if the answers contradict each other
// or what was known.
func (m *model) end(calls []*request, certain bool) (wrong string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range calls {
		if r.answer.unknown() {
			m.doubt = time.Now().Add(2 * time.Minute)
		}
	}
	sizes := linearize(m.desired, m.worlds(calls, certain), calls, m.config)
	if sizes != nil && len(sizes) == 0 {
		wrong, sizes = "no order of the calls explains their answers", nil
	}
	m.desired = sizes
	m.narrowPool(calls)
	for _, r := range calls {
		m.narrowMachine(r, calls)
	}
	return wrong
}

// worlds are the possible memberships of the machines that the calls are about.
func (m *model) worlds(calls []*request, certain bool) []map[string]bool {
	all := []map[string]bool{{}}
	done := map[string]bool{}
	for _, r := range calls {
		id := r.machine
		if id == "" || done[id] {
			continue
		}
		done[id] = true
		known := m.machines[id]
		member := known != nil && known.allocated
		sure := certain || known != nil && (known.ended || known.let || known.over)
		var next []map[string]bool
		for _, world := range all {
			for _, is := range []bool{true, false} {
				if is == member || !sure {
					w := maps.Clone(world)
					w[id] = is
					next = append(next, w)
				}
			}
		}
		all = next
	}
	return all
}

// narrowPool keeps the values that the pool's own settings can have after the answers: if some calls that set one were acknowledged, it
// is what one of them set, or one that was not answered.
func (m *model) narrowPool(calls []*request) {
	m.frozen = narrowed(m.frozen, calls, func(r *request) (bool, bool) { return r.Op == "freeze", r.Op == "freeze" || r.Op == "thaw" })
	m.started = narrowed(m.started, calls, func(r *request) (bool, bool) { return r.Op == "start", r.Op == "start" || r.Op == "stop" })
	for _, r := range calls { // at most one: see the generator
		switch {
		case r.Op != "configure":
		case r.answer.ok():
			m.config, m.configured = []settings{*r.Settings}, time.Now()
		case !r.answer.unknown() && r.answer.Status != http502:
			m.config = m.config[:len(m.config)-1]
		}
	}
}

const http502 = 502

// narrowed are the values that calls that were acknowledged, or not answered, have set; all, if none was acknowledged.
func narrowed[T comparable](before set[T], calls []*request, sets func(*request) (value T, does bool)) set[T] {
	after := set[T]{}
	acknowledged := false
	for _, r := range calls {
		value, does := sets(r)
		if !does {
			continue
		}
		if r.answer.ok() || r.answer.unknown() || r.answer.Status == http502 {
			after[value] = true
		}
		acknowledged = acknowledged || r.answer.ok()
	}
	if acknowledged {
		return after
	}
	return before
}

func (m *model) narrowMachine(r *request, calls []*request) {
	if r.machine == "" {
		return
	}
	k := m.machine(r.machine)
	same := slices.DeleteFunc(slices.Clone(calls), func(o *request) bool { return o.machine != r.machine })
	k.membership = narrowed(k.membership, same, func(o *request) (membership, bool) {
		return membership{o.Active, o.Evictable}, o.Op == "membershipStatus"
	})
	k.service = narrowed(k.service, same, func(o *request) (string, bool) { return o.Service, o.Op == "serviceState" })
	k.hold = narrowed(k.hold, same, func(o *request) (bool, bool) {
		return o.Service == "OUT_OF_SERVICE", o.Op == "serviceState" && o.Path
	})
	if (r.Op == "membershipStatus" || r.Op == "serviceState") && (r.answer.unknown() || r.answer.Status >= 500) {
		k.doubtful = true
	}
	attached := slices.ContainsFunc(same, func(o *request) bool { return o.Op == "attach" && (o.answer.ok() || o.answer.unknown()) })
	switch {
	case r.Op == "terminate" && r.answer.ok() && !attached:
		k.ended, k.endedAt = true, time.Now()
	case r.Op == "detach" && r.answer.ok() && !attached:
		k.let = true
		m.released[r.vm] = r.machine
	case r.Op == "attach" && (r.answer.ok() || r.answer.unknown()):
		k.let, k.over = false, false
		k.membership, k.hold, k.service = k.membership.with(membership{true, true}), k.hold.with(false), k.service.with("UNKNOWN")
	}
	if attached {
		m.claimable[r.vm] = time.Now().Add(2 * time.Minute)
	}
}

// forget is the loss of the state directory: the desired size, and the order to stand still. unmarked are the machines that have no VM
// that would know their status.
func (m *model) forget(start settings, marked map[string]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.desired = nil
	if start.Desired != nil {
		m.desired = only(*start.Desired)
	}
	m.frozen, m.started, m.config = only(false), only(true), []settings{start}
	for id, k := range m.machines {
		if !marked[id] || !k.ran || k.doubtful {
			k.membership, k.hold, k.service = nil, nil, nil
		}
		if !marked[id] {
			k.ended = false // it had no VM yet to write that on
		}
		k.over = false
	}
}
