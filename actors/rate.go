package actors

import (
	"slices"
	"time"

	"vspherepool/vsphere"
)

// rate is how many clones at a time vCenter bears, by experience: additive increase, multiplicative decrease. What is measured is how
// long vCenter lets a clone task wait before it starts it. A value; every method returns the next one; the zero value is full speed.
type rate struct {
	// limit is the number in force; 0 stands for the configured one.
	limit   int
	changed time.Time
	// waits are the latest measurements, heard when the last one came.
	waits [rateSamples]time.Duration
	count int
	heard time.Time
}

const (
	rateSamples = 5
	// rateStep is how often the limit rises by one; a measurement older than that says nothing any more.
	rateStep = time.Minute
	// rateRest is how long a reduction gets to show its effect: one wave of trouble halves once.
	rateRest = 30 * time.Second
	// A queue is long when half of the clones wait longer than longWait, and gone when half wait less than shortWait.
	longWait  = 10 * time.Second
	shortWait = 2 * time.Second
)

// allowance is the number in force under a configured limit.
func (r rate) allowance(limit int) int {
	if r.limit == 0 {
		return limit
	}
	return min(r.limit, limit)
}

// queued notes how long vCenter let a clone wait.
func (r rate) queued(now time.Time, limit int, wait time.Duration) rate {
	r = r.forget(now)
	r.waits[r.count%rateSamples] = wait
	r.count++
	r.heard = now
	if r.median() > longWait {
		return r.pressed(now, limit)
	}
	return r
}

// pressed notes a sign that vCenter has too much to do, or nowhere to put more.
func (r rate) pressed(now time.Time, limit int) rate {
	if r.limit > 0 && now.Sub(r.changed) < rateRest {
		return r
	}
	return rate{limit: max(1, r.allowance(limit)/2), changed: now}
}

// recovered is the rate after the time that has passed since the last change.
func (r rate) recovered(now time.Time, limit int) rate {
	r = r.forget(now)
	switch {
	case r.limit == 0:
		return r
	case r.median() >= shortWait: // time that passes while clones wait does not count, but for the step that is due next
		if due := now.Add(-rateStep); r.changed.Before(due) {
			r.changed = due
		}
		return r
	}
	steps := int(now.Sub(r.changed) / rateStep)
	r.limit += steps
	r.changed = r.changed.Add(time.Duration(steps) * rateStep)
	if r.limit >= limit {
		r.limit = 0
	}
	return r
}

// crowded says whether a step of a launch failed for a cause that fewer launches at a time may cure.
func crowded(cause vsphere.Kind) bool {
	return cause == vsphere.Capacity || cause == vsphere.TooMany || cause == vsphere.Unreachable
}

// forget drops measurements that are out of date.
func (r rate) forget(now time.Time) rate {
	if now.Sub(r.heard) > rateStep {
		r.count = 0
	}
	return r
}

// median is 0 without measurements.
func (r rate) median() time.Duration {
	known := r.waits[:min(r.count, rateSamples)]
	if len(known) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(known))
	return sorted[len(sorted)/2]
}

// next is when time alone will raise the limit; zero: never.
func (r rate) next() time.Time {
	if r.limit == 0 {
		return time.Time{}
	}
	return r.changed.Add(rateStep)
}
