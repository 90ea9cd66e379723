package actors

import "time"

// tally is what a plan and its rails count of the members, in one pass over them: a pool has many, and a pass comes with every change.
type tally struct {
	active, live int
	// disposable members are to go, queued ones wait for the first turn of their life.
	disposable, queued int
	// known members have a VM; unknown are those of them that vCenter cannot tell about, and nobody has condoned.
	known, unknown int
	// unreachable counts all that vCenter cannot tell about.
	unreachable int
	// replacing members stand for others that were lost, making ones have yet to prove that the template works.
	replacing, making int
	// held and waiting are the turns of each budget that are used up, and waited for.
	held, waiting [budgets]int
	// queue are the members that wait for a turn, in no particular order.
	queue []*member
	// retry is when the next failed step may be tried again; zero: there is none.
	retry time.Time
}

// tally counts the members, unless that was done already.
func (in planInput) tally() tally {
	if in.sums != nil {
		return *in.sums
	}
	var t tally
	var last phase
	var info phaseInfo
	for _, m := range in.members {
		if m.rec.Phase != last {
			last, info = m.rec.Phase, phases[m.rec.Phase]
		}
		t.add(m, &info)
		t.addTurns(m, &info)
		if m.notBefore.After(in.now) && (t.retry.IsZero() || m.notBefore.Before(t.retry)) {
			t.retry = m.notBefore
		}
	}
	return t
}

// count is the same input with the members counted.
func (in planInput) count() planInput {
	sums := in.tally()
	in.sums = &sums
	return in
}

func (t *tally) add(m *member, info *phaseInfo) {
	t.live += one(m.rec.Phase.live())
	if !info.state.Allocated() {
		return
	}
	active := m.rec.Status.Active && !m.rec.Status.Hold
	t.active += one(active && !m.leaving)
	t.disposable += one(!active && m.rec.evictable() && !m.leaving)
	t.queued += one(m.rec.Phase == requested && !m.leaving)
	t.known += one(m.rec.Ref != "")
	t.unknown += one(m.unknown && !m.condoned)
	t.unreachable += one(m.unknown)
	t.replacing += one(m.rec.Replacement && replacing(m))
}

func (t *tally) addTurns(m *member, info *phaseInfo) {
	holds := info.holds
	switch {
	case m.granted:
		holds = info.waits
	case m.rec.Phase == verifying && !m.notBefore.IsZero(): // or clones that nobody can check would be made without end
		holds = creates
	}
	t.held[holds]++
	t.making += one(holds == creates || m.unproven())
	if info.waits == free || m.granted {
		return
	}
	t.waiting[info.waits]++
	if !m.leaving {
		t.queue = append(t.queue, m)
	}
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}
