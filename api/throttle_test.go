package api

import (
	"testing"
	"time"
)

func pairOf(n int) (f fingerprint) {
	f[0], f[1], f[2] = byte(n), byte(n>>8), byte(n>>16)
	return f
}

func TestThrottle(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	limit := newThrottle()
	for i := range freeFailures {
		if wait := limit.take(pairOf(1), now); wait != 0 {
			t.Fatalf("failure %d has to wait %s", i, wait)
		}
	}
	if wait := limit.take(pairOf(1), now); wait != failurePause {
		t.Errorf("the next one has to wait %s", wait)
	}
	if wait := limit.take(pairOf(2), now); wait != 0 {
		t.Errorf("another pair has to wait %s", wait)
	}
	now = now.Add(failurePause / 4)
	if wait := limit.take(pairOf(1), now); wait != failurePause*3/4 {
		t.Errorf("a quarter later it is %s", wait)
	}
	now = now.Add(failurePause * 3 / 4)
	if limit.take(pairOf(1), now) != 0 || limit.take(pairOf(1), now) == 0 {
		t.Error("one more after a pause, and no second")
	}
	limit.giveBack(pairOf(1))
	limit.giveBack(pairOf(3))
	if limit.take(pairOf(1), now) != 0 || limit.take(pairOf(1), now) == 0 {
		t.Error("one more for one that was given back, and no second")
	}
	if limit.take(pairOf(1), now.Add(-time.Hour)) == 0 {
		t.Error("a clock that was set back is a way out")
	}
	now = now.Add(24 * time.Hour)
	for range freeFailures {
		if limit.take(pairOf(1), now) != 0 {
			t.Fatal("not forgotten after a day")
		}
	}
	if limit.take(pairOf(1), now) == 0 {
		t.Error("a day's failures were saved up")
	}
}

func TestThrottleIsBounded(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	limit := newThrottle()
	for range freeFailures {
		limit.take(pairOf(0), now)
	}
	for i := range 3 * maxThrottled {
		limit.take(pairOf(i+1), now)
		if i%(maxThrottled/2) == 0 && limit.take(pairOf(0), now) == 0 {
			t.Fatal("one who goes on is forgotten")
		}
	}
	if n := limit.buckets.order.Len(); n != maxThrottled || len(limit.buckets.items) != n {
		t.Errorf("%d and %d pairs are remembered", n, len(limit.buckets.items))
	}
}
