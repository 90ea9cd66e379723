package vsphere

import (
	"context"
	"time"

	"github.com/vmware/govmomi/vim25/methods"
)

// idleLimit is how long nothing may be sent before something is: vCenter ends a session after half an hour without calls. While events
// are polled that never happens.
const idleLimit = 5 * time.Minute

// keepAlive makes one cheap call whenever nothing was sent for idleLimit, until the session ends. One that fails is no more than that,
// unlike with govmomi's handler, which ends at the first: the next one may find vCenter again, and a session that is lost is renewed
// like by any other call.
func (s *session) keepAlive() {
	s.loops.Go(func() {
		timer := time.NewTimer(idleLimit)
		defer timer.Stop()
		for {
			select {
			case <-timer.C:
			case <-s.life.Done():
				return
			}
			if time.Since(s.lastCall()) >= idleLimit {
				s.ping()
			}
			timer.Reset(time.Until(s.lastCall().Add(idleLimit)))
		}
	})
}

func (s *session) ping() {
	ctx, cancel := context.WithTimeout(s.life, callTimeout)
	defer cancel()
	_, _ = methods.GetCurrentTime(ctx, s)
}
