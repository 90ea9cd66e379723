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

// forgetful is a vCenter that answers only while there is a session, in one of the two ways that vCenters refuse.
type forgetful struct {
	open   atomic.Bool
	logins atomic.Int32
	calls  atomic.Int32
	quiet  bool
	// strict refuses the call although the session is known.
	strict bool
	cause  error
}

func (f *forgetful) RoundTrip(_ context.Context, _, res soap.HasFault) error {
	f.calls.Add(1)
	body := res.(*methods.RetrievePropertiesExBody)
	switch {
	case f.open.Load() && !f.strict:
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
	f.open.Store(f.cause == nil)
	return f.cause
}

func (f *forgetful) worked()                             {}
func (f *forgetful) alive(context.Context) (bool, error) { return f.open.Load(), nil }

// keeping is a keeper of two functions.
type keeping struct {
	open  func(context.Context) error
	known func() bool
}

func (k keeping) login(ctx context.Context) error     { return k.open(ctx) }
func (keeping) worked()                               {}
func (k keeping) alive(context.Context) (bool, error) { return k.known != nil && k.known(), nil }

func ask(ctx context.Context, s *session) (*methods.RetrievePropertiesExBody, error) {
	var req, res methods.RetrievePropertiesExBody
	return &res, s.RoundTrip(ctx, &req, &res)
}

func TestOneLoginPerLoss(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := &forgetful{quiet: quiet}
			s := newSession(t.Context(), f, f)
			defer s.close()
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
		s := newSession(t.Context(), f, f)
		defer s.close()
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

// A caller that gives up takes nothing away from those who wait for the same login.
func TestLoginOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &forgetful{}
		s := newSession(t.Context(), f, f)
		defer s.close()
		hasty, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		if _, err := ask(hasty, s); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if _, err := ask(t.Context(), s); err != nil || f.logins.Load() != 1 {
			t.Errorf("%v after %d logins", err, f.logins.Load())
		}
	})
}

func TestHungLoginEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &forgetful{}
		hangs := true
		s := newSession(t.Context(), f, keeping{open: func(ctx context.Context) error {
			if hangs {
				<-ctx.Done()
				return ctx.Err()
			}
			return f.login(ctx)
		}})
		defer s.close()
		start := time.Now()
		if _, err := ask(t.Context(), s); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != loginTimeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		hangs = false
		if _, err := ask(t.Context(), s); err != nil {
			t.Error(err)
		}
	})
}

// NotAuthenticated after a login is a second loss if vCenter does not know the session, and a missing privilege if it does; neither is
// tried a third time.
func TestRefusedAfterLogin(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		for known, want := range map[bool]Kind{true: Forbidden, false: Unreachable} {
			synctest.Test(t, func(t *testing.T) {
				f := &forgetful{strict: true, quiet: quiet}
				s := newSession(t.Context(), f, keeping{open: f.login, known: func() bool { return known }})
				defer s.close()
				res, err := ask(t.Context(), s)
				if err == nil { // a listing tells it by what it lacks
					err = hidden(res.Res.Returnval.Objects[0])
				}
				if err := wrap("read", "vm-1", err); KindOf(err) != want || f.logins.Load() != 1 || f.calls.Load() != 2 {
					t.Errorf("quiet %v, known %v: %v after %d logins and %d calls", quiet, known, err, f.logins.Load(), f.calls.Load())
				}
			})
		}
	}
}

func TestNetworkErrorIsNotRepeated(t *testing.T) {
	rt := &script{answer: func(int, soap.HasFault, soap.HasFault) error { return io.EOF }}
	s := newSession(t.Context(), rt, keeping{open: func(context.Context) error { t.Error("login"); return nil }})
	defer s.close()
	if _, err := ask(t.Context(), s); !errors.Is(err, io.EOF) || rt.count() != 1 {
		t.Errorf("%v after %d calls", err, rt.count())
	}
}

func TestNoCallAfterClose(t *testing.T) {
	rt := &script{answer: func(int, soap.HasFault, soap.HasFault) error { return nil }}
	s := newSession(t.Context(), rt, nil)
	s.close()
	if _, err := ask(t.Context(), s); !errors.Is(err, errClosed) || rt.count() != 0 {
		t.Errorf("%v after %d calls", err, rt.count())
	}
}

// A login under way when the client is closed comes to its end, or nobody could end its session; no other one begins.
func TestSettleWaitsForLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &forgetful{}
		s := newSession(t.Context(), f, f)
		defer s.close()
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = ask(t.Context(), s) })
		synctest.Wait()
		if !s.settle(t.Context()) || s.settle(t.Context()) {
			t.Error("only the first time counts")
		}
		if f.logins.Load() != 1 {
			t.Error("the login was not waited for")
		}
		f.open.Store(false)
		if _, err := ask(t.Context(), s); !errors.Is(err, errClosed) || f.logins.Load() != 1 {
			t.Errorf("%v after %d logins", err, f.logins.Load())
		}
		wg.Wait()
	})
}

func TestRestIsWaitedOut(t *testing.T) {
	for name, row := range map[string]struct {
		patience time.Duration
		want     time.Duration
		calls    int32
	}{
		"in time":  {10 * time.Second, 5 * time.Second, 2},
		"too late": {4 * time.Second, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, start := &forgetful{}, time.Now()
				until := start.Add(5 * time.Second)
				s := newSession(t.Context(), f, keeping{open: func(context.Context) error {
					if time.Now().Before(until) {
						return &tooSoon{until}
					}
					f.open.Store(true)
					return nil
				}})
				defer s.close()
				ctx, cancel := context.WithTimeout(t.Context(), row.patience)
				defer cancel()
				_, err := ask(ctx, s)
				if _, early := errors.AsType[*tooSoon](err); early != (row.calls == 1) || time.Since(start) != row.want || f.calls.Load() != row.calls {
					t.Errorf("%v after %v and %d calls", err, time.Since(start), f.calls.Load())
				}
			})
		})
	}
}

func TestCloseEndsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &forgetful{}
		s := newSession(t.Context(), f, keeping{open: func(context.Context) error { return &tooSoon{time.Now().Add(time.Hour)} }})
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := ask(t.Context(), s); !errors.Is(err, errClosed) {
				t.Error(err)
			}
		})
		synctest.Wait()
		s.close()
		wg.Wait()
	})
}
