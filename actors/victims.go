package actors

import (
	"cmp"
	"slices"
)

// The victim selection policies.
const (
	Newest = "NEWEST"
	Oldest = "OLDEST"
)

// victims picks n machines to scale in, of those that may go: REQUESTED first, then not ready and unhealthy ones, then by policy.
func victims(members []*member, n int, policy string) []*member {
	if n <= 0 {
		return nil
	}
	candidates := slices.DeleteFunc(slices.Clone(members), func(m *member) bool {
		return !m.active() || !m.rec.evictable() || m.unknown // what cannot be reached cannot be stopped either
	})
	slices.SortFunc(candidates, func(a, b *member) int {
		return cmp.Or(cmp.Compare(urgency(&a.rec), urgency(&b.rec)), byAge(&a.rec, &b.rec, policy))
	})
	return candidates[:min(n, len(candidates))]
}

// urgency ranks what is cheapest to lose first.
func urgency(r *record) int {
	switch {
	case r.Phase == requested:
		return 0
	case r.state() == Requested:
		return 1
	case r.state() == Pending, r.Status.Service == string(Unhealthy):
		return 2
	default:
		return 3
	}
}

// byAge orders by launch time as the policy says; no launch time counts as newest, ties go by id.
func byAge(a, b *record, policy string) int {
	older := launchOrder(a, b)
	if policy == Oldest {
		return older
	}
	return -older
}

func launchOrder(a, b *record) int {
	switch {
	case a.Launched.IsZero() && !b.Launched.IsZero():
		return 1
	case b.Launched.IsZero() && !a.Launched.IsZero():
		return -1
	}
	return cmp.Or(a.Launched.Compare(b.Launched), cmp.Compare(a.ID, b.ID))
}
