package soak

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// tolerance is by how much a measure may be higher at the end than at the beginning: a part of it, and an amount.
type tolerance struct {
	share  float64
	amount float64
	// most is what it may never be above.
	most float64
}

// tolerances are by the names of metrics. The program's heap breathes, the journal's file grows in steps, the rest is counted.
var tolerances = map[string]tolerance{
	"go_goroutines":                  {0, 10, 400},
	"process_open_fds":               {0, 6, 200},
	"process_resident_memory_bytes":  {0.15, 16 << 20, 600 << 20},
	"go_memstats_heap_objects":       {0.25, 40_000, 3_000_000},
	"journal_bytes":                  {0.5, 256 << 10, 32 << 20},
	"vspherepool_machines{terminal}": {0.5, 20, 200},
	"vspherepool_view_age_seconds":   {0, 10, 60},
	"vspherepool_outage":             {0, 0, 0},
	"vspherepool_frozen":             {0, 0, 0},
}

// measures are what the process holds in one calm: the least of several looks each, as a collection may be due at any of them.
type measures map[string]float64

// parseMetrics reads what the tolerances are about from Prometheus' text.
func parseMetrics(text string) measures {
	m := measures{}
	for line := range strings.Lines(text) {
		name, rest, found := strings.Cut(strings.TrimSpace(line), " ")
		value, err := strconv.ParseFloat(rest, 64)
		if !found || err != nil || strings.HasPrefix(line, "#") {
			continue
		}
		if state, terminal := strings.CutPrefix(name, "vspherepool_machines{state="); terminal &&
			(strings.Contains(state, "TERMINATED") || strings.Contains(state, "REJECTED")) {
			m["vspherepool_machines{terminal}"] += value
		}
		if _, watched := tolerances[name]; watched {
			m[name] = value
		}
	}
	return m
}

// floor keeps the lower of two looks.
func (m measures) floor(other measures) measures {
	low := maps.Clone(other)
	for name, value := range m {
		if v, seen := low[name]; !seen || value < v {
			low[name] = value
		}
	}
	return low
}

// growth says what has grown over the calms of one process: the median of the last quarter is compared with that of the first quarter after
// the warm-up, which is another quarter. Fewer than eight calms show no trend, and are only held against the limits.
func growth(calms []measures) (violations []string) {
	for _, name := range slices.Sorted(maps.Keys(tolerances)) {
		allowed := tolerances[name]
		for i, m := range calms {
			if m[name] > allowed.most {
				violations = append(violations, fmt.Sprintf("%s is %.0f in calm %d, the limit is %.0f", name, m[name], i, allowed.most))
			}
		}
		if early, late, ok := trend(calms, name); ok && late > early*(1+allowed.share)+allowed.amount {
			violations = append(violations, fmt.Sprintf("%s grew from %.0f to %.0f", name, early, late))
		}
	}
	return violations
}

// trend is a measure at the beginning and at the end.
func trend(calms []measures, name string) (early, late float64, ok bool) {
	quarter := len(calms) / 4
	if quarter < 2 {
		return 0, 0, false
	}
	return median(calms[quarter:2*quarter], name), median(calms[len(calms)-quarter:], name), true
}

func median(calms []measures, name string) float64 {
	var values []float64
	for _, m := range calms {
		values = append(values, m[name])
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func TestGrowthIsSeen(t *testing.T) {
	calms := func(n int, goroutines func(i int) float64) []measures {
		var all []measures
		for i := range n {
			all = append(all, measures{"go_goroutines": goroutines(i)})
		}
		return all
	}
	for name, test := range map[string]struct {
		calms []measures
		grows bool
	}{
		"flat":              {calms(40, func(int) float64 { return 60 }), false},
		"noise":             {calms(40, func(i int) float64 { return 60 + float64(i*7%9) }), false},
		"warm-up":           {calms(40, func(i int) float64 { return min(200, 60+20*float64(i)) }), false},
		"leak":              {calms(40, func(i int) float64 { return 60 + float64(i) }), true},
		"one spike":         {calms(40, func(i int) float64 { return 60 + map[bool]float64{true: 200}[i == 39] }), false},
		"falls":             {calms(40, func(i int) float64 { return 100 - float64(i) }), false},
		"too few to tell":   {calms(7, func(i int) float64 { return 60 + 30*float64(i) }), false},
		"above the limit":   {calms(3, func(int) float64 { return 401 }), true},
		"none was measured": {nil, false},
	} {
		if got := growth(test.calms); (len(got) > 0) != test.grows {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// What has no trend is not said to have one, in whatever order its values come; what grows by more than they scatter is.
func TestGrowthIsRobust(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slope := rapid.SampledFrom([]float64{0, 2}).Draw(t, "slope")
		var calms []measures
		for i := range rapid.IntRange(32, 64).Draw(t, "calms") {
			noise := rapid.Float64Range(0, 10).Draw(t, "noise")
			calms = append(calms, measures{"go_goroutines": 60 + slope*float64(i) + noise})
		}
		if got := growth(calms); (len(got) > 0) != (slope > 0) {
			t.Fatalf("slope %g: %q", slope, got)
		}
	})
}

func TestParseMetrics(t *testing.T) {
	m := parseMetrics("# HELP go_goroutines x\n# TYPE go_goroutines gauge\ngo_goroutines 61\nprocess_resident_memory_bytes 3.5e+07\n" +
		"vspherepool_machines{state=\"TERMINATED\"} 4\nvspherepool_machines{state=\"REJECTED\"} 1\n" +
		"vspherepool_machines{state=\"RUNNING\"} 7\nother 1\n")
	if m["go_goroutines"] != 61 || m["process_resident_memory_bytes"] != 3.5e7 || m["vspherepool_machines{terminal}"] != 5 || len(m) != 3 {
		t.Errorf("%v", m)
	}
	low := m.floor(measures{"go_goroutines": 50, "process_open_fds": 3})
	if low["go_goroutines"] != 50 || low["process_open_fds"] != 3 || low["process_resident_memory_bytes"] != 3.5e7 {
		t.Errorf("%v", low)
	}
}
