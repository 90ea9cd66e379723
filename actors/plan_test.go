package actors

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"vspherepool/vsphere"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

var roomy = Limits{Creates: 8, PowerOps: 50, Deletes: 8}

// aMember is a default member in a phase; its age in minutes orders it.
func aMember(id string, p phase, age int) *member {
	m := &member{rec: record{ID: vsphere.MachineID(id), Phase: p, Status: vsphere.DefaultStatus()}}
	m.rec.Requested = noon.Add(-time.Duration(age) * time.Minute)
	switch p {
	case running:
		m.rec.Launched = m.rec.Requested
	case booting:
		m.rec.PoweredOn = m.rec.Requested
	default:
	}
	return m
}

func with(m *member, change func(*record)) *member {
	changed := *m
	change(&changed.rec)
	return &changed
}

func inactive(r *record)  { r.Status.Active = false }
func protected(r *record) { r.Status.Evictable = false }
func held(r *record)      { r.Status.Hold = true }

// said is a plan as text: "request", "grant a", "retire b".
func said(ds []decision) []string {
	var out []string
	for _, d := range ds {
		text := string(d.kind)
		if d.machine != "" {
			text += " " + string(d.machine)
		}
		out = append(out, text)
	}
	return out
}

func TestPlan(t *testing.T) {
	two := []*member{aMember("a", running, 20), aMember("b", running, 10)}
	tests := []struct {
		name string
		in   planInput
		want []string
	}{
		{"nothing to do", planInput{desired: 2, members: two}, nil},
		{"missing machines are requested at once", planInput{desired: 4, members: two}, []string{"request", "request"}},
		{"newest goes first", planInput{desired: 1, members: two}, []string{"retire b"}},
		{"oldest goes first", planInput{desired: 1, members: two, policy: Oldest}, []string{"retire a"}},
		{"frozen", planInput{desired: 9, members: two, frozen: "outage"}, nil},
		{
			"requested goes before anything else",
			planInput{desired: 1, members: append(slices.Clone(two), aMember("q", requested, 30))},
			[]string{"retire q", "retire b"},
		},
		{
			"not ready goes before ready, whatever its age",
			planInput{desired: 2, members: append(slices.Clone(two), aMember("p", booting, 99)), policy: Oldest},
			[]string{"retire p"},
		},
		{
			"unhealthy goes before healthy",
			planInput{desired: 1, members: []*member{with(two[0], func(r *record) { r.Status.Service = "UNHEALTHY" }), two[1]}},
			[]string{"retire a"},
		},
		{"blessed are never victims", planInput{desired: 0, members: []*member{with(two[0], protected), with(two[1], protected)}}, nil},
		{
			"disposable is removed after its replacement is requested",
			planInput{desired: 2, members: []*member{two[0], with(two[1], inactive)}},
			[]string{"request", "retire b"},
		},
		{
			"awaiting service is replaced and kept",
			planInput{desired: 2, members: []*member{two[0], with(with(two[1], inactive), protected)}},
			[]string{"request"},
		},
		{"held is replaced and kept", planInput{desired: 2, members: []*member{two[0], with(two[1], held)}}, []string{"request"}},
		{"held is no victim", planInput{desired: 0, members: []*member{with(two[0], held)}}, nil},
		{
			"a machine told to go is not counted, and not told twice",
			planInput{desired: 1, members: []*member{two[0], {rec: two[1].rec, leaving: true}}},
			nil,
		},
		{
			"turns within the budget, oldest first",
			planInput{desired: 3, limits: Limits{Creates: 2, PowerOps: 1, Deletes: 1}, members: []*member{
				aMember("a", requested, 1), aMember("b", requested, 3), aMember("c", requested, 2),
			}},
			[]string{"grant b", "grant c"},
		},
		{
			"holders use the budget up",
			planInput{desired: 3, limits: Limits{Creates: 2, PowerOps: 1, Deletes: 1}, members: []*member{
				aMember("a", copying, 3), aMember("b", lookingUp, 2), aMember("c", requested, 1),
			}},
			nil,
		},
		{
			"budgets don't starve each other",
			planInput{limits: Limits{Creates: 1, PowerOps: 1, Deletes: 1}, desired: 3, members: []*member{
				aMember("a", copying, 3), aMember("b", cloned, 2), aMember("c", requested, 1), aMember("d", halted, 9), aMember("e", destroying, 9),
			}},
			[]string{"grant b"},
		},
		{
			"a failed step waits for its time",
			planInput{desired: 1, members: []*member{{rec: aMember("a", cloned, 1).rec, notBefore: noon.Add(time.Second)}}},
			nil,
		},
		{"the ceiling counts all live VMs", planInput{
			desired: 5, limits: Limits{Creates: 8, PowerOps: 1, Deletes: 1, Ceiling: 3},
			members: []*member{two[0], aMember("d", draining, 9)},
		}, []string{"request"}},
		{"no launches during a pause", planInput{
			desired: 1, breaker: breaker{fails: 1, until: noon.Add(time.Second)},
			members: []*member{aMember("a", requested, 1)},
		}, nil},
		{"one canary after it", planInput{
			desired: 2, breaker: breaker{fails: 3, until: noon},
			members: []*member{aMember("a", requested, 2), aMember("b", requested, 1)},
		}, []string{"grant a"}},
		{"the canary must prove itself", planInput{
			desired: 2, breaker: breaker{boots: 3, until: noon},
			members: []*member{aMember("a", booting, 2), aMember("b", requested, 1)},
		}, nil},
		{"what need not get ready is no canary", planInput{
			desired: 4, breaker: breaker{boots: 3, until: noon}, members: []*member{
				with(aMember("a", booting, 4), protected), with(aMember("b", booting, 3), func(r *record) { r.PoweredOn = time.Time{} }),
				{rec: aMember("c", booting, 2).rec, unknown: true},
				aMember("d", requested, 1),
			},
		}, []string{"grant d"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.now = noon
			if tt.in.limits == (Limits{}) {
				tt.in.limits = roomy
			}
			got := plan(tt.in)
			if !slices.Equal(said(got), tt.want) {
				t.Errorf("got %v, want %v", said(got), tt.want)
			}
			for _, d := range got {
				if d.reason == "" {
					t.Errorf("%v has no reason", d)
				}
			}
		})
	}
}

func TestVictimOrder(t *testing.T) {
	noLaunch := aMember("x", running, 0)
	noLaunch.rec.Launched = time.Time{}
	members := []*member{aMember("a", running, 5), aMember("b", running, 5), noLaunch, aMember("c", running, 9)}
	for policy, want := range map[string]string{Newest: "[x b a c]", Oldest: "[c a b x]"} {
		var ids []vsphere.MachineID
		for _, v := range victims(members, 9, policy) {
			ids = append(ids, v.rec.ID)
		}
		if got := fmt.Sprint(ids); got != want {
			t.Errorf("%s: got %s, want %s", policy, got, want)
		}
	}
}

func BenchmarkPlan(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			in := planInput{now: noon, desired: n, limits: roomy, policy: Newest}
			for i := range n {
				in.members = append(in.members, aMember(fmt.Sprint(i), running, i))
			}
			b.ReportAllocs()
			for b.Loop() {
				plan(in)
			}
		})
	}
}
