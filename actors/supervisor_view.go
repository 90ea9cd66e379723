package actors

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// answer responds with a query's result, unless the pool cannot be read now.
func (s *supervisor) answer(ctx actor.Context, value func() any) {
	if err := s.readable(); err != nil {
		ctx.Respond(answer{err: err})
		return
	}
	ctx.Respond(answer{value: value()})
}

// usable says why the pool takes no requests; nil: it does.
func (s *supervisor) usable() error {
	if err := s.configured(); err != nil {
		return err
	}
	if !s.pool.Started {
		return refuse(NotStarted, "attempt to invoke cloudpool before being started: POST to /start first")
	}
	return nil
}

// configured says why not even a stopped pool takes orders; nil: it does.
func (s *supervisor) configured() error {
	switch {
	case s.draining || !s.loaded:
		return errStopping()
	case s.config == nil:
		return refuse(NotStarted, "attempt to invoke cloudpool before being started: it has no configuration yet, POST one to /config")
	}
	return nil
}

func errStopping() error {
	return refuse(Unavailable, "the server is starting or shutting down; try again in a moment")
}

// readable says why there is no view to answer from.
func (s *supervisor) readable() error {
	if err := s.usable(); err != nil {
		return err
	}
	if s.sight.observed.IsZero() {
		return refuse(Unavailable, "vSphere has not been read yet: %s", cmp.Or(s.sight.outage, "the first reading is under way"))
	}
	if err := s.stale(); err != nil {
		return err
	}
	if _, known := s.desired(); !known {
		return refuse(Unavailable, "the pool's members are being looked for; try again in a moment")
	}
	return nil
}

// reachability is how old a view may be that is shown.
func (s *supervisor) reachability() time.Duration {
	return s.config.PoolFetch.ReachabilityTimeout.Std()
}

// stale says that the last view is too old to answer from; nil: it is not, or there is none.
func (s *supervisor) stale() error {
	limit := s.reachability()
	age := time.Since(s.sight.observed)
	if s.sight.observed.IsZero() || age <= limit {
		return nil
	}
	return refuse(Unavailable, "vSphere was last read %s ago, which is longer than reachabilityTimeout (%s): %s",
		age.Round(time.Second), limit, cmp.Or(s.sight.outage, "a reading is under way"))
}

// view is the pool as it is now; the same one as before if nothing has changed.
func (s *supervisor) view() View {
	v := &s.views
	size := s.countSize()
	if v.version > 0 && !v.amended && size == v.view.Size {
		return v.view
	}
	v.version++
	v.view = View{Epoch: v.epoch, Version: v.version, Observed: size.Observed, Machines: v.machines, Size: size}
	v.amended = false
	return v.view
}

func (s *supervisor) countSize() Size {
	s.views.settle(s.seats)
	size := Size{Observed: s.sight.observed, Allocated: s.views.allocated, Active: s.views.active}
	size.Desired, _ = s.desired()
	if s.pool.Desired != nil {
		size.Requested = *s.pool.Desired
	}
	return size
}

// standing is how the pool stands as a whole, told in two ways from one count of the members.
type standing struct {
	status Status
	freeze Freeze
}

func (s *supervisor) standing() standing {
	var now standing
	now.status.Journal = s.journalTrouble()
	now.status.Blocked = now.status.Journal
	now.status.Observed, now.status.Foreign = s.sight.observed, s.sight.foreign
	if s.config == nil {
		return now
	}
	in := s.planInput()
	now.freeze = s.freeze(in)
	s.describe(&now.status, now.freeze)
	now.status.Unreachable = in.tally().unreachable
	return now
}

// describe tells what a pool that has a configuration is at.
func (s *supervisor) describe(st *Status, freeze Freeze) {
	st.Started, st.Configured, st.Pool = s.pool.Started, true, s.config.Name
	st.Orphans, st.Holding = len(s.established()), inForce(freeze.Rails)
	switch {
	case s.sight.outage == "" && s.stale() != nil: // vCenter hangs, and no call has failed yet
		st.Outage = s.stale().Error()
	case s.sight.outage == "":
		st.Frozen = strings.Join(freeze.Reasons, "; ")
	default:
		st.Outage, st.Frozen = s.sight.outage, s.byHand()
	}
	if st.Blocked == "" && s.sight.outage != "" && s.sight.misfit {
		st.Blocked = "the configuration does not fit this vCenter: " + s.sight.outage
	}
	st.Blocked = cmp.Or(st.Blocked, s.unmakeable(), s.lacking())
	if s.provider != nil {
		st.Notes = append(slices.Clone(s.provider.Site().Notes), s.diagnoses()...)
	}
}

// unmakeable says why no machines can be made; empty: they can.
func (s *supervisor) unmakeable() string {
	const because = "machines cannot be made: "
	switch {
	case s.provider != nil && s.provider.Site().Flaw != nil:
		return because + s.provider.Site().Flaw.Error()
	case s.breaker.open():
		return because + s.breaker.message
	default:
		return ""
	}
}

// settledIn says whether the members are known, or looking for them takes longer than anybody should wait.
func (s *supervisor) settledIn() bool {
	return !s.sight.observed.IsZero() && s.pool.Rebuilt || s.sight.sweeps > 1
}

// answerWaiting tells those who wait for readiness once the first view or its outage is known.
func (s *supervisor) answerWaiting(ctx actor.Context) {
	if !s.loaded || (s.config != nil && s.sight.outage == "" && !s.settledIn()) {
		return
	}
	for _, asker := range s.waiting {
		ctx.Send(asker, answer{})
	}
	s.waiting = nil
}
