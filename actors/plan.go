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
	// members are only read.
	members []*member
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
	decisions := sizeDecisions(in)
	leaving := map[vsphere.MachineID]bool{}
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
	active := count(in.members, (*member).active)
	out := requests(in, active)
	for _, m := range oldestFirst(in.members, disposable) {
		out = append(out, decision{retire, m.rec.ID, "inactive and evictable"})
	}
	for _, v := range victims(in.members, active-in.desired, in.policy) {
		out = append(out, decision{retire, v.rec.ID, fmt.Sprintf("scale-in: %d machines are active, %d desired", active, in.desired)})
	}
	return out
}

func requests(in planInput, active int) []decision {
	waiting := count(in.members, func(m *member) bool { return m.rec.Phase == requested && !m.leaving })
	room := max(0, min(headroom(in), longestQueue-waiting))
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
	var out []*member
	for _, m := range members {
		if qualify(m) {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b *member) int {
		return cmp.Or(a.rec.Requested.Compare(b.rec.Requested), cmp.Compare(a.rec.ID, b.rec.ID))
	})
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
	return in.strays + count(in.members, func(m *member) bool { return m.rec.live() })
}

// live says whether there is, or may come to be, a VM behind the record.
func (r record) live() bool {
	switch r.Phase {
	case terminated, lost, rejected, released, forgotten:
		return false
	default:
		return true
	}
}

// turnDecisions hands out the free turns of each budget, oldest request first.
func turnDecisions(in planInput, leaving map[vsphere.MachineID]bool) []decision {
	left := map[budget]int{
		creates:  in.rate.allowance(in.limits.Creates) - holders(in, creates),
		powerOps: in.limits.PowerOps - holders(in, powerOps),
		deletes:  in.limits.Deletes - holders(in, deletes),
	}
	if a := in.breaker.allowance(in.now); a != unlimited {
		making := count(in.members, func(m *member) bool { return holding(m) == creates || m.unproven() })
		left[creates] = min(left[creates], a-making)
	}
	crisis := in.crisis().holds()
	waiting := oldestFirst(in.members, func(m *member) bool {
		return phases[m.rec.Phase].waits != free && !m.granted && !m.leaving && !leaving[m.rec.ID] && !in.now.Before(m.notBefore) &&
			!in.withheld(m, crisis)
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
	case cloned, starting:
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

func holders(in planInput, b budget) int {
	return count(in.members, func(m *member) bool { return holding(m) == b })
}

// holding is the budget that a machine uses up, a turn on its way to it included.
func holding(m *member) budget {
	info := phases[m.rec.Phase]
	if m.granted {
		return info.waits
	}
	return info.holds
}

func count(members []*member, is func(*member) bool) int {
	n := 0
	for _, m := range members {
		if is(m) {
			n++
		}
	}
	return n
}

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
	for _, m := range in.members {
		earlier(m.notBefore)
	}
	return at
}
