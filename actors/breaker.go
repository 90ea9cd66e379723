package actors

import (
	"time"

	"vspherepool/vsphere"
)

// breaker is the memory of failed launches: it decides how many machines may be in the making, and when. A value; every method
// returns the next one.
type breaker struct {
	cause   vsphere.Kind
	fails   int
	boots   int
	until   time.Time
	message string
}

const (
	backoffCap = 5 * time.Minute
	// bootFailureLimit is how many machines in a row may fail to get ready before the template is suspected.
	bootFailureLimit = 3
	unlimited        = -1
)

// firstBackoff is the first pause after a failed launch, by cause: what heals by itself is tried again sooner than what a person
// has to mend.
func firstBackoff(cause vsphere.Kind) time.Duration {
	switch cause {
	case vsphere.Forbidden, vsphere.BadLogin, vsphere.Misconfigured, vsphere.NotFound, vsphere.Storage, vsphere.Capacity:
		return 15 * time.Second
	default:
		return 3 * time.Second
	}
}

// backoff is exponential from first to the cap, with up to 25 % of jitter taken off; jitter is in [0, 1).
func backoff(first time.Duration, attempt int, jitter float64) time.Duration {
	d := first
	for i := 1; i < attempt && d < backoffCap; i++ {
		d *= 2
	}
	d = min(d, backoffCap)
	return d - time.Duration(jitter*float64(d)/4)
}

// failed notes a launch that vSphere refused. Failures that arrive during a pause were under way when it began: they don't
// lengthen it.
func (b breaker) failed(now time.Time, cause vsphere.Kind, message string, jitter float64) breaker {
	b.message = message
	if cause != b.cause {
		b.fails, b.cause = 0, cause
	} else if now.Before(b.until) {
		return b
	}
	b.fails++
	b.until = now.Add(backoff(firstBackoff(cause), b.fails, jitter))
	return b
}

// bootFailed notes a machine that was made but never got ready.
func (b breaker) bootFailed(now time.Time, message string, jitter float64) breaker {
	b.boots++
	if b.boots >= bootFailureLimit {
		b.message = message
		b.until = now.Add(backoff(firstBackoff(vsphere.Unknown), b.boots-bootFailureLimit+1, jitter))
	}
	return b
}

// succeeded notes a machine that got ready: all is forgiven.
func (b breaker) succeeded() breaker { return breaker{} }

// open says whether launches are being held back.
func (b breaker) open() bool { return b.fails > 0 || b.boots >= bootFailureLimit }

// allowance is how many machines may be in the making now: none during a pause, one canary after it, any number without failures.
func (b breaker) allowance(now time.Time) int {
	switch {
	case !b.open():
		return unlimited
	case now.Before(b.until):
		return 0
	default:
		return 1
	}
}
