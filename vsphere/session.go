package vsphere

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"time"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

var errClosed = errors.New("the vCenter client is closed")

// loginTimeout bounds a login, its preliminaries included. It is no caller's own: one who gives up must not cut off a login that others
// wait for, nor one that vCenter may have made already, whose session nobody would end.
const loginTimeout = 30 * time.Second

// keeper opens sessions.
type keeper interface {
	// login opens a session unless there is a living one.
	login(ctx context.Context) error
	// alive says whether vCenter knows the session.
	alive(ctx context.Context) (bool, error)
	// worked hears of each call that vCenter answered in the session.
	worked()
}

// session is the round tripper of all calls: it logs in again when vCenter has forgotten the session (idle time-out, restart,
// an administrator), once per loss however many calls meet it, and repeats the call. A call that was refused for want of a session
// was not executed, so even a mutation may be repeated; after a network error nothing is ever repeated here.
type session struct {
	next soap.RoundTripper
	// keeper is nil where the session is somebody else's.
	keeper keeper
	// life ends with Close, and all calls with it.
	life  context.Context
	end   context.CancelFunc
	loops sync.WaitGroup

	mu     sync.Mutex
	logins int
	flight *flight
	// closing: nothing is renewed any more.
	closing bool
	sent    time.Time
}

// flight is one login under way.
type flight struct {
	done chan struct{}
	err  error
}

func newSession(ctx context.Context, next soap.RoundTripper, k keeper) *session {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	return &session{next: next, keeper: k, life: life, end: end}
}

// open makes the first login.
func (s *session) open(ctx context.Context) error { return s.renew(ctx, 0) }

// RoundTrip implements [soap.RoundTripper].
func (s *session) RoundTrip(ctx context.Context, req, res soap.HasFault) error {
	before := s.count()
	err := s.call(ctx, req, res)
	if s.keeper == nil {
		return err
	}
	if !lost(err, res) {
		if err == nil {
			s.keeper.worked()
		}
		return err
	}
	if err := s.renew(ctx, before); err != nil {
		return err
	}
	reflect.ValueOf(res).Elem().SetZero() // an old fault left in the body would be taken for the new answer's
	err = s.call(ctx, req, res)
	if !lost(err, res) {
		return err
	}
	return s.judge(ctx, err)
}

// judge tells a call that was refused right after a login from a session that was lost once more: NotAuthenticated is a NoPermission
// by its type, and vCenter uses it as one.
func (s *session) judge(ctx context.Context, err error) error {
	if alive, _ := s.keeper.alive(ctx); !alive {
		return err
	}
	return &Error{
		Kind: Forbidden, Fault: fault[types.NotAuthenticated](), Err: err,
		Hint: "vCenter knows the session and still refuses the call, so the account lacks a privilege for it: grant it",
	}
}

// call makes one call that also ends when the client is closed.
func (s *session) call(ctx context.Context, req, res soap.HasFault) error {
	if s.life.Err() != nil {
		return errClosed
	}
	s.mu.Lock()
	s.sent = time.Now()
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	return s.next.RoundTrip(ctx, req, res)
}

// lost says whether an answer means that there is no session: a fault, or, from the property collector, a success whose objects lack
// their properties for that reason.
func lost(err error, res soap.HasFault) bool {
	if err != nil {
		return isFault(err, fault[types.NotAuthenticated]())
	}
	for _, o := range answered(res) {
		for _, missing := range o.MissingSet {
			if missing.Fault.Fault != nil && isFault(soap.WrapVimFault(missing.Fault.Fault), fault[types.NotAuthenticated]()) {
				return true
			}
		}
	}
	return false
}

// answered are the objects in a property collector's answer.
func answered(res soap.HasFault) []types.ObjectContent {
	switch body := res.(type) {
	case *methods.RetrievePropertiesExBody:
		if body.Res != nil && body.Res.Returnval != nil {
			return body.Res.Returnval.Objects
		}
	case *methods.ContinueRetrievePropertiesExBody:
		if body.Res != nil {
			return body.Res.Returnval.Objects
		}
	}
	return nil
}

func (s *session) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

// lastCall is when something was sent for the last time.
func (s *session) lastCall() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

// renew returns once there was a login after the first before ones, whoever's call it was that met the loss first. Where the next login
// has to wait, so does the caller, unless its own time is over by then.
func (s *session) renew(ctx context.Context, before int) error {
	for {
		f, err := s.join(before)
		if f == nil {
			return err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		early, waits := errors.AsType[*tooSoon](f.err)
		if !waits {
			return f.err
		}
		if err := s.rest(ctx, early); err != nil {
			return err
		}
	}
}

// rest waits until the next login may be made.
func (s *session) rest(ctx context.Context, early *tooSoon) error {
	if deadline, limited := ctx.Deadline(); limited && deadline.Before(early.until) {
		return early
	}
	timer := time.NewTimer(time.Until(early.until))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.life.Done():
		return errClosed
	}
}

// join is the login under way, or a new one; nil if somebody logged in meanwhile.
func (s *session) join(before int) (*flight, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.logins != before:
		return nil, nil
	case s.closing:
		return nil, errClosed
	case s.flight == nil:
		f := &flight{done: make(chan struct{})}
		s.flight = f
		s.loops.Go(func() { s.fly(f) })
	}
	return s.flight, nil
}

func (s *session) fly(f *flight) {
	ctx, cancel := context.WithTimeout(s.life, loginTimeout)
	defer cancel()
	err := s.keeper.login(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.err = err
	if err == nil {
		s.logins++
	}
	s.flight = nil
	close(f.done)
}

// settle lets a login under way come to its end, so that its session can be ended too, and allows no other one. It says whether this is
// the first time.
func (s *session) settle(ctx context.Context) (first bool) {
	s.mu.Lock()
	first, s.closing = !s.closing, true
	f := s.flight
	s.mu.Unlock()
	if f != nil {
		select {
		case <-f.done:
		case <-ctx.Done():
		}
	}
	return first
}

// close ends all calls and what runs in the background.
func (s *session) close() {
	s.end()
	s.loops.Wait()
}
