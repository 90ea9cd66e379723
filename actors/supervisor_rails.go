package actors

import (
	"cmp"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

// railMemory is what the supervisor remembers for the rails; owed and churn are part of every commit.
type railMemory struct {
	owed  int
	churn churn
	rate  rate
	// failures are the machines that had worked and were lost lately, and when.
	failures map[vsphere.MachineID]time.Time
	// refused counts the machines that were let go because their VMs did not prove to be ours.
	refused int
	// doubted counts the listings in a row that were not believed; lacking is the part of the machines, in percent, that the last of them
	// lacked.
	doubted, lacking int
	// since is when the pool began to hold back; freezing says that it is frozen by hand or in a crisis.
	since    time.Time
	freezing bool
}

// frozen says why nothing may be started or stopped now; empty: all may.
func (s *supervisor) frozen() string {
	switch {
	case s.draining:
		return "the server is shutting down"
	case !s.pool.Started:
		return "the pool is stopped"
	case s.unwritable != nil:
		return s.journalTrouble()
	case s.outranked():
		return s.rivalry()
	default:
		return s.blind()
	}
}

// blind says why nothing may be concluded from what is known of vSphere; empty: the view is good.
func (s *supervisor) blind() string {
	switch {
	case s.sight.outage != "":
		return "vSphere cannot be read: " + s.sight.outage
	case s.provider == nil || s.sight.observed.IsZero():
		return "vSphere has not been read yet"
	case !s.pool.Rebuilt || s.pool.Desired == nil:
		return "members are being looked for"
	case time.Now().Before(s.sight.settled):
		return "vSphere came back a moment ago"
	case time.Since(s.sight.observed) > s.staleAfter():
		return fmt.Sprintf("vSphere was last read whole %s ago", time.Since(s.sight.observed).Round(time.Second))
	}
	return ""
}

// staleAfter is the age at which a view is too old to act on, though not too old to show: twice the time between two sweeps, which the
// observer stretches for large pools.
func (s *supervisor) staleAfter() time.Duration {
	fetch := s.config.PoolFetch
	return max(2*fetch.RefreshInterval.Std(), fetch.ReachabilityTimeout.Std()/2) + sweepTimeout
}

// heldBack are the reasons why the pool does less than it would: all, or those that a freeze is made of.
func (s *supervisor) heldBack(in planInput) []string {
	var reasons []string
	if in.frozen != "" {
		reasons = append(reasons, in.frozen)
	}
	if ordered := s.byHand(); ordered != "" {
		reasons = append(reasons, ordered)
	}
	if r := freezeRail(in); r.Holding {
		reasons = append(reasons, r.Reason)
	}
	return reasons
}

// byHand says why somebody froze the pool; empty: nobody did.
func (s *supervisor) byHand() string {
	if s.pool.Still == nil {
		return ""
	}
	return "frozen by hand: " + cmp.Or(s.pool.Still.Reason, "no reason was given")
}

// freeze is what the pool tells of its rails.
func (s *supervisor) freeze(in planInput) Freeze {
	f := Freeze{Manual: s.pool.Still != nil, Reasons: s.heldBack(in), Rails: s.rails(in)}
	if f.Frozen = len(f.Reasons) > 0; f.Frozen {
		f.Since = s.held.since
		if f.Since.IsZero() {
			f.Since = time.Now().UTC()
		}
	}
	return f
}

// rails are all of them as they stand.
func (s *supervisor) rails(in planInput) []Rail {
	return append(railsOf(in), s.shrinkRail(), s.ownershipRail(), s.orphanRail(), s.writerRail())
}

func (s *supervisor) shrinkRail() Rail {
	r := Rail{Name: "shrink", Limit: s.config.Rails.ShrinkShare, Value: s.held.lacking}
	if s.held.lacking > 0 {
		r.Holding = true
		r.Reason = fmt.Sprintf("the last listing lacks %d %% of the machines, and changes nothing until it is confirmed", s.held.lacking)
		r.Lift = thawing
	}
	return r
}

func (s *supervisor) ownershipRail() Rail {
	return Rail{Name: "ownership", Value: s.held.refused}
}

// noteHolding tells when the pool begins to hold back, and when it goes on.
func (s *supervisor) noteHolding(in planInput) {
	s.held.freezing = in.still || in.crisis().holds()
	reasons := s.heldBack(in)
	switch {
	case len(reasons) > 0 && s.held.since.IsZero():
		s.held.since = in.now.UTC()
		s.Log.Info("pool holds back", "pool", s.config.Name, "reason", reasons[0])
	case len(reasons) == 0 && !s.held.since.IsZero():
		s.held.since = time.Time{}
		s.Log.Info("pool goes on", "pool", s.config.Name)
	}
}

func (s *supervisor) freezeByHand(ctx actor.Context, c freezePool) {
	if err := s.configured(); err != nil {
		ctx.Respond(answer{err: err})
		return
	}
	order := standstill{Reason: c.reason, Since: time.Now().UTC()}
	s.Log.Warn("pool frozen by hand", "pool", s.config.Name, "reason", c.reason)
	change, done := observing(PoolRecord.standing, func(p *PoolRecord) { p.Still = &order })
	s.commit(ctx, change, replyStep{ctx.Sender(), done})
}

// thaw takes the order to stand still back, and forgives what holds the pool now.
func (s *supervisor) thaw(ctx actor.Context, c thawPool) {
	err := s.configured()
	if err == nil && s.outranked() && !c.takeOver {
		err = refuse(Invalid, "%s; nothing was changed", s.rivalry())
	}
	if err != nil {
		ctx.Respond(answer{err: err})
		return
	}
	s.Log.Warn("pool thawed by hand", "pool", s.config.Name)
	clear(s.held.failures)
	s.held.churn, s.sight.settled = churn{}, time.Time{}
	s.held.doubted, s.held.lacking = beyondDoubt, 0
	s.breaker = breaker{}
	for _, seat := range s.seats {
		seat.condoned, seat.notBefore = seat.unknown, time.Time{}
	}
	outranked, rival := s.outranked(), s.rival
	change, done := observing(PoolRecord.standing, func(p *PoolRecord) {
		p.Still = nil
		if outranked { // the machines that it made are to be found, too
			p.Writer.Epoch, p.Rebuilt = max(p.Writer.Epoch, rival.Epoch+1), false
		}
	})
	s.commit(ctx, change, thawStep{ctx.Sender(), done})
}

type thawStep replyStep

func (st thawStep) finish(s *supervisor, ctx actor.Context, err error) {
	if err == nil && s.outranked() {
		s.rival = vsphere.Writer{}
		s.broadcast(ctx)
		ctx.Send(s.observer, sweepSoon{})
	}
	replyStep(st).finish(s, ctx, err)
}

// noteLoss keeps account of a machine that the pool lost without having been asked to let it go.
func (s *supervisor) noteLoss(ctx actor.Context, before record, after machineChanged, ordered bool) {
	if after.rec.Phase == released && before.Phase != released {
		s.held.refused++
	}
	if !lossOf(before, after.rec, ordered, after.outcome.verdict) {
		return
	}
	s.held.owed++
	if failureOf(before) {
		s.held.failures[after.rec.ID] = time.Now()
	}
	s.commit(ctx, nil, silentStep{})
}

// silentStep makes what every commit carries durable, and nothing else.
type silentStep struct{}

func (silentStep) finish(*supervisor, actor.Context, error) {}

// settleAccounts forgets what is owed beyond what is missing: a smaller desired size, or a machine that came back, has paid it.
func (s *supervisor) settleAccounts(in planInput) {
	missing := max(0, in.desired-in.tally().active)
	s.held.owed = min(s.held.owed, missing)
	s.held.rate = s.held.rate.recovered(in.now, s.config.Limits.Creates)
}

// beyondDoubt is how many listings must agree before one that lacks many machines is believed.
const beyondDoubt = 2

// doubtful says whether a view lacks so many members that it is not to be believed yet. It asks for another one that looks the missing
// ones up by their references.
func (s *supervisor) doubtful(ctx actor.Context, view panorama) bool {
	expected, missing := s.missing(view)
	s.held.lacking = 0
	if !s.config.Rails.shrunk(expected-len(missing), expected) {
		s.held.doubted = 0
		return false
	}
	if s.held.doubted >= beyondDoubt {
		return false
	}
	s.held.lacking = 100 * len(missing) / expected
	s.held.doubted++
	s.Log.Warn("listing lacks many machines and is not believed yet", "pool", s.config.Name, "count", len(missing))
	for _, seat := range missing {
		s.miss(seat)
	}
	s.sendFollow(ctx)
	ctx.Send(s.observer, sweepSoon{})
	return true
}

// missing are the members that the view lacks, of those that it should have.
func (s *supervisor) missing(view panorama) (expected int, missing []*seat) {
	for _, seat := range s.seats {
		if seat.rec.Ref == "" || !seat.rec.allocated() || unsettled(seat.rec.Phase) {
			continue // it need not be there, or is on its way out
		}
		expected++
		vm, there := view.find(seat.rec)
		if !there || vm.Connected && !seat.rec.owns(vm, s.config.Name) {
			missing = append(missing, seat)
		}
	}
	return expected, missing
}

// failuresEnd is when each failure stops counting.
func (s *supervisor) failuresEnd() []time.Time {
	var ends []time.Time
	for _, at := range s.held.failures {
		ends = append(ends, at.Add(s.config.Rails.FreezeWindow.Std()))
	}
	return ends
}
