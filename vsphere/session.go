package vsphere

import (
	"context"
	"errors"
	"reflect"
	"sync"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

var errClosed = errors.New("the vCenter client is closed")

// session is the round tripper of all calls: it logs in again when vCenter has forgotten the session (idle time-out, restart,
// an administrator), once per loss however many calls meet it, and repeats the call. A call that was refused for want of a session
// was not executed, so even a mutation may be repeated; after a network error nothing is ever repeated here.
type session struct {
	next soap.RoundTripper
	// login opens a session; nil where the session is somebody else's, who keeps it.
	login func(context.Context) error
	// life ends with Close, and all calls with it.
	life context.Context
	end  context.CancelFunc

	mu     sync.Mutex
	logins int
	flight *flight
}

// flight is one login under way.
type flight struct {
	done chan struct{}
	err  error
	// abandoned says that the caller who flew it gave up, which says nothing about vCenter.
	abandoned bool
}

func newSession(ctx context.Context, next soap.RoundTripper, login func(context.Context) error) *session {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	return &session{next: next, login: login, life: life, end: end}
}

// RoundTrip implements [soap.RoundTripper].
func (s *session) RoundTrip(ctx context.Context, req, res soap.HasFault) error {
	before := s.count()
	err := s.call(ctx, req, res)
	if s.login == nil || !lost(err, res) {
		return err
	}
	if err := s.renew(ctx, before); err != nil {
		return err
	}
	reflect.ValueOf(res).Elem().SetZero() // an old fault left in the body would be taken for the new answer's
	return s.call(ctx, req, res)
}

// call makes one call that also ends when the client is closed.
func (s *session) call(ctx context.Context, req, res soap.HasFault) error {
	if s.life.Err() != nil {
		return errClosed
	}
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

// renew returns once there was a login after the first before ones: by this caller, or by another one who met the same loss.
func (s *session) renew(ctx context.Context, before int) error {
	for {
		f, leader := s.join(before)
		if f == nil {
			return nil
		}
		if leader {
			s.fly(ctx, f)
			return f.err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !f.abandoned {
			return f.err
		}
	}
}

// join is the login under way, or a new one that the caller has to fly; nil if somebody logged in meanwhile.
func (s *session) join(before int) (f *flight, leader bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logins != before {
		return nil, false
	}
	if s.flight == nil {
		s.flight = &flight{done: make(chan struct{})}
		return s.flight, true
	}
	return s.flight, false
}

func (s *session) fly(ctx context.Context, f *flight) {
	err := s.login(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.err, f.abandoned = err, err != nil && ctx.Err() != nil
	if err == nil {
		s.logins++
	}
	s.flight = nil
	close(f.done)
}
