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

// backoff is the pause after failures that are not vSphere's, exponential from first to the cap.
func backoff(first time.Duration, attempt int, jitter float64) time.Duration {
	return pauses{first, backoffCap}.after(attempt, jitter)
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
	b.until = now.Add(reactionTo(cause).launches.after(b.fails, jitter))
	return b
}

// bootFailed notes a machine that was made but never got ready.
func (b breaker) bootFailed(now time.Time, message string, jitter float64) breaker {
	b.boots++
	if b.boots >= bootFailureLimit {
		b.message = message
		b.until = now.Add(blip.after(b.boots-bootFailureLimit+1, jitter))
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
