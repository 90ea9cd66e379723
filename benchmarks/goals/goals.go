// Package goals is what vspherepool promises about its speed, in one table that benchmarks, tests and the report of make bench read.
//
// Figures are ratios against a baseline measured in the same run, alternating with it, or counts: times of shared machines mean nothing by
// themselves. Counts are firm: a test compares them with the same limit as the report does, so that exceeding one fails make check. Ratios
// and times are reported only.
package goals

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
)

// Bound is on which side of its limit a figure should be.
type Bound string

// The two bounds.
const (
	AtLeast Bound = "≥"
	AtMost  Bound = "≤"
)

// Goal is a limit for one figure.
type Goal struct {
	// Benchmark is the name under which the figure is measured, as go test prints it, without "Benchmark" and the number of processors.
	Benchmark string `json:"benchmark"`
	// Unit is the figure's own, unique within the benchmark.
	Unit  string  `json:"unit"`
	Bound Bound   `json:"bound"`
	Limit float64 `json:"limit"`
	// Firm goals fail make check when they are missed.
	Firm bool `json:"firm,omitempty"`
	// Text says to a person what is measured.
	Text string `json:"text"`
}

// Met says whether a figure is on the right side.
func (g Goal) Met(figure float64) bool {
	if g.Bound == AtLeast {
		return figure >= g.Limit
	}
	return figure <= g.Limit
}

// Of finds the goal for a benchmark's unit.
func Of(benchmark, unit string) (Goal, bool) {
	i := slices.IndexFunc(Table, func(g Goal) bool { return g.Benchmark == benchmark && g.Unit == unit })
	if i < 0 {
		return Goal{}, false
	}
	return Table[i], true
}

// Check fails a test whose figure misses its goal, which has to be a firm one of the table.
func Check(t testing.TB, benchmark, unit string, figure float64) {
	t.Helper()
	goal, ok := Of(benchmark, unit)
	switch {
	case !ok || !goal.Firm:
		t.Errorf("%s has no firm goal in %s", benchmark, unit)
	case !goal.Met(figure):
		t.Errorf("%s: %g %s, and should be %s: %s; make bench shows all goals", benchmark, figure, unit, goal, goal.Text)
	default:
		t.Logf("%s: %g %s (%s %g)", benchmark, figure, unit, goal.Bound, goal.Limit)
	}
}

// Spread is what the units of a figure's smallest and largest samples end with.
const (
	SpreadMin = "-min"
	SpreadMax = "-max"
)

// Report makes the median of the samples a metric of the benchmark, with their spread.
func Report(b *testing.B, unit string, samples ...float64) {
	b.Helper()
	if len(samples) == 0 {
		b.Fatalf("no samples of %s", unit)
	}
	sorted := slices.Sorted(slices.Values(samples))
	b.ReportMetric(0, "ns/op") // the time of the whole benchmark says nothing
	b.ReportMetric(median(sorted), unit)
	if len(sorted) > 1 {
		b.ReportMetric(sorted[0], unit+SpreadMin)
		b.ReportMetric(sorted[len(sorted)-1], unit+SpreadMax)
	}
}

// Virtually runs part of a benchmark in virtual time.
func Virtually(b *testing.B, run func(t *testing.T)) {
	b.Helper()
	all := func(string, string) (bool, error) { return true, nil }
	if !testing.RunTests(all, []testing.InternalTest{{Name: b.Name(), F: func(t *testing.T) { synctest.Test(t, run) }}}) {
		b.Fatal("it failed in virtual time, see above")
	}
}

func median(sorted []float64) float64 {
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// String is the goal as the report shows it: "≥ 0.9".
func (g Goal) String() string { return fmt.Sprintf("%s %g", g.Bound, g.Limit) }
