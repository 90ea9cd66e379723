package actors

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics, in Prometheus' terms: what happens is counted as it happens, and how things stand is asked of the pool at each scrape.

// events counts what happens to a pool. Its methods are called by the supervisor only, and cost it no more than an addition.
type events struct {
	requested *prometheus.CounterVec
	failed    *prometheus.CounterVec
	boots     prometheus.Counter
	rejected  prometheus.Counter
	lost      prometheus.Counter
	outages   prometheus.Counter
	journal   prometheus.Counter
	launches  prometheus.Histogram
}

// launchBuckets in seconds fit clones and boots, which take minutes.
var launchBuckets = []float64{15, 30, 60, 120, 300, 600, 1200, 2400}

// The causes of a request.
const (
	growth      = "growth"
	replacement = "replacement"
)

func newEvents() *events {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Name: "vspherepool_" + name, Help: help}
	}
	e := &events{
		requested: prometheus.NewCounterVec(counter("machines_requested_total",
			"Machines that the pool decided to make, by cause: growth or replacement."), []string{"cause"}),
		failed: prometheus.NewCounterVec(counter("launch_failures_total",
			"Launches that vSphere refused, by the kind of fault."), []string{"kind"}),
		boots:    prometheus.NewCounter(counter("boot_failures_total", "Machines that were made and never got ready.")),
		rejected: prometheus.NewCounter(counter("machines_rejected_total", "Machines given up as REJECTED.")),
		lost: prometheus.NewCounter(counter("machines_lost_total",
			"Machines that went away without the pool's doing: deleted, powered off, or no longer provably its own.")),
		outages: prometheus.NewCounter(counter("outages_total", "Times that vSphere began to be unreadable.")),
		journal: prometheus.NewCounter(counter("journal_failures_total", "Times that the journal began to be unwritable.")),
		launches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "vspherepool_launch_duration_seconds", Buckets: launchBuckets,
			Help: "Time from the decision to make a machine until it was RUNNING.",
		}),
	}
	for _, cause := range []string{growth, replacement} {
		e.requested.WithLabelValues(cause)
	}
	return e
}

func (e *events) collectors() []prometheus.Collector {
	return []prometheus.Collector{e.requested, e.failed, e.boots, e.rejected, e.lost, e.outages, e.journal, e.launches}
}

// request counts a machine that was decided on, to replace a lost one or for its own sake.
func (e *events) request(replaces bool) {
	cause := growth
	if replaces {
		cause = replacement
	}
	e.requested.WithLabelValues(cause).Inc()
}

// change counts what a machine's report says, next to what was known of it.
func (e *events) change(before, after record, o launchOutcome) {
	switch o.verdict {
	case launchSucceeded:
		e.launches.Observe(time.Since(after.Requested).Seconds())
	case launchFailed:
		e.failed.WithLabelValues(o.cause.String()).Inc()
	case bootFailed:
		e.boots.Inc()
	case noVerdict:
	}
	if before.Phase == after.Phase {
		return
	}
	switch after.Phase {
	case rejected:
		e.rejected.Inc()
	case lost, givenUp, released:
		if before.allocated() {
			e.lost.Inc()
		}
	default:
	}
}

// outage counts the beginning of one.
func (e *events) outage() { e.outages.Inc() }

// journalFailed counts the beginning of a time in which nothing can be recorded.
func (e *events) journalFailed() { e.journal.Inc() }

// scrapeTime is how long a scrape waits for the pool; Prometheus itself gives up after ten seconds.
const scrapeTime = 5 * time.Second

// condition is one of the numbers that say how a pool stands.
type condition int

const (
	machinesNow condition = iota
	desiredNow
	requestedNow
	allocatedNow
	activeNow
	railLimit
	railValue
	railHolding
	startedNow
	outageNow
	blockedNow
	journalNow
	frozenNow
	viewAge
	unreachableNow
	orphansNow
	foreignNow
)

// conditions are the numbers' names, meanings and labels.
var conditions = [...]struct {
	name, help string
	label      string
}{
	machinesNow:    {"machines", "Machines listed, by state.", "state"},
	desiredNow:     {"desired_size", "Desired size in force, within the bounds.", ""},
	requestedNow:   {"requested_size", "Desired size that was asked for.", ""},
	allocatedNow:   {"allocated", "Machines in REQUESTED, PENDING or RUNNING.", ""},
	activeNow:      {"active", "Allocated machines that count towards the desired size.", ""},
	railLimit:      {"rail_limit", "Where a rail begins to hold, in its own unit; 0 is nowhere.", "rail"},
	railValue:      {"rail_value", "How much of a rail's limit is used.", "rail"},
	railHolding:    {"rail_holding", "1 while a rail holds something back.", "rail"},
	startedNow:     {"started", "1 while the pool is started.", ""},
	outageNow:      {"outage", "1 while vSphere cannot be read.", ""},
	blockedNow:     {"blocked", "1 while no machines can be made.", ""},
	journalNow:     {"journal_failing", "1 while the journal cannot be written.", ""},
	frozenNow:      {"frozen", "1 while the pool holds still, by itself or by order.", ""},
	viewAge:        {"view_age_seconds", "Time since vSphere was last seen whole.", ""},
	unreachableNow: {"unreachable", "Machines whose VMs vCenter cannot tell about.", ""},
	orphansNow:     {"orphans", "VMs that carry the pool's mark without being members.", ""},
	foreignNow:     {"foreign_vms", "Other VMs in the pool's folder.", ""},
}

// subject is what is asked for the conditions: a [Pool].
type subject interface {
	View(ctx context.Context) (View, error)
	standing(ctx context.Context) (standing, error)
}

// collector is a pool as Prometheus sees it.
type collector struct {
	pool   subject
	events *events
	descs  [len(conditions)]*prometheus.Desc
}

// Collector is the pool's metrics, to be registered once. A collection takes five seconds at most; what the pool does not tell in that
// time, or cannot know, is left out.
func (p *Pool) Collector() prometheus.Collector { return newCollector(p, p.events) }

func newCollector(pool subject, events *events) *collector {
	c := &collector{pool: pool, events: events}
	for i, info := range conditions {
		var labels []string
		if info.label != "" {
			labels = []string{info.label}
		}
		c.descs[i] = prometheus.NewDesc("vspherepool_"+info.name, info.help, labels, nil)
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
	for _, e := range c.events.collectors() {
		e.Describe(out)
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	for _, e := range c.events.collectors() {
		e.Collect(out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	c.ask(ctx, func(n condition, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(c.descs[n], prometheus.GaugeValue, value, labels...)
	})
}

func (c *collector) ask(ctx context.Context, tell teller) {
	if s, err := c.pool.standing(ctx); err == nil {
		tellStatus(tell, s.status)
		tellFreeze(tell, s.freeze)
	}
	if v, err := c.pool.View(ctx); err == nil {
		tellView(tell, v)
	}
}

// teller takes one number of a scrape.
type teller func(n condition, value float64, labels ...string)

func tellStatus(tell teller, s Status) {
	tell(startedNow, yes(s.Started))
	tell(outageNow, yes(s.Outage != ""))
	tell(blockedNow, yes(s.Blocked != ""))
	tell(journalNow, yes(s.Journal != ""))
	tell(unreachableNow, float64(s.Unreachable))
	tell(orphansNow, float64(s.Orphans))
	tell(foreignNow, float64(s.Foreign))
	if !s.Observed.IsZero() {
		tell(viewAge, time.Since(s.Observed).Seconds())
	}
}

func tellFreeze(tell teller, f Freeze) {
	tell(frozenNow, yes(f.Frozen))
	for _, r := range f.Rails {
		tell(railLimit, float64(r.Limit), r.Name)
		tell(railValue, float64(r.Value), r.Name)
		tell(railHolding, yes(r.Holding), r.Name)
	}
}

func tellView(tell teller, v View) {
	states := map[MachineState]int{Requested: 0, Pending: 0, Running: 0, Terminating: 0, Terminated: 0, Rejected: 0}
	for _, m := range v.Machines {
		states[m.State]++
	}
	for state, n := range states {
		tell(machinesNow, float64(n), string(state))
	}
	tell(desiredNow, float64(v.Size.Desired))
	tell(requestedNow, float64(v.Size.Requested))
	tell(allocatedNow, float64(v.Size.Allocated))
	tell(activeNow, float64(v.Size.Active))
}

// yes is 1 for true.
func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
