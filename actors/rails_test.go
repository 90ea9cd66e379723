package actors

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vspherepool/vsphere"
)

// ordinary are the rails as they are without configuration.
func ordinary(t interface{ Fatal(...any) }) Rails {
	c, err := ParseConfig([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return c.Rails
}

// pool are n running members.
func runningMembers(n int) []*member {
	var members []*member
	for i := range n {
		members = append(members, &member{rec: record{
			ID: vsphere.MachineID(fmt.Sprintf("m%03d", i)), Phase: running, Ref: vsphere.Ref(fmt.Sprintf("vm-%d", i)),
			Status: vsphere.DefaultStatus(),
		}})
	}
	return members
}

func kinds(decisions []decision) map[decisionKind]int {
	counted := map[decisionKind]int{}
	for _, d := range decisions {
		counted[d.kind]++
	}
	return counted
}

func TestReplacementsAreRationedAndGrowthIsNot(t *testing.T) {
	for name, row := range map[string]struct {
		members, desired, owed, inFlight, failures int
		requests, replacements                     int
	}{
		"growth":                         {members: 10, desired: 50, requests: 40},
		"one lost":                       {members: 9, desired: 10, owed: 1, replacements: 1},
		"many lost, small pool":          {members: 7, desired: 10, owed: 3, replacements: 1},
		"many lost, large pool":          {members: 60, desired: 100, owed: 40, replacements: 10},
		"some under way":                 {members: 60, desired: 100, owed: 36, inFlight: 4, replacements: 6},
		"all under way":                  {members: 60, desired: 100, owed: 30, inFlight: 10},
		"lost and grown":                 {members: 60, desired: 110, owed: 40, requests: 10, replacements: 11},
		"failed together":                {members: 7, desired: 10, owed: 3, failures: 3},
		"failed together and grown":      {members: 7, desired: 15, owed: 3, failures: 3, requests: 5},
		"failed together, but too few":   {members: 8, desired: 10, owed: 2, failures: 2, replacements: 1},
		"failed together in a large one": {members: 95, desired: 100, owed: 5, failures: 5, replacements: 5},
		"owed more than is missing":      {members: 10, desired: 10, owed: 5},
	} {
		t.Run(name, func(t *testing.T) {
			members := runningMembers(row.members)
			for i := range row.inFlight {
				members = append(members, &member{rec: record{
					ID: vsphere.MachineID(fmt.Sprint("r", i)), Phase: copying, Replacement: true, Status: vsphere.DefaultStatus(),
				}})
			}
			in := planInput{
				desired: row.desired, members: members, limits: Limits{Creates: 8, PowerOps: 50, Deletes: 8}, rails: ordinary(t),
				owed: row.owed, failures: row.failures,
			}
			got := kinds(plan(in))
			if got[request] != row.requests || got[replace] != row.replacements {
				t.Errorf("%d requests, %d replacements, want %d, %d", got[request], got[replace], row.requests, row.replacements)
			}
		})
	}
}

// Whatever is lost, the rails never let more be replaced than they say, and never hold back what was asked for.
func TestRationProperties(t *testing.T) {
	rails := ordinary(t)
	rapid.Check(t, func(t *rapid.T) {
		alive, desired := rapid.IntRange(0, 120).Draw(t, "alive"), rapid.IntRange(0, 150).Draw(t, "desired")
		members := runningMembers(alive)
		for _, m := range members {
			m.unknown = rapid.IntRange(0, 9).Draw(t, "unknown") == 0
			m.rec.Replacement = rapid.Bool().Draw(t, "replacement")
			m.rec.Phase = rapid.SampledFrom([]phase{running, booting, cloned, copying, requested}).Draw(t, "phase")
		}
		owed := rapid.IntRange(0, 150).Draw(t, "owed")
		in := planInput{
			now: time.Unix(1e9, 0), desired: desired, members: members, limits: Limits{Creates: 8, PowerOps: 50, Deletes: 8},
			rails: rails, owed: owed, failures: rapid.IntRange(0, 20).Draw(t, "failures"),
			churn: churn{Used: rapid.Float64Range(0, 400).Draw(t, "used"), At: time.Unix(1e9, 0)},
		}
		got := kinds(plan(in))
		missing := max(0, desired-alive)
		if want := missing - min(owed, missing); got[request] != want {
			t.Fatalf("%d requested, %d asked for", got[request], want)
		}
		under := count(members, replacing) + got[replace]
		if got[replace] > 0 && under > max(1, desired/10) {
			t.Fatalf("%d in replacement of %d desired", under, desired)
		}
		if got[replace] > owed || in.crisis().holds() && got[replace] > 0 {
			t.Fatalf("%d replaced, %d owed, %+v", got[replace], owed, in.crisis())
		}
		if left := in.churn.left(in.now, rails.churnLimit(desired)); got[replace] > left {
			t.Fatalf("%d replaced, the churn cap leaves %d", got[replace], left)
		}
	})
}

func TestCrisis(t *testing.T) {
	for name, row := range map[string]struct {
		members, unknown, condoned, failures int
		holds                                bool
	}{
		"healthy":             {members: 10},
		"two of three":        {members: 3, unknown: 2},
		"three of three":      {members: 3, unknown: 3, holds: true},
		"three of ten":        {members: 10, unknown: 3, holds: true},
		"three of 16":         {members: 16, unknown: 3},
		"four of 20":          {members: 20, unknown: 4, holds: true},
		"both kinds":          {members: 10, unknown: 1, failures: 2, holds: true},
		"failed":              {members: 7, failures: 3, holds: true},
		"known by the thawer": {members: 10, unknown: 3, condoned: 3},
		"one more than that":  {members: 10, unknown: 6, condoned: 3, holds: true},
	} {
		members := runningMembers(row.members)
		for i, m := range members {
			m.unknown, m.condoned = i < row.unknown, i < row.condoned
		}
		in := planInput{members: members, rails: ordinary(t), failures: row.failures}
		if got := in.crisis(); got.holds() != row.holds {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestACrisisHoldsOnlyWhatReplacesOrRemovesEvidence(t *testing.T) {
	members := runningMembers(3)
	for _, m := range members {
		m.unknown = true
	}
	add := func(id string, p phase, replacement bool) {
		members = append(members, &member{rec: record{
			ID: vsphere.MachineID(id), Phase: p, Replacement: replacement, Status: vsphere.DefaultStatus(),
		}})
	}
	add("new", requested, false)
	add("instead", requested, true)
	add("leaving", retiring, false)
	add("evidence", clearing, false)
	in := planInput{desired: 5, members: members, limits: Limits{Creates: 8, PowerOps: 50, Deletes: 8}, rails: ordinary(t)}
	got := granted(plan(in))
	if want := []string{"leaving", "new"}; !slices.Equal(got, want) {
		t.Errorf("in a crisis: %v, want %v", got, want)
	}
	in.still = true
	got = granted(plan(in))
	if want := []string{"leaving"}; !slices.Equal(got, want) {
		t.Errorf("frozen by hand: %v, want %v", got, want)
	}
}

func granted(decisions []decision) []string {
	var ids []string
	for _, d := range decisions {
		if d.kind == grant {
			ids = append(ids, string(d.machine))
		}
	}
	slices.Sort(ids)
	return ids
}

func TestTheChurnLeaks(t *testing.T) {
	now := time.Unix(1e9, 0)
	c := churn{}
	for range 30 {
		c = c.spend(now, 30, 1)
	}
	for after, left := range map[time.Duration]int{0: 0, 2 * time.Minute: 1, time.Hour / 2: 15, time.Hour: 30, 3 * time.Hour: 30} {
		if got := c.left(now.Add(after), 30); got != left {
			t.Errorf("after %s: %d left, want %d", after, got, left)
		}
	}
	if got := (Rails{}).churnLimit(7); got != 24 {
		t.Errorf("the cap of a pool of 7 is %d", got)
	}
	if got := (Rails{Churn: 3}).churnLimit(7); got != 3 {
		t.Errorf("a configured cap is %d", got)
	}
}

func TestShrunk(t *testing.T) {
	rails := ordinary(t)
	for _, row := range []struct {
		found, expected int
		want            bool
	}{{0, 0, false}, {0, 1, true}, {10, 10, false}, {8, 10, false}, {7, 10, true}, {0, 200, true}, {199, 200, false}, {140, 200, true}} {
		if got := rails.shrunk(row.found, row.expected); got != row.want {
			t.Errorf("%d of %d: %t", row.found, row.expected, got)
		}
	}
}

func TestRailsSayWhatTheyHold(t *testing.T) {
	members := runningMembers(3)
	for i := range 9 {
		members = append(members, &member{rec: record{
			ID: vsphere.MachineID(fmt.Sprint("c", i)), Phase: requested, Replacement: i < 3, Status: vsphere.DefaultStatus(),
		}, granted: i < 4})
	}
	in := planInput{
		now: time.Unix(1e9, 0), desired: 20, members: members, limits: Limits{Creates: 8, PowerOps: 50, Deletes: 8, Ceiling: 12},
		rails: ordinary(t), owed: 5, rate: rate{limit: 4, changed: time.Unix(1e9, 0)}, failures: 3,
		churn: churn{Used: 50, At: time.Unix(1e9, 0)},
	}
	wants := map[string]string{
		"creates":      "5 machines wait for a turn: 4 operations are under way, which is the limit, lowered from 8",
		"replacements": "5 machines have to be replaced, and 3 are being replaced already",
		"churn":        "50 replacements have been begun within an hour",
		"freeze":       "3 of 6 machines are unreachable or have failed within 2m0s",
		"ceiling":      "8 machines are missing, and the pool has 12 VMs",
		"powerOps":     "", "deletes": "",
	}
	rails := railsOf(in)
	if len(rails) != len(wants) {
		t.Errorf("%d rails", len(rails))
	}
	for _, r := range rails {
		want, known := wants[r.Name]
		if !known || r.Holding != (want != "") || !strings.Contains(r.Reason, want) || r.Holding != (r.Lift != "") {
			t.Errorf("%+v, want %q", r, want)
		}
	}
	in.members, in.owed, in.failures, in.desired, in.churn = runningMembers(3), 0, 0, 3, churn{}
	for _, r := range railsOf(in) {
		if r.Holding || r.Reason != "" {
			t.Errorf("a healthy pool: %+v", r)
		}
	}
}

func TestLosses(t *testing.T) {
	alive := record{Phase: running, Status: vsphere.DefaultStatus()}
	held := alive
	held.Status.Hold = true
	dead, again := alive, alive
	dead.Phase, again.Replacement = lost, true
	for name, row := range map[string]struct {
		before, after record
		ordered, want bool
		verdict       verdict
	}{
		"failed":                {before: alive, after: dead, want: true},
		"ordered":               {before: alive, after: dead, ordered: true},
		"on hold, and replaced": {before: held, after: dead},
		"put on hold":           {before: alive, after: held},
		"goes on":               {before: alive, after: alive},
		"was dead":              {before: dead, after: dead},
		"a launch failed":       {before: alive, after: dead, verdict: launchFailed},
		"a replacement failed":  {before: again, after: dead, verdict: bootFailed, want: true},
	} {
		if got := lossOf(row.before, row.after, row.ordered, row.verdict); got != row.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestTheRateDoesNotSaveUpTheTimeInWhichClonesWait(t *testing.T) {
	now := time.Unix(1e9, 0)
	r := rate{}.pressed(now, 8)
	for range 60 {
		now = now.Add(rateStep / 2)
		r = r.queued(now, 8, 5*time.Second).recovered(now, 8)
	}
	for range 5 {
		r = r.queued(now, 8, time.Second)
	}
	if got := r.recovered(now, 8).allowance(8); got != 5 {
		t.Errorf("%d, want one step from 4", got)
	}
	if got := r.pressed(now, 8).allowance(8); got != 2 {
		t.Errorf("%d, want a half of 4", got)
	}
}

func TestASiteThatCanMakeNothingIsNoLackOfTurns(t *testing.T) {
	in := planInput{desired: 1, members: []*member{aMember("a", requested, 1)}, limits: Limits{PowerOps: 50, Deletes: 8}, rails: ordinary(t)}
	if r := railsOf(in)[0]; r.Holding {
		t.Errorf("%+v", r)
	}
}

func TestRate(t *testing.T) {
	start := time.Unix(1e9, 0)
	var r rate
	if got := r.allowance(8); got != 8 {
		t.Errorf("at first %d", got)
	}
	for range 3 {
		r = r.queued(start, 8, time.Second)
	}
	if got := r.recovered(start, 8).allowance(8); got != 8 {
		t.Errorf("with short queues %d", got)
	}
	for range 5 {
		r = r.queued(start, 8, 11*time.Second)
	}
	if got := r.allowance(8); got != 4 {
		t.Errorf("one wave of long queues leaves %d", got)
	}
	later := start.Add(rateRest)
	if r = r.pressed(later, 8); r.allowance(8) != 2 {
		t.Errorf("more pressure after a rest leaves %d", r.allowance(8))
	}
	if got := r.pressed(later.Add(rateRest), 8).pressed(later.Add(2*rateRest), 8).pressed(later.Add(3*rateRest), 8).allowance(8); got != 1 {
		t.Errorf("it goes down to %d", got)
	}
	if r = r.recovered(later.Add(rateStep), 8); r.allowance(8) != 3 {
		t.Errorf("a minute later %d", r.allowance(8))
	}
	if got := r.queued(later.Add(rateStep), 8, 5*time.Second).recovered(later.Add(rateStep+30*time.Second), 8).allowance(8); got != 3 {
		t.Errorf("it rises to %d while clones wait", got)
	}
	if got := r.recovered(later.Add(time.Hour), 8); got.allowance(8) != 8 || !got.next().IsZero() {
		t.Errorf("in the end %+v", got)
	}
	if got := (rate{limit: 6}).allowance(4); got != 4 {
		t.Errorf("a lower configured limit: %d", got)
	}
}

func TestRateStaysWithinItsLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 20).Draw(t, "limit")
		now, r := time.Unix(1e9, 0), rate{}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "seconds")) * time.Second)
			before := r.allowance(limit)
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				r = r.queued(now, limit, time.Duration(rapid.IntRange(0, 20).Draw(t, "wait"))*time.Second)
			case 1:
				r = r.pressed(now, limit)
			default:
				r = r.recovered(now, limit)
			}
			if got := r.allowance(limit); got < 1 || got > limit || got < before/2 {
				t.Fatalf("%d after %d, limit %d", got, before, limit)
			}
		}
		if got := r.recovered(now.Add(time.Hour), limit).allowance(limit); got != limit {
			t.Fatalf("%d after an hour of quiet", got)
		}
	})
}

func TestOutranks(t *testing.T) {
	own := vsphere.Writer{ID: "a", Epoch: 3}
	for name, row := range map[string]struct {
		other vsphere.Writer
		want  bool
	}{
		"itself":      {own, false},
		"unsigned":    {vsphere.Writer{}, false},
		"earlier":     {vsphere.Writer{ID: "b", Epoch: 2}, false},
		"later":       {vsphere.Writer{ID: "b", Epoch: 4}, true},
		"twin":        {vsphere.Writer{ID: "b", Epoch: 3}, true},
		"own, later?": {vsphere.Writer{ID: "a", Epoch: 4}, true},
	} {
		if got := outranks(row.other, own); got != row.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestStrays(t *testing.T) {
	now := time.Unix(1e9, 0)
	vm := vsphere.VM{Ref: "vm-1", Connected: true, Mark: &vsphere.Mark{Machine: "m"}}
	seen := nextStrays(nil, []stray{{vm: vm, since: now}})
	if seen["vm-1"].established() {
		t.Error("established at first sight")
	}
	seen = nextStrays(seen, []stray{{vm: vm, since: now.Add(time.Minute)}})
	if o := seen["vm-1"]; !o.established() || !o.since.Equal(now) {
		t.Errorf("%+v", o)
	}
	if again := nextStrays(seen, nil); len(again) != 0 {
		t.Errorf("%+v", again)
	}
	rails := Rails{RetireOrphans: true}
	if _, found := oldestStray(seen, now.Add(orphanPatience-1), rails); found {
		t.Error("too soon")
	}
	if _, found := oldestStray(seen, now.Add(orphanPatience), Rails{}); found {
		t.Error("not allowed")
	}
	if o, found := oldestStray(seen, now.Add(orphanPatience), rails); !found || o.vm.Ref != "vm-1" {
		t.Errorf("%+v, %t", o, found)
	}
	for name, spoil := range map[string]func(*stray){
		"twin":         func(o *stray) { o.twin = true },
		"disconnected": func(o *stray) { o.vm.Connected = false },
		"protected":    func(o *stray) { o.vm.Status = &vsphere.Status{Active: true} },
		"held":         func(o *stray) { o.vm.Status = &vsphere.Status{Active: true, Evictable: true, Hold: true} },
	} {
		o := seen["vm-1"]
		spoil(&o)
		if may, why := o.retirable(now.Add(time.Hour), rails); may || !strings.Contains(why, "left alone") {
			t.Errorf("%s: %t, %s", name, may, why)
		}
	}
}
