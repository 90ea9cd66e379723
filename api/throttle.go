package api

import "time"

const (
	// freeFailures is how many logins of one name from one address may fail at once; then one more each failurePause.
	freeFailures = 10
	failurePause = time.Second
	// maxThrottled bounds the pairs of address and name that are remembered. To make the server forget one of them, an attacker has to
	// fail so many other logins, each of which costs more than the failures it would win.
	maxThrottled = 1 << 14
)

// throttle slows down who guesses passwords: there is a bucket of failures for each pair of address and name. So nobody can use up the
// failures of another address, or of another name. It is not safe for concurrent use.
type throttle struct{ buckets *lru[fingerprint, bucket] }

// bucket is full of what has failed, and leaks.
type bucket struct {
	failed  float64
	updated time.Time
}

func newThrottle() throttle { return throttle{newLRU[fingerprint, bucket](maxThrottled)} }

// take counts a failure in advance, so that many attempts at once are no more than many in a row. It returns how long to wait if there
// are too many, and counts nothing then.
func (t throttle) take(pair fingerprint, now time.Time) (wait time.Duration) {
	b := t.buckets.touch(pair)
	leaked := float64(now.Sub(b.updated)) / float64(failurePause)
	b.failed, b.updated = max(0, b.failed-max(0, leaked)), now
	if b.failed > freeFailures-1 {
		return time.Duration((b.failed - (freeFailures - 1)) * float64(failurePause))
	}
	b.failed++
	return 0
}

// giveBack is for an attempt that did not fail.
func (t throttle) giveBack(pair fingerprint) {
	if b := t.buckets.get(pair); b != nil {
		b.failed = max(0, b.failed-1)
	}
}
