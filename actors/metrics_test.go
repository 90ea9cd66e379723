package actors

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"vspherepool/vsphere"
)

// metricsOf is what a collector tells in one scrape, by name and labels; of a histogram its count.
func metricsOf(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, family := range families {
		var text strings.Builder
		if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(text.String()) {
			line = strings.TrimSpace(line)
			cut := strings.LastIndexByte(line, ' ')
			if value, err := strconv.ParseFloat(line[cut+1:], 64); err == nil && line[0] != '#' {
				found[strings.TrimPrefix(line[:cut], "vspherepool_")] = value
			}
		}
	}
	return found
}

func expectMetrics(t *testing.T, got map[string]float64, want map[string]float64) {
	t.Helper()
	for name, value := range want {
		if v, told := got[name]; !told || v != value {
			t.Errorf("%s is %v (told: %t), want %v", name, v, told, value)
		}
	}
}

// scriptedSubject is a pool that answers what it is told to.
type scriptedSubject struct {
	view   View
	status Status
	freeze Freeze
	// unreadable pools have no view, dead ones answer nothing.
	unreadable, dead error
}

func (s scriptedSubject) View(context.Context) (View, error) {
	return s.view, errors.Join(s.unreadable, s.dead)
}

func (s scriptedSubject) standing(context.Context) (standing, error) {
	return standing{s.status, s.freeze}, s.dead
}

func TestMetricsOfConditions(t *testing.T) {
	pool := scriptedSubject{
		view: View{
			Machines: []*Machine{{State: Running}, {State: Running}, {State: Pending}},
			Size:     Size{Desired: 3, Requested: 5, Allocated: 3, Active: 2},
		},
		status: Status{Started: true, Outage: "away", Orphans: 4, Foreign: 6, Observed: time.Now().Add(-time.Hour)},
		freeze: Freeze{Frozen: true, Rails: []Rail{
			{Name: "churn", Limit: 20, Value: 21, Holding: true}, {Name: "ceiling", Value: 9},
		}},
	}
	got := metricsOf(t, newCollector(pool, newEvents()))
	if age := got["view_age_seconds"]; age < 3600 || age > 3700 {
		t.Errorf("the view is %v seconds old", age)
	}
	expectMetrics(t, got, map[string]float64{
		`machines{state="RUNNING"}`: 2, `machines{state="PENDING"}`: 1, `machines{state="REQUESTED"}`: 0, `machines{state="TERMINATING"}`: 0,
		`machines{state="TERMINATED"}`: 0, `machines{state="REJECTED"}`: 0,
		"desired_size": 3, "requested_size": 5, "allocated": 3, "active": 2,
		"started": 1, "outage": 1, "blocked": 0, "frozen": 1, "orphans": 4, "foreign_vms": 6,
		`rail_limit{rail="churn"}`: 20, `rail_value{rail="churn"}`: 21, `rail_holding{rail="churn"}`: 1,
		`rail_limit{rail="ceiling"}`: 0, `rail_value{rail="ceiling"}`: 9, `rail_holding{rail="ceiling"}`: 0,
		`machines_requested_total{cause="growth"}`: 0, `machines_requested_total{cause="replacement"}`: 0,
	})
}

// TestMetricsLeaveOutWhatIsUnknown says that a number which cannot be known is absent rather than 0.
func TestMetricsLeaveOutWhatIsUnknown(t *testing.T) {
	got := metricsOf(t, newCollector(scriptedSubject{unreadable: errDown, status: Status{Blocked: "no template"}}, newEvents()))
	expectMetrics(t, got, map[string]float64{"blocked": 1, "started": 0, "frozen": 0})
	for _, name := range []string{"desired_size", "active", "view_age_seconds", `machines{state="RUNNING"}`} {
		if _, told := got[name]; told {
			t.Errorf("%s is told of a pool without a view", name)
		}
	}
	got = metricsOf(t, newCollector(scriptedSubject{dead: errDown}, newEvents()))
	expectMetrics(t, got, map[string]float64{"outages_total": 0})
	if _, told := got["outage"]; told {
		t.Errorf("a pool that does not answer tells %v", slices.Sorted(maps.Keys(got)))
	}
}

func TestMetricsOfEvents(t *testing.T) {
	e := newEvents()
	e.request(false)
	e.request(false)
	e.request(true)
	e.outage()
	began := record{Phase: requested, Requested: time.Now().Add(-time.Minute)}
	in := func(p phase) record { return record{Phase: p, Requested: began.Requested} }
	for _, change := range []struct {
		before, after record
		outcome       launchOutcome
	}{
		{in(booting), in(running), launchOutcome{verdict: launchSucceeded}},
		{in(running), in(running), launchOutcome{}},
		{in(requested), in(rejected), launchOutcome{verdict: launchFailed, cause: vsphere.Capacity}},
		{in(rejected), in(rejected), launchOutcome{}},
		{in(booting), in(givenUp), launchOutcome{verdict: bootFailed}},
		{in(givenUp), in(clearing), launchOutcome{}},
		{in(running), in(lost), launchOutcome{}},
		{in(running), in(released), launchOutcome{}},
		{in(destroying), in(terminated), launchOutcome{}},
	} {
		e.change(change.before, change.after, change.outcome)
	}
	expectMetrics(t, metricsOf(t, newCollector(scriptedSubject{}, e)), map[string]float64{
		`machines_requested_total{cause="growth"}`: 2, `machines_requested_total{cause="replacement"}`: 1, "outages_total": 1,
		"boot_failures_total": 1, "machines_rejected_total": 1, "machines_lost_total": 3,
		"launch_duration_seconds_count": 1, `launch_duration_seconds_bucket{le="30"}`: 0, `launch_duration_seconds_bucket{le="120"}`: 1,
	})
	var failures float64
	for name, value := range metricsOf(t, newCollector(scriptedSubject{}, e)) {
		if strings.HasPrefix(name, "launch_failures_total{kind=") {
			failures += value
		}
	}
	if failures != 1 {
		t.Errorf("%v failed launches are counted", failures)
	}
}

// TestMetricsOfALife follows a pool: it grows, loses a machine, loses vSphere, and gets both back.
func TestMetricsOfALife(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(3)
		r.after(2 * time.Minute)
		collector := r.pool.Collector()
		expectMetrics(t, metricsOf(t, collector), map[string]float64{
			`machines{state="RUNNING"}`: 3, "desired_size": 3, "active": 3, "started": 1, "outage": 0, "outages_total": 0,
			`machines_requested_total{cause="growth"}`: 3, "launch_duration_seconds_count": 3, `launch_duration_seconds_bucket{le="60"}`: 3,
		})
		r.world.turnOff(vsphere.Ref(r.in(Running)[0].Metadata.VM))
		r.after(5 * time.Minute)
		r.world.setDown(errDown)
		r.after(2 * time.Minute)
		got := metricsOf(t, collector)
		expectMetrics(t, got, map[string]float64{"machines_lost_total": 1, "outage": 1, "outages_total": 1, "launch_duration_seconds_count": 4})
		if age := got["view_age_seconds"]; age < 60 || age > 150 {
			t.Errorf("the view is %v seconds old", age)
		}
		r.world.setDown(nil)
		r.after(2 * time.Minute)
		got = metricsOf(t, collector)
		expectMetrics(t, got, map[string]float64{`machines{state="RUNNING"}`: 3, "outage": 0, "outages_total": 1})
		if age := got["view_age_seconds"]; age > 60 {
			t.Errorf("the view is %v seconds old", age)
		}
	})
}

func TestAMachineIsLostOnce(t *testing.T) {
	e := newEvents()
	one, two, three := record{Phase: running}, record{Phase: givenUp}, record{Phase: lost}
	e.change(one, two, launchOutcome{})
	e.change(two, three, launchOutcome{})
	expectMetrics(t, metricsOf(t, e.lost), map[string]float64{"machines_lost_total": 1})
}
