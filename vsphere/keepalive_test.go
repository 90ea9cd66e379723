package vsphere

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// clocked answers with the time, and notes when it was asked.
func clocked(asked *[]time.Time, fails func(call int) error) *script {
	return &script{answer: func(call int, _, res soap.HasFault) error {
		*asked = append(*asked, time.Now())
		if err := fails(call); err != nil {
			return err
		}
		if body, ok := res.(*methods.CurrentTimeBody); ok {
			body.Res = &types.CurrentTimeResponse{Returnval: time.Now()}
		}
		return nil
	}}
}

func TestKeepAlive(t *testing.T) {
	never := func(int) error { return nil }
	for name, row := range map[string]struct {
		every time.Duration // how often something else is sent; zero: never
		fails func(call int) error
		pings int
	}{
		"idle":                  {0, never, 12},
		"busy":                  {time.Minute, never, 0},
		"nearly idle":           {idleLimit - time.Second, never, 0},
		"seldom used":           {idleLimit + 2*time.Minute, never, 8},
		"errors are survived":   {0, func(int) error { return errors.New("no route to host") }, 12},
		"one error is survived": {0, func(call int) error { return map[int]error{3: context.DeadlineExceeded}[call] }, 12},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked []time.Time
				s := newSession(t.Context(), clocked(&asked, row.fails), nil)
				s.keepAlive()
				others := 0
				for start := time.Now(); row.every > 0 && time.Since(start) < time.Hour-row.every; others++ {
					time.Sleep(row.every)
					_, _ = ask(t.Context(), s)
				}
				if row.every == 0 {
					time.Sleep(time.Hour + time.Second)
				}
				s.close()
				if pings := len(asked) - others; pings != row.pings {
					t.Errorf("%d pings beside %d calls", pings, others)
				}
				if row.every > 0 {
					return
				}
				for i := range asked[1:] {
					if gap := asked[i+1].Sub(asked[i]); gap < idleLimit {
						t.Errorf("call %d came after %v", i+1, gap)
					}
				}
			})
		})
	}
}

func TestKeepAliveRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logins := 0
		var asked []time.Time
		rt := clocked(&asked, func(call int) error {
			if call == 2 {
				return soapFault(types.NotAuthenticated{})
			}
			return nil
		})
		s := newSession(t.Context(), rt, keeping{open: func(context.Context) error { logins++; return nil }})
		s.keepAlive()
		time.Sleep(2*idleLimit + time.Second)
		s.close()
		if logins != 1 || len(asked) != 3 {
			t.Errorf("%d logins, %d calls", logins, len(asked))
		}
	})
}

// A ping that hangs keeps neither the next one nor the end from coming.
func TestKeepAliveHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		s := newSession(t.Context(), hanging(func() { calls++ }), nil)
		s.keepAlive()
		time.Sleep(3*idleLimit + time.Second)
		start := time.Now()
		s.close()
		if calls != 3 || time.Since(start) != 0 {
			t.Errorf("%d pings, closed after %v", calls, time.Since(start))
		}
	})
}

// hanging is a vCenter that takes calls and answers none.
type hanging func()

func (h hanging) RoundTrip(ctx context.Context, _, _ soap.HasFault) error {
	h()
	<-ctx.Done()
	return ctx.Err()
}
