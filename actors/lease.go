package actors

import (
	"sync"
	"sync/atomic"
	"time"
)

// Readers outnumber changes by far, so an answer of the supervisor stands until it takes it back: it gives a view together with a lease,
// and whoever reads while the lease holds need not ask again. The supervisor suspends the lease before it looks at any message that
// could change the answer, so that nobody can have learned of a change while the old answer is still given; it lets the lease go on
// after the message if the answer is the same, and forgets it otherwise. What is read under a lease is therefore what a message would
// have been answered at the same moment. An actor that panics leaves its lease suspended for good. Refusals are never leased.

// lease is an answer that stands until the supervisor takes it back, or the view is too old to be shown.
type lease struct {
	view View
	// fresh is how old the view may get, by its time of observation; stop ends the timer that sees to it, so that readers need no clock.
	fresh time.Duration
	stop  func()
	state atomic.Int32
}

// What becomes of a lease. A suspended one may hold again, an expired one never does.
const (
	leaseHolds int32 = iota
	leaseSuspended
	leaseExpired
)

// newLease leases a view that is fresh now.
func newLease(v View, fresh time.Duration) *lease {
	l := &lease{view: v, fresh: fresh}
	l.stop = later(fresh-time.Since(v.Observed), func() { l.state.Store(leaseExpired) })
	return l
}

// holds says whether the answer may be given now.
func (l *lease) holds() bool { return l.state.Load() == leaseHolds }

// readers is what the readers of a pool share: the last answer, and the question under way.
type readers struct {
	lease  atomic.Pointer[lease]
	asking atomic.Pointer[inquiry]
	// over is closed, by dismiss, when nobody is there to answer any more.
	over chan struct{}
	once sync.Once
}

// dismiss lets nobody wait any more.
func (r *readers) dismiss() { r.once.Do(func() { close(r.over) }) }

// inquiry is one question for a view, shared by all who have it while it waits.
type inquiry struct {
	// open is where the inquiry is found by whoever wants to share it.
	open *atomic.Pointer[inquiry]
	// done is closed when lease and err are the answer.
	done  chan struct{}
	lease *lease
	err   error
}

// join is the question under way, or a new one, which is to be sent.
func (r *readers) join() (q *inquiry, fresh bool) {
	for {
		if q = r.asking.Load(); q != nil {
			return q, false
		}
		q = &inquiry{open: &r.asking, done: make(chan struct{})}
		if r.asking.CompareAndSwap(nil, q) {
			return q, true
		}
	}
}

// close ends the sharing: whoever asks from now on is to see what is true from now on.
func (q *inquiry) close() { q.open.CompareAndSwap(q, nil) }

// answer tells all who have asked.
func (q *inquiry) answer(l *lease, err error) {
	q.lease, q.err = l, err
	close(q.done)
}

// suspend takes the answer back for as long as a message is being looked at.
func (v *views) suspend() {
	if v.lease != nil {
		v.lease.state.CompareAndSwap(leaseHolds, leaseSuspended)
	}
}

// renew lets the answer stand again after a message, if it is the same still.
func (s *supervisor) renew() {
	if len(s.views.touched) > 2*len(s.views.shown)+len(s.seats) { // nobody reads, and memory is to be bounded
		s.views.settle(s.seats)
	}
	l := s.views.lease
	if l == nil {
		return
	}
	if !s.stands(l) || !l.state.CompareAndSwap(leaseSuspended, leaseHolds) {
		l.stop()
		s.views.lease = nil
	}
}

func (s *supervisor) stands(l *lease) bool {
	return !s.leaving && len(s.views.touched) == 0 && !s.views.amended && s.readable() == nil &&
		l.fresh == s.reachability() && l.view.Size == s.countSize()
}

// tellView answers with the view, on lease.
func (s *supervisor) tellView(q *inquiry) {
	q.close()
	if err := s.readable(); err != nil {
		q.answer(nil, err)
		return
	}
	if l := s.views.lease; l == nil || !l.holds() {
		s.views.lease = newLease(s.view(), s.reachability())
	}
	q.answer(s.views.lease, nil)
}
