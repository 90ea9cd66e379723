package vsphere

import "time"

// taskKind is what a task does; tasks of a kind take about as long as each other.
type taskKind int

const (
	cloneTask taskKind = iota
	powerTask
	togetherTask
	destroyTask
	writeTask
)

const (
	// Between two looks at a task there is no less and no more time than this.
	shortestPause = 25 * time.Millisecond
	longestPause  = time.Second
	// A task of which nothing is known is looked at whenever it has grown older by this part of its age; likewise one that takes twice
	// as long as usual.
	agePart = 6
	// One that is known is looked at after three quarters of its usual time, and then in steps of this part of it. So the end is seen soon,
	// in proportion, with less than a look for each of twenty tasks at a time.
	usualPart = 16
	// memory is how slowly tasks that take longer are believed to be the rule; one that takes less is believed at once.
	memory = 8
)

// usual is how long the tasks of a kind took lately, the shorter ones rather.
type usual map[taskKind]time.Duration

// learn takes in how long a task took. One that failed says nothing.
func (u usual) learn(w *waiter, v verdict, now time.Time) {
	took, before := now.Sub(w.since), u[w.kind]
	switch {
	case v.err != nil:
	case before == 0 || took < before:
		u[w.kind] = took
	default:
		u[w.kind] += (took - before) / memory
	}
}

// due is when to look at a task next, after the last look at any, which took so many calls.
func (u usual) due(w *waiter, looked time.Time, calls time.Duration) time.Time {
	known, age := u[w.kind], looked.Sub(w.since)
	pause := known / usualPart
	if known == 0 || age > 2*known {
		pause = age / agePart
	}
	pause = max(pause, shortestPause, known/4*3-age)
	return looked.Add(min(pause, longestPause) * calls)
}
