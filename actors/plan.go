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
}

// planInput is all that a plan depends on: equal inputs give equal plans.
type planInput struct {
	now     time.Time
	desired int
	// members are only read.
	members []*member
	limits  Limits
	policy  string
	breaker breaker
	// frozen, if not empty, says why nothing may be started or stopped now.
	frozen string
}

func (m *member) active() bool { return m.rec.active() && !m.leaving }

// decisionKind is what the planner can ask for.
type decisionKind string

const (
	// request makes a new machine's intent; grant gives a waiting machine its turn; retire begins a machine's end.
	request decisionKind = "request"
	grant   decisionKind = "grant"
	retire  decisionKind = "retire"
)

// decision is one thing to do, and why.
type decision struct {
	kind    decisionKind
	machine vsphere.MachineID // empty for request
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

// sizeDecisions closes the gap between active and desired, and lets go of disposable machines. Replacements come first.
func sizeDecisions(in planInput) []decision {
	var out []decision
	active := count(in.members, (*member).active)
	waiting := count(in.members, func(m *member) bool { return m.rec.Phase == requested && !m.leaving })
	missing := min(in.desired-active, headroom(in), longestQueue-waiting)
	for range missing {
		out = append(out, decision{kind: request, reason: fmt.Sprintf("%d of %d desired machines are active", active, in.desired)})
	}
	for _, m := range oldestFirst(in.members, disposable) {
		out = append(out, decision{retire, m.rec.ID, "inactive and evictable"})
	}
	for _, v := range victims(in.members, active-in.desired, in.policy) {
		out = append(out, decision{retire, v.rec.ID, fmt.Sprintf("scale-in: %d machines are active, %d desired", active, in.desired)})
	}
	return out
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
	return max(0, in.limits.Ceiling-count(in.members, func(m *member) bool { return m.rec.live() }))
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
		creates:  in.limits.Creates - holders(in, creates),
		powerOps: in.limits.PowerOps - holders(in, powerOps),
		deletes:  in.limits.Deletes - holders(in, deletes),
	}
	if a := in.breaker.allowance(in.now); a != unlimited {
		making := count(in.members, func(m *member) bool { return holding(m) == creates || unproven(m.rec.Phase) })
		left[creates] = min(left[creates], a-making)
	}
	waiting := oldestFirst(in.members, func(m *member) bool {
		return phases[m.rec.Phase].waits != free && !m.granted && !m.leaving && !leaving[m.rec.ID] && !in.now.Before(m.notBefore)
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

// unproven machines are made but have not shown yet that the template works.
func unproven(p phase) bool { return p == cloned || p == starting || p == booting }

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
	for _, m := range in.members {
		earlier(m.notBefore)
	}
	return at
}
