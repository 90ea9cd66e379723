package vsphere

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// forgetful answers only while there is a session, in one of the two ways that vCenters refuse.
type forgetful struct {
	alive  atomic.Bool
	logins atomic.Int32
	quiet  bool
	cause  error
}

func (f *forgetful) RoundTrip(_ context.Context, _, res soap.HasFault) error {
	body := res.(*methods.RetrievePropertiesExBody)
	switch {
	case f.alive.Load():
		page(body, "", vmContent("vm-1"))
		return nil
	case f.quiet:
		page(body, "", lacking("vm-1", "name", &types.NotAuthenticated{}))
		return nil
	}
	body.Fault_ = &soap.Fault{}
	body.Fault_.Detail.Fault = types.NotAuthenticated{}
	return soap.WrapSoapFault(body.Fault_)
}

func (f *forgetful) login(context.Context) error {
	time.Sleep(time.Second)
	f.logins.Add(1)
	f.alive.Store(f.cause == nil)
	return f.cause
}

func ask(ctx context.Context, s *session) (*methods.RetrievePropertiesExBody, error) {
	var req, res methods.RetrievePropertiesExBody
	return &res, s.RoundTrip(ctx, &req, &res)
}

func TestOneLoginPerLoss(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := &forgetful{quiet: quiet}
			s := newSession(t.Context(), f, f.login)
			defer s.end()
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					res, err := ask(t.Context(), s)
					if err != nil || res.Fault_ != nil || len(res.Res.Returnval.Objects[0].MissingSet) != 0 {
						t.Errorf("%+v, %v", res, err)
					}
				})
			}
			wg.Wait()
			if n := f.logins.Load(); n != 1 {
				t.Errorf("%d logins", n)
			}
		})
	}
}

func TestFailedLoginIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &forgetful{cause: io.EOF}
		s := newSession(t.Context(), f, f.login)
		defer s.end()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := ask(t.Context(), s); !errors.Is(err, io.EOF) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := f.logins.Load(); n != 1 {
			t.Errorf("%d logins", n)
		}
	})
}

func TestAbandonedLoginIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &forgetful{}
		var flights atomic.Int32
		s := newSession(t.Context(), f, func(ctx context.Context) error {
			if flights.Add(1) == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return f.login(ctx)
		})
		defer s.end()
		hasty, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := ask(hasty, s); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if _, err := ask(t.Context(), s); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
	})
}

func TestNetworkErrorIsNotRepeated(t *testing.T) {
	rt := &script{answer: func(int, soap.HasFault, soap.HasFault) error { return io.EOF }}
	s := newSession(t.Context(), rt, func(context.Context) error { t.Error("login"); return nil })
	defer s.end()
	if _, err := ask(t.Context(), s); !errors.Is(err, io.EOF) || rt.count() != 1 {
		t.Errorf("%v after %d calls", err, rt.count())
	}
}

func TestNoCallAfterClose(t *testing.T) {
	rt := &script{answer: func(int, soap.HasFault, soap.HasFault) error { return nil }}
	s := newSession(t.Context(), rt, nil)
	s.end()
	if _, err := ask(t.Context(), s); !errors.Is(err, errClosed) || rt.count() != 0 {
		t.Errorf("%v after %d calls", err, rt.count())
	}
}

// gatekeeper is a vCenter that knows one password.
func gatekeeper(password *string, logins *int) *script {
	return &script{answer: func(_ int, req, res soap.HasFault) error {
		switch body := req.(type) {
		case *methods.LoginBody:
			*logins++
			if body.Req.Password != *password {
				return soapFault(types.InvalidLogin{})
			}
			res.(*methods.LoginBody).Res = &types.LoginResponse{}
			return nil
		default:
			return soapFault(types.NotAuthenticated{})
		}
	}}
}

func TestRefusedPasswordRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		right, logins := "new", 0
		a := &account{vim: scripted(gatekeeper(&right, &logins)), user: "pool", password: "old"}
		for range 5 {
			if err := a.login(t.Context()); KindOf(err) != BadLogin {
				t.Fatal(err)
			}
		}
		if logins != 1 {
			t.Fatalf("%d logins with a refused password", logins)
		}
		time.Sleep(loginPause)
		if err := a.login(t.Context()); KindOf(err) != BadLogin || logins != 2 {
			t.Fatalf("%v after %d logins", err, logins)
		}
		a.password = "new"
		if err := a.login(t.Context()); err != nil || logins != 3 {
			t.Fatalf("%v after %d logins", err, logins)
		}
	})
}
