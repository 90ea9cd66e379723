package actors

import (
	"testing"

	"pgregory.net/rapid"
)

// TestTally counts the members one question at a time.
func TestTally(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		for _, m := range in.members {
			m.unknown = rapid.IntRange(0, 3).Draw(t, "unknown") == 0
			m.condoned = rapid.Bool().Draw(t, "condoned")
			m.rec.Replacement = rapid.Bool().Draw(t, "replacement")
			if rapid.Bool().Draw(t, "vm") {
				m.rec.Ref = "vm-1"
			}
		}
		sums := in.tally()
		for what, row := range map[string]struct {
			got int
			is  func(*member) bool
		}{
			"active":      {sums.active, (*member).active},
			"live":        {sums.live, func(m *member) bool { return m.rec.live() }},
			"disposable":  {sums.disposable, disposable},
			"queued":      {sums.queued, func(m *member) bool { return m.rec.Phase == requested && !m.leaving }},
			"known":       {sums.known, func(m *member) bool { return m.rec.allocated() && m.rec.Ref != "" }},
			"unknown":     {sums.unknown, func(m *member) bool { return m.rec.allocated() && m.unknown && !m.condoned }},
			"unreachable": {sums.unreachable, func(m *member) bool { return m.rec.allocated() && m.unknown }},
			"replacing":   {sums.replacing, replacing},
			"making":      {sums.making, func(m *member) bool { return holds(m) == creates || m.unproven() }},
			"deletes":     {sums.held[deletes], func(m *member) bool { return holds(m) == deletes }},
			"waiting":     {sums.waiting[powerOps], func(m *member) bool { return phases[m.rec.Phase].waits == powerOps && !m.granted }},
			"queue": {len(sums.queue), func(m *member) bool {
				return phases[m.rec.Phase].waits != free && !m.granted && !m.leaving
			}},
		} {
			if want := count(in.members, row.is); row.got != want {
				t.Fatalf("%s: %d, want %d", what, row.got, want)
			}
		}
	})
}

// holds is the budget that a member uses up.
func holds(m *member) budget {
	if m.granted {
		return phases[m.rec.Phase].waits
	}
	return phases[m.rec.Phase].holds
}
