package actors

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"vspherepool/vsphere"
)

func drawInput(t *rapid.T) planInput {
	in := planInput{
		now:     noon,
		desired: rapid.IntRange(0, 30).Draw(t, "desired"),
		limits: Limits{
			Creates: rapid.IntRange(1, 5).Draw(t, "creates"), PowerOps: rapid.IntRange(1, 5).Draw(t, "power"),
			Deletes: rapid.IntRange(1, 5).Draw(t, "deletes"),
		},
		policy: rapid.SampledFrom([]string{Newest, Oldest}).Draw(t, "policy"),
	}
	if rapid.Bool().Draw(t, "ceiling?") {
		in.limits.Ceiling = rapid.IntRange(1, 30).Draw(t, "ceiling")
	}
	all := allPhases()
	for i := range rapid.IntRange(0, 25).Draw(t, "members") {
		m := aMember(string(rune('a'+i)), rapid.SampledFrom(all).Draw(t, "phase"), rapid.IntRange(0, 9).Draw(t, "age"))
		m.rec.Status = vsphere.Status{
			Service: "UNKNOWN", Active: rapid.Bool().Draw(t, "active"), Evictable: rapid.Bool().Draw(t, "evictable"),
			Hold: rapid.IntRange(0, 4).Draw(t, "hold") == 0,
		}
		m.granted = rapid.IntRange(0, 5).Draw(t, "granted") == 0
		m.leaving = rapid.IntRange(0, 5).Draw(t, "leaving") == 0
		in.members = append(in.members, m)
	}
	return in
}

func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		byID := map[vsphere.MachineID]*member{}
		for _, m := range in.members {
			byID[m.rec.ID] = m
		}
		seen := map[vsphere.MachineID]bool{}
		active := count(in.members, (*member).active)
		requests, used := 0, map[budget]int{}
		for _, d := range plan(in) {
			m := byID[d.machine]
			if d.machine != "" && seen[d.machine] {
				t.Fatalf("two decisions for %s", d.machine)
			}
			seen[d.machine] = true
			switch d.kind {
			case request, replace:
				requests++
			case grant:
				used[phases[m.rec.Phase].waits]++
			case retire:
				if !m.rec.evictable() || !m.rec.allocated() || m.leaving {
					t.Fatalf("%s retired: evictable %t, in %s, leaving %t", d.machine, m.rec.evictable(), m.rec.Phase, m.leaving)
				}
				if m.active() {
					active--
				}
			}
		}
		if active+requests > in.desired && requests > 0 {
			t.Fatalf("%d active and %d requested for %d desired", active, requests, in.desired)
		}
		if active < in.desired && active < count(in.members, (*member).active) {
			t.Fatalf("scaled in to %d active for %d desired", active, in.desired)
		}
		checkBudgets(t, in, used)
	})
}

func checkBudgets(t *rapid.T, in planInput, used map[budget]int) {
	for b, limit := range map[budget]int{creates: in.limits.Creates, powerOps: in.limits.PowerOps, deletes: in.limits.Deletes} {
		if used[b] > 0 && used[b]+in.tally().held[b] > limit {
			t.Fatalf("%s: %d granted and %d held of %d", budgetName(b), used[b], in.tally().held[b], limit)
		}
	}
}

// A pool that follows the plan, with every granted step succeeding, reaches the desired size and stays there.
func TestPlanConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		in.limits.Ceiling = 0
		for i := range in.members {
			in.members[i].granted, in.members[i].leaving = false, false
			in.members[i].rec.Status.Evictable = true
		}
		for round := range 400 {
			decisions := plan(in)
			for _, d := range decisions {
				in.members = carry(in.members, d, round)
			}
			in.members = settle(in.members)
			if len(decisions) == 0 && atRest(in.members) {
				if got := count(in.members, (*member).active); got != in.desired {
					t.Fatalf("at rest with %d active, %d desired", got, in.desired)
				}
				return
			}
		}
		t.Fatal("never at rest")
	})
}

func carry(members []*member, d decision, round int) []*member {
	if d.kind == request {
		m := aMember(time.Duration(round).String()+string(rune('A'+len(members))), requested, 0)
		return append(members, m)
	}
	for i := range members {
		if members[i].rec.ID == d.machine {
			on := map[decisionKind]event{grant: turnGranted, retire: retireRequested}[d.kind]
			if to, ok := next(members[i].rec.Phase, on); ok {
				members[i].rec.Phase = to
			}
		}
	}
	return members
}

// settle lets every operation under way succeed.
var success = map[phase]event{
	cloning: cloneAccepted, copying: cloneDone, lookingUp: vmFound, verifying: vmVerified, adopting: adoptedFresh, starting: powerOnDone,
	booting: seenReady, cancelled: vmFound, stopping: guestAsked, draining: seenOff, halting: powerOffDone, destroying: destroyed,
	removing: destroyed, givenUp: deadlinePassed,
}

func settle(members []*member) []*member {
	for i := range members {
		if to, ok := next(members[i].rec.Phase, success[members[i].rec.Phase]); ok {
			members[i].rec.Phase = to
		}
	}
	return members
}

func atRest(members []*member) bool {
	return count(members, func(m *member) bool { return success[m.rec.Phase] != "" || phases[m.rec.Phase].waits != free }) == 0
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
