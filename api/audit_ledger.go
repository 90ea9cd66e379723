package api

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// auditLimits bound how much the audit log says, and how much is remembered for that.
type auditLimits struct {
	// reminder is how long entries are only counted that repeat the one before; for refusals it is window, as somebody may be watching.
	reminder time.Duration
	// window is the time in which one address gets refusals lines of its own for what it was refused.
	window   time.Duration
	refusals int
	// subjects and origins are remembered; more of them displace the oldest.
	subjects, origins int
}

var defaultAuditLimits = auditLimits{reminder: time.Hour, window: time.Minute, refusals: 60, subjects: 1024, origins: 256}

// ledger decides which entries get a line of their own. What changed something always does. An entry that repeats the one before on its
// subject is counted, for an autoscaler sets the size that is set already every few seconds; of refusals, an address has so many a window.
// It is a function of what it is told; it has no clock.
type ledger struct {
	limits   auditLimits
	subjects map[string]*sighting
	origins  map[string]*origin
}

// sighting is the last entry on a subject, and how often it came again.
type sighting struct {
	entry
	content string
	again   int
	// since is when the first of the repetitions came, seen the last of all.
	since, seen time.Time
}

// origin is what an address was refused since a window began.
type origin struct {
	began             time.Time
	lines, suppressed int
}

func newLedger(l auditLimits) *ledger {
	return &ledger{limits: l, subjects: map[string]*sighting{}, origins: map[string]*origin{}}
}

// admit takes an entry in and gives the lines to write now, in their order.
func (l *ledger) admit(e entry) []entry {
	subject, content := e.subject(), e.content()
	last := l.subjects[subject]
	if last != nil && last.content == content && !e.acts {
		last.repeat(e)
		return nil
	}
	lines := l.forget(subject)
	if e.refused() {
		summary, room := l.room(e)
		lines = append(lines, summary...)
		if !room {
			return lines
		}
	}
	lines = append(lines, l.makeRoom()...)
	l.subjects[subject] = &sighting{entry: e, content: content, seen: e.Time}
	return append(lines, e)
}

func (s *sighting) repeat(e entry) {
	if s.again == 0 {
		s.since = e.Time
	}
	s.again++
	s.entry, s.seen = e, e.Time
}

// told is the line about the repetitions, none if there were none.
func (s *sighting) told() []entry {
	if s.again == 0 {
		return nil
	}
	e := s.entry
	e.Repeated, e.Since = s.again, s.since
	s.again = 0
	return []entry{e}
}

func (l *ledger) forget(subject string) []entry {
	last := l.subjects[subject]
	delete(l.subjects, subject)
	if last == nil {
		return nil
	}
	return last.told()
}

// makeRoom forgets the subject that was quiet for the longest time if there is no place for another one.
func (l *ledger) makeRoom() []entry {
	if len(l.subjects) < l.limits.subjects {
		return nil
	}
	return l.forget(oldest(l.subjects, func(s *sighting) time.Time { return s.seen }))
}

// room says whether a refusal may have a line, with the summary of the window before if this one opens another.
func (l *ledger) room(e entry) (summary []entry, room bool) {
	o := l.origins[e.host]
	if o == nil || apart(o.began, e.Time, l.limits.window) {
		summary = l.closeWindow(e.host, e.Time)
		if len(l.origins) >= l.limits.origins {
			summary = append(summary, l.closeWindow(oldest(l.origins, func(o *origin) time.Time { return o.began }), e.Time)...)
		}
		o = &origin{began: e.Time}
		l.origins[e.host] = o
	}
	if o.lines >= l.limits.refusals {
		o.suppressed++
		return summary, false
	}
	o.lines++
	return summary, true
}

// closeWindow says how many refusals of an address had no line, if any.
func (l *ledger) closeWindow(host string, now time.Time) []entry {
	o := l.origins[host]
	delete(l.origins, host)
	if o == nil || o.suppressed == 0 {
		return nil
	}
	return []entry{{
		Time: now, From: host, Reason: "more refusals than are written one by one", Suppressed: o.suppressed, Since: o.began,
	}}
}

// expire gives the lines that are due by the time alone, and forgets what no entry is compared with any more.
func (l *ledger) expire(now time.Time) []entry {
	var lines []entry
	for _, subject := range slices.Sorted(maps.Keys(l.subjects)) {
		s := l.subjects[subject]
		switch {
		case s.again > 0 && apart(s.since, now, l.patience(s.entry)):
			lines = append(lines, s.told()...)
		case s.again == 0 && apart(s.seen, now, l.limits.reminder):
			delete(l.subjects, subject)
		}
	}
	for _, host := range slices.Sorted(maps.Keys(l.origins)) {
		if apart(l.origins[host].began, now, l.limits.window) {
			lines = append(lines, l.closeWindow(host, now)...)
		}
	}
	return lines
}

// patience is how long repetitions of an entry are only counted.
func (l *ledger) patience(e entry) time.Duration {
	if e.refused() {
		return l.limits.window
	}
	return l.limits.reminder
}

// close gives all lines that are owed.
func (l *ledger) close(now time.Time) []entry {
	var lines []entry
	for _, subject := range slices.Sorted(maps.Keys(l.subjects)) {
		lines = append(lines, l.forget(subject)...)
	}
	for _, host := range slices.Sorted(maps.Keys(l.origins)) {
		lines = append(lines, l.closeWindow(host, now)...)
	}
	return lines
}

// idle says that the time alone brings no more lines.
func (l *ledger) idle() bool { return len(l.subjects)+len(l.origins) == 0 }

// apart says that a time is over since then, or that the clock was set back by as much: until it had caught up, nothing would be written.
func apart(then, now time.Time, least time.Duration) bool { return now.Sub(then).Abs() >= least }

// oldest is the key whose time is the earliest, the first of several by its name.
func oldest[T any](all map[string]T, at func(T) time.Time) string {
	return slices.MinFunc(slices.Collect(maps.Keys(all)), func(a, b string) int {
		return cmp.Or(at(all[a]).Compare(at(all[b])), cmp.Compare(a, b))
	})
}
