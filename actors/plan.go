package actors

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"vspherepool/vsphere"
)

// member is a machine as the planner sees it.
type member struct {
	rec record
	// granted says that a turn was given which the machine has not reported back on.
	granted bool
	// leaving says that the machine was told to retire and has not reported back.
	leaving bool
	// notBefore is when a failed step may be tried again.
	notBefore time.Time
	// unknown says that vCenter could not tell about the VM when it was last looked at; condoned that somebody has thawed the pool
	// although he knew.
	unknown, condoned bool
}

// planInput is all that a plan depends on: equal inputs give equal plans.
type planInput struct {
	now     time.Time
	desired int
	// members are only read; sums is the tally of them, nil if nobody has counted them yet.
	members []*member
	sums    *tally
	limits  Limits
	rails   Rails
	policy  string
	breaker breaker
	rate    rate
	churn   churn
	// owed are the missing machines that were lost without anybody having asked for it; they are replaced at a ration.
	owed int
	// failures counts the machines that had worked and failed lately, strays the VMs of the pool that are no members.
	failures, strays int
	// frozen, if not empty, says why nothing may be started or stopped now.
	frozen string
	// still says that nothing is begun by itself, by order; what is under way, or asked for by name, goes on.
	still bool
}

func (m *member) active() bool { return m.rec.active() && !m.leaving }

// decisionKind is what the planner can ask for.
type decisionKind string

const (
	// request makes a new machine's intent, replace one in the place of a machine that was lost; grant gives a waiting machine its turn;
	// retire begins a machine's end.
	request decisionKind = "request"
	replace decisionKind = "replace"
	grant   decisionKind = "grant"
	retire  decisionKind = "retire"
)

// decision is one thing to do, and why.
type decision struct {
	kind    decisionKind
	machine vsphere.MachineID // empty for request and replace
	reason  string
}

// plan says what to do now to bring the active size to the desired one. Pure; the order of the members does not matter.
func plan(in planInput) []decision {
	if in.frozen != "" {
		return nil
	}
	in = in.count()
	decisions := sizeDecisions(in)
	if len(in.sums.queue) == 0 {
		return decisions
	}
	leaving := make(map[vsphere.MachineID]bool, len(decisions))
	for _, d := range decisions {
		leaving[d.machine] = true
	}
	return append(decisions, turnDecisions(in, leaving)...)
}

// longestQueue bounds the machines that wait for their turn: a size set by a slip of the finger must not cost the memory of it all.
const longestQueue = 1000

// sizeDecisions closes the gap between active and desired, and lets go of disposable machines. New machines come first: those that
// somebody asked for, then the replacements that the rails allow.
func sizeDecisions(in planInput) []decision {
	if in.still {
		return nil
	}
	active := in.tally().active
	out := requests(in, active)
	if in.tally().disposable > 0 {
		for _, m := range oldestFirst(in.members, disposable) {
			out = append(out, decision{retire, m.rec.ID, "inactive and evictable"})
		}
	}
	reason := fmt.Sprintf("scale-in: %d machines are active, %d desired", active, in.desired)
	chosen := victims(in.members, active-in.desired, in.policy)
	out = slices.Grow(out, len(chosen))
	for _, v := range chosen {
		out = append(out, decision{retire, v.rec.ID, reason})
	}
	return out
}

func requests(in planInput, active int) []decision {
	room := max(0, min(headroom(in), longestQueue-in.tally().queued))
	missing := max(0, in.desired-active)
	owed := min(in.owed, missing)
	asked := min(missing-owed, room)
	replacements := min(owed, replaceable(in), room-asked)
	reason := fmt.Sprintf("%d of %d desired machines are active", active, in.desired)
	out := slices.Repeat([]decision{{kind: request, reason: reason}}, asked)
	return append(out, slices.Repeat([]decision{{kind: replace, reason: reason + ", after others were lost"}}, replacements)...)
}

func disposable(m *member) bool {
	return m.rec.allocated() && !m.rec.active() && m.rec.evictable() && !m.leaving
}

// oldestFirst are the members that qualify, by the time of their request.
func oldestFirst(members []*member, qualify func(*member) bool) []*member {
	var aged []keyed
	for _, m := range members {
		if qualify(m) {
			aged = append(aged, keyed{0, m.rec.Requested.UnixMicro(), m})
		}
	}
	return inOrder(aged, rising)
}

// keyed is a member beside what it is sorted by: many members are sorted, and each comparison would have to fetch two of them.
type keyed struct {
	rank int
	// at is in microseconds.
	at int64
	*member
}

// The directions in which members of one rank are sorted.
const (
	rising  = 1
	falling = -1
)

// inOrder are the members by rank, then by time and id.
func inOrder(all []keyed, direction int) []*member {
	slices.SortFunc(all, func(a, b keyed) int {
		switch {
		case a.rank != b.rank:
			return a.rank - b.rank
		case a.at != b.at:
			return direction * cmp.Compare(a.at, b.at)
		}
		return direction * cmp.Compare(a.rec.ID, b.rec.ID)
	})
	out := make([]*member, len(all))
	for i, k := range all {
		out[i] = k.member
	}
	return out
}

// headroom is how many more machines the ceiling on live VMs leaves room for.
func headroom(in planInput) int {
	if in.limits.Ceiling <= 0 {
		return in.desired
	}
	return max(0, in.limits.Ceiling-in.live())
}

// live is how many VMs the pool has, or may come to have, in whatever state.
func (in planInput) live() int {
	return in.strays + in.tally().live
}

// live says whether there is, or may come to be, a VM behind the record.
func (r record) live() bool { return r.Phase.live() }

func (p phase) live() bool {
	switch p {
	case terminated, lost, rejected, released, forgotten:
		return false
	default:
		return true
	}
}

// turnDecisions hands out the free turns of each budget, oldest request first.
func turnDecisions(in planInput, leaving map[vsphere.MachineID]bool) []decision {
	left := in.turnsLeft()
	crisis := in.crisis().holds()
	waiting := oldestFirst(in.tally().queue, func(m *member) bool {
		return left[phases[m.rec.Phase].waits] > 0 && !leaving[m.rec.ID] && !in.now.Before(m.notBefore) && !in.withheld(m, crisis)
	})
	var out []decision
	for _, m := range waiting {
		waits := phases[m.rec.Phase].waits
		if left[waits] > 0 {
			left[waits]--
			out = append(out, decision{grant, m.rec.ID, "its turn"})
		}
	}
	return out
}

// turnsLeft are the turns of each budget that can be given now.
func (in planInput) turnsLeft() [budgets]int {
	sums := in.tally()
	left := [budgets]int{creates: in.rate.allowance(in.limits.Creates), powerOps: in.limits.PowerOps, deletes: in.limits.Deletes}
	for b := range left {
		left[b] -= sums.held[b]
	}
	if a := in.breaker.allowance(in.now); a != unlimited {
		left[creates] = min(left[creates], a-sums.making)
	}
	return left
}

// withheld machines wait although they could have their turn: nothing is begun while the pool is to hold still, and in a crisis nothing
// is replaced, nor anything removed that may be somebody's only evidence.
func (in planInput) withheld(m *member, crisis bool) bool {
	switch m.rec.Phase {
	case requested:
		return in.still || crisis && m.rec.Replacement
	case clearing:
		return in.still || crisis
	default:
		return false
	}
}

// unproven machines are made but have not shown yet that the template works; those are left out that never will, as nothing ends them.
func (m *member) unproven() bool {
	switch m.rec.Phase {
	case verifying, cloned, starting:
		return m.outcomeNears()
	case booting:
		return m.outcomeNears() && !m.rec.PoweredOn.IsZero()
	default:
		return false
	}
}

// outcomeNears says whether a machine in the making gets ready or goes, sooner or later: one that is protected, or that vCenter cannot
// tell about, may do neither for ever, and nothing shall wait for it.
func (m *member) outcomeNears() bool { return m.rec.evictable() && !m.unknown }

// wakeAt is when time alone will change the plan next; zero: never.
func wakeAt(in planInput) time.Time {
	var at time.Time
	earlier := func(t time.Time) {
		if t.After(in.now) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	earlier(in.breaker.until)
	earlier(in.rate.next())
	earlier(in.tally().retry)
	return at
}
