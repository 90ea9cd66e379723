package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var auditEpoch = time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)

// sized is somebody's request for a size at a second, which was the size before already, or not.
func sized(second int, host string, before, size int) entry {
	return entry{
		Time: auditEpoch.Add(time.Duration(second) * time.Second), Request: fmt.Sprint("r", second), Who: &who{
			Name: "scaler", Role: "autoscaler", By: "password",
		},
		From: host + ":4000", host: host, Method: "POST", Route: "/pool/size", Status: 200, Arguments: facts{"desiredSize": size},
		Before: sizeFacts(before), After: sizeFacts(size), acts: before != size,
	}
}

// rejected is a refusal.
func rejected(second int, host, machine string) entry {
	return entry{
		Time: auditEpoch.Add(time.Duration(second) * time.Second), From: host + ":4000", host: host, Method: "POST",
		Route: "/pool/terminate", Machine: machine, Status: 404, Reason: "unrecognized machine",
	}
}

// told is what lines say, in short.
func told(lines []entry) string {
	var words []string
	for _, e := range lines {
		word := fmt.Sprintf("%s:%d", e.host, e.Status)
		switch {
		case e.Suppressed > 0:
			word = fmt.Sprintf("%s+%d", e.From, e.Suppressed)
		case e.Repeated > 0:
			word += fmt.Sprintf("x%d", e.Repeated)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestLedger(t *testing.T) {
	limits := auditLimits{reminder: time.Hour, window: time.Minute, refusals: 2, subjects: 3, origins: 2}
	repeat := func(n int, e func(i int) entry) (all []entry) {
		for i := range n {
			all = append(all, e(i))
		}
		return all
	}
	tests := map[string]struct {
		entries []entry
		// lines are those written on the way, at the end of an hour, and at the close.
		lines, expired, closed string
	}{
		"one change":  {[]entry{sized(0, "a", 1, 2)}, "a:200", "", ""},
		"the same":    {repeat(5, func(i int) entry { return sized(i, "a", 2, 2) }), "a:200", "a:200x4", ""},
		"up and down": {repeat(4, func(i int) entry { return sized(i, "a", 1+i%2, 2-i%2) }), "a:200 a:200 a:200 a:200", "", ""},
		"the same, then another": {
			[]entry{sized(0, "a", 2, 2), sized(1, "a", 2, 2), sized(2, "a", 2, 2), sized(3, "a", 2, 3), sized(4, "a", 3, 3)},
			"a:200 a:200x2 a:200 a:200", "", "",
		},
		"two callers": {
			repeat(6, func(i int) entry { return sized(i, []string{"a", "b"}[i%2], 2, 2) }), "a:200 b:200",
			"a:200x2 b:200x2", "",
		},
		"refused again":        {repeat(9, func(i int) entry { return rejected(i, "a", "m") }), "a:404", "a:404x8", ""},
		"refused many":         {repeat(9, func(i int) entry { return rejected(i, "a", fmt.Sprint(i)) }), "a:404 a:404", "a+7", ""},
		"refused, next minute": {repeat(4, func(i int) entry { return rejected(i*25, "a", fmt.Sprint(i)) }), "a:404 a:404 a+1 a:404", "", ""},
		"flood and change": {
			append(repeat(5, func(i int) entry { return rejected(i, "a", fmt.Sprint(i)) }), sized(6, "a", 1, 2)), "a:404 a:404 a:200", "a+3", "",
		},
		"many subjects": {
			append(repeat(2, func(i int) entry { return sized(i, "z", 2, 2) }), repeat(3, func(i int) entry {
				return sized(i+2, fmt.Sprint(i), 2,
					2)
			})...),
			"z:200 0:200 1:200 z:200x1 2:200", "", "",
		},
		"many origins": {
			append(repeat(3, func(i int) entry { return rejected(i, "z", fmt.Sprint(i)) }),
				rejected(3, "a", "m"), rejected(4, "b", "m")), "z:404 z:404 a:404 z+1 b:404", "", "",
		},
		"refused, clock set back": {
			append(repeat(4, func(i int) entry { return rejected(i+7200, "a", fmt.Sprint(i)) }),
				repeat(3, func(i int) entry { return rejected(i, "a", fmt.Sprint("n", i)) })...), "a:404 a:404 a+2 a:404 a:404", "a+1", "",
		},
		"refused, a little out of order": {
			repeat(4, func(i int) entry { return rejected(100-10*i, "a", fmt.Sprint(i)) }), "a:404 a:404", "a+2", "",
		},
		"owed at the close": {repeat(3, func(i int) entry { return sized(i+3600, "a", 2, 2) }), "a:200", "", "a:200x2"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLedger(limits)
			var lines []entry
			for _, e := range test.entries {
				lines = append(lines, l.admit(e)...)
			}
			later := auditEpoch.Add(time.Hour + 10*time.Second)
			got := [...]string{told(lines), told(l.expire(later)), told(l.close(later))}
			if want := [...]string{test.lines, test.expired, test.closed}; got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

// TestGuessingShowsSoon: who watches for refusals learns within two windows that they go on.
func TestGuessingShowsSoon(t *testing.T) {
	l := newLedger(defaultAuditLimits)
	for second := range 60 {
		l.admit(rejected(second, "a", "m"))
		l.admit(sized(second, "b", 2, 2))
	}
	if got := told(l.expire(auditEpoch.Add(61 * time.Second))); got != "a:404x59" {
		t.Errorf("after a minute: %s", got)
	}
}

func TestALineOfRepetitionsSaysSinceWhen(t *testing.T) {
	l := newLedger(defaultAuditLimits)
	l.admit(sized(0, "a", 2, 2))
	l.admit(sized(10, "a", 2, 2))
	l.admit(sized(20, "a", 2, 2))
	lines := l.close(auditEpoch.Add(time.Minute))
	if len(lines) != 1 || lines[0].Since != auditEpoch.Add(10*time.Second) || lines[0].Time != auditEpoch.Add(20*time.Second) ||
		lines[0].Request != "r20" {
		t.Errorf("%+v", lines)
	}
}

// TestLedgerLosesNothing says for any history that each change has its line, that all others are written or counted, and that no more is
// remembered than the limits say.
func TestLedgerLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := auditLimits{
			reminder: time.Hour, window: time.Minute, refusals: rapid.IntRange(1, 3).Draw(t, "refusals"),
			subjects: rapid.IntRange(1, 4).Draw(t, "subjects"), origins: rapid.IntRange(1, 3).Draw(t, "origins"),
		}
		l := newLedger(limits)
		var entries, lines []entry
		second := 0
		for range rapid.IntRange(0, 60).Draw(t, "entries") {
			second += rapid.SampledFrom([]int{0, 1, 40, 1800, 4000}).Draw(t, "pause")
			host := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "host")
			e := sized(second, host, rapid.IntRange(1, 2).Draw(t, "before"), 2)
			if rapid.Bool().Draw(t, "refused") {
				e = rejected(second, host, rapid.SampledFrom([]string{"m", "n", "o"}).Draw(t, "machine"))
			}
			entries = append(entries, e)
			lines = append(lines, l.admit(e)...)
			if rapid.Bool().Draw(t, "tick") {
				lines = append(lines, l.expire(e.Time)...)
			}
			if len(l.subjects) > limits.subjects || len(l.origins) > limits.origins {
				t.Fatalf("%d subjects and %d origins are remembered", len(l.subjects), len(l.origins))
			}
		}
		lines = append(lines, l.close(auditEpoch.Add(time.Duration(second)*time.Second))...)
		accounted := 0
		for _, e := range lines {
			accounted += max(1, e.Repeated+e.Suppressed)
		}
		if accounted != len(entries) {
			t.Fatalf("%d entries are accounted for, of %d: %s", accounted, len(entries), told(lines))
		}
		acts := func(e entry) bool { return e.acts && e.Repeated == 0 }
		if written, made := count(lines, acts), count(entries, acts); written != made {
			t.Fatalf("%d changes of %d are written", written, made)
		}
	})
}

func count(all []entry, is func(entry) bool) int {
	n := 0
	for range slices.Values(slices.DeleteFunc(slices.Clone(all), func(e entry) bool { return !is(e) })) {
		n++
	}
	return n
}
