package actors

import "math"

// The victim selection policies.
const (
	Newest = "NEWEST"
	Oldest = "OLDEST"
)

// victims picks n machines to scale in, of those that may go: REQUESTED first, then not ready and unhealthy ones, by policy, and by id.
func victims(members []*member, n int, policy string) []*member {
	if n <= 0 {
		return nil
	}
	may := make([]keyed, 0, len(members))
	for _, m := range members {
		if m.leaving || m.unknown || !m.rec.evictable() { // what cannot be reached cannot be stopped either
			continue
		}
		if state := m.rec.state(); m.rec.Status.Active && state.Allocated() {
			may = append(may, keyed{urgency(&m.rec, state), launched(&m.rec), m})
		}
	}
	direction := falling
	if policy == Oldest {
		direction = rising
	}
	chosen := inOrder(may, direction)
	return chosen[:min(n, len(chosen))]
}

// urgency ranks what is cheapest to lose first.
func urgency(r *record, state MachineState) int {
	switch {
	case r.Phase == requested:
		return 0
	case state == Requested:
		return 1
	case state == Pending, r.Status.Service == string(Unhealthy):
		return 2
	default:
		return 3
	}
}

// launched is the time of launch in microseconds; without one a machine counts as newest.
func launched(r *record) int64 {
	if r.Launched.IsZero() {
		return math.MaxInt64
	}
	return r.Launched.UnixMicro()
}
