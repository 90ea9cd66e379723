package actors

import "vspherepool/vsphere"

// Changed is what a request changed, as of the one step that changed it: nobody else's change is between Before and After. They are the
// same where there was nothing to change. It is the zero value beside an error.
type Changed[T any] struct{ Before, After T }

// Unsized is the desired size of a pool that has none yet.
const Unsized = -1

// Service is what is on record of a machine's service. Held says that it was taken out of the active size by API 2.0's OUT_OF_SERVICE.
type Service struct {
	State ServiceState `json:"serviceState"`
	Held  bool         `json:"held"`
}

// Revision names a configuration document: a fingerprint of what is shown of it, empty without one.
type Revision string

// Reconfigured is what Configure changed. Paths are the keys whose values are others now, sorted, those of secrets included, which the
// fingerprints do not tell of.
type Reconfigured struct {
	Changed[Revision]
	Paths []string
}

// effect is what the answer to a command tells of its change.
type effect interface{ told() any }

func (c *Changed[T]) told() any { return *c }

func (r *Reconfigured) told() any { return *r }

// unchanged is a request's effect that asked for what is so already.
func unchanged[T any](is T) answer { return answer{value: Changed[T]{is, is}} }

// observing makes a change of the pool's record tell what it changed of what look sees.
func observing[T any](look func(PoolRecord) T, change func(*PoolRecord)) (func(*PoolRecord), *Changed[T]) {
	seen := &Changed[T]{}
	return func(p *PoolRecord) {
		seen.Before = look(*p)
		if change != nil {
			change(p)
		}
		seen.After = look(*p)
	}, seen
}

func (p PoolRecord) requestedSize() int {
	if p.Desired == nil {
		return Unsized
	}
	return *p.Desired
}

func (p PoolRecord) started() bool { return p.Started }

func (p PoolRecord) standing() bool { return p.Still != nil }

func (c call) effect() effect {
	switch c.kind {
	case serviceCall:
		return &Changed[Service]{serviceOf(c.before), serviceOf(c.status(c.before))}
	case membershipCall:
		return &Changed[Membership]{membershipOf(c.before), membershipOf(c.status(c.before))}
	case terminateCall, detachCall, signCall:
	}
	return nil
}

func serviceOf(s vsphere.Status) Service {
	return Service{State: ServiceState(s.Service), Held: s.Hold}
}

// membershipOf is the membership status in force: a held machine neither counts nor may be terminated.
func membershipOf(s vsphere.Status) Membership {
	return Membership{Active: s.Active && !s.Hold, Evictable: s.Evictable && !s.Hold}
}
