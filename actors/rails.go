package actors

import (
	"fmt"
	"math"
	"time"

	"vspherepool/vsphere"
)

// The rails that a plan keeps to, as pure functions of what the plan depends on. What they hold back, and why, is said by railsOf.

// churn is the memory of replacements begun: a bucket that leaks so fast that it would be empty in an hour. A value; it is durable.
type churn struct {
	Used float64   `json:"used,omitempty"`
	At   time.Time `json:"at,omitzero"`
}

// level is what is in the bucket now.
func (c churn) level(now time.Time, limit int) float64 {
	return max(0, c.Used-float64(limit)*max(0, now.Sub(c.At).Hours()))
}

// left is how many replacements may be begun now.
func (c churn) left(now time.Time, limit int) int {
	return max(0, limit-int(math.Ceil(c.level(now, limit))))
}

// spend notes n replacements begun.
func (c churn) spend(now time.Time, limit, n int) churn {
	return churn{c.level(now, limit) + float64(n), now}
}

// churnLimit is how many replacements an hour may see.
func (r Rails) churnLimit(desired int) int {
	if r.Churn > 0 {
		return r.Churn
	}
	return 2*desired + 10
}

// atATime is how many machines may be in replacement.
func (r Rails) atATime(desired int) int { return max(1, desired*r.Replacements/100) }

// replacing are the machines that were requested for others that were lost, and have not proven themselves yet.
func replacing(m *member) bool {
	return m.rec.Replacement && m.rec.allocated() && m.rec.Phase != running && m.outcomeNears()
}

// replaceable is how many replacements may be begun now.
func replaceable(in planInput) int {
	if in.crisis().holds() {
		return 0
	}
	room := in.rails.atATime(in.desired) - in.tally().replacing
	return max(0, min(room, in.churn.left(in.now, in.rails.churnLimit(in.desired))))
}

// crisis is how much of the pool has gone bad together.
type crisis struct{ bad, total, limit int }

// holds says whether so much is bad that the machines are hardly to blame, and replacing them would do harm.
func (c crisis) holds() bool { return c.bad > 0 && c.bad >= c.limit }

// crisis counts the machines that vCenter cannot tell about and those that failed lately.
func (in planInput) crisis() crisis {
	sums := in.tally()
	total := sums.known + in.failures
	share := (in.rails.FreezeShare*total + 99) / 100
	return crisis{bad: sums.unknown + in.failures, total: total, limit: max(in.rails.FreezeMembers, share)}
}

// shrunk says whether a listing that has only found of the expected members lacks so many that it is not believed at once.
func (r Rails) shrunk(found, expected int) bool {
	return expected > 0 && (expected-found)*100 >= r.ShrinkShare*expected && found < expected
}

// thawing is how to lift what a rail holds.
const thawing = `vspherepool thaw, or POST {"frozen": false} to /pool/freeze`

// railsOf are the rails of the planner as they stand.
func railsOf(in planInput) []Rail {
	return []Rail{
		budgetRail(in, "creates", creates, in.rate.allowance(in.limits.Creates), in.limits.Creates),
		budgetRail(in, "powerOps", powerOps, in.limits.PowerOps, in.limits.PowerOps),
		budgetRail(in, "deletes", deletes, in.limits.Deletes, in.limits.Deletes),
		replacementRail(in),
		churnRail(in),
		freezeRail(in),
		ceilingRail(in),
	}
}

func budgetRail(in planInput, name string, b budget, limit, configured int) Rail {
	r := Rail{Name: name, Limit: limit, Value: in.tally().held[b]}
	waiting := in.tally().waiting[b]
	if waiting == 0 || r.Value < limit || configured == 0 { // a flaw of the site is told of elsewhere
		return r
	}
	r.Holding = true
	r.Reason = fmt.Sprintf("%s for a turn: %d operations are under way, which is the limit",
		number(waiting, "machine waits", "machines wait"), r.Value)
	if limit < configured {
		r.Reason += fmt.Sprintf(", lowered from %d because vCenter lets clones wait or refuses them", configured)
	}
	r.Lift = "raise limits." + name + " in the configuration"
	return r
}

func replacementRail(in planInput) Rail {
	r := Rail{Name: "replacements", Limit: in.rails.atATime(in.desired), Value: in.tally().replacing}
	if in.owed > 0 && r.Value >= r.Limit {
		r.Holding = true
		r.Reason = fmt.Sprintf("%s to be replaced, and %d are being replaced already, which is the limit",
			number(in.owed, "machine has", "machines have"), r.Value)
		r.Lift = "raise rails.replacements in the configuration, or set the desired size: what is asked for is not held back"
	}
	return r
}

func churnRail(in planInput) Rail {
	limit := in.rails.churnLimit(in.desired)
	r := Rail{Name: "churn", Limit: limit, Value: limit - in.churn.left(in.now, limit)}
	if in.owed > 0 && r.Value >= limit {
		r.Holding = true
		r.Reason = fmt.Sprintf("%s to be replaced, and %d replacements have been begun within an hour, which is the limit: "+
			"see why machines fail", number(in.owed, "machine has", "machines have"), r.Value)
		r.Lift = thawing + "; or raise rails.churn in the configuration"
	}
	return r
}

func freezeRail(in planInput) Rail {
	c := in.crisis()
	r := Rail{Name: "freeze", Limit: c.limit, Value: c.bad}
	if c.holds() {
		r.Holding = true
		r.Reason = fmt.Sprintf("%d of %d machines are unreachable or have failed within %s, and nothing is replaced while that is so: "+
			"see their hosts and datastores", c.bad, c.total, in.rails.FreezeWindow.Std())
		r.Lift = thawing
	}
	return r
}

func ceilingRail(in planInput) Rail {
	r := Rail{Name: "ceiling", Limit: in.limits.Ceiling, Value: in.live()}
	missing := in.desired - in.tally().active
	if r.Limit > 0 && missing > 0 && r.Value >= r.Limit {
		r.Holding = true
		r.Reason = fmt.Sprintf("%s, and the pool has %d VMs, those that leave, failed or are astray included, which is the limit",
			number(missing, "machine is missing", "machines are missing"), r.Value)
		r.Lift = "raise limits.ceiling in the configuration, or remove VMs that are not needed"
	}
	return r
}

// number is "1 machine waits" or "3 machines wait".
func number(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// lossOf says whether a change of a machine's record took it away from the pool without anybody having asked for that. A failed launch
// of a machine that was asked for is none: its successor is asked for as well, and rated by the breaker.
func lossOf(before, after record, ordered bool, v verdict) bool {
	asked := !before.Replacement && (v == launchFailed || v == bootFailed)
	return !ordered && !asked && before.active() && !after.allocated()
}

// failureOf says whether such a loss is one of a machine that had worked.
func failureOf(before record) bool { return before.state() == Running }

// recent drops the failures that are older than the window.
func recent(failures map[vsphere.MachineID]time.Time, now time.Time, window time.Duration) int {
	for id, at := range failures {
		if now.Sub(at) >= window {
			delete(failures, id)
		}
	}
	return len(failures)
}
