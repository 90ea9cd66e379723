package vsphere

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestUsualTimesAreLearned(t *testing.T) {
	u, begun := usual{}, time.Now()
	learn := func(took time.Duration, err error) {
		u.learn(&waiter{kind: cloneTask, since: begun}, verdict{err: err}, begun.Add(took))
	}
	for _, row := range []struct {
		took, want time.Duration
		err        error
	}{
		{8 * time.Second, 8 * time.Second, nil},
		{time.Millisecond, 8 * time.Second, errors.New("refused at once")},
		{16 * time.Second, 9 * time.Second, nil},
		{4 * time.Second, 4 * time.Second, nil},
	} {
		learn(row.took, row.err)
		if u[cloneTask] != row.want || u[powerTask] != 0 {
			t.Errorf("after %v: %v, want %v", row.took, u, row.want)
		}
	}
}

// TestEndsAreSeenSoon follows one task of a kind that is known: few looks, and the end is seen a small part of its time late.
func TestEndsAreSeenSoon(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		known := time.Duration(rapid.Int64Range(int64(time.Second), int64(time.Minute)).Draw(t, "known"))
		took := known + time.Duration(rapid.Int64Range(0, int64(known/2)).Draw(t, "more"))
		u, begun := usual{cloneTask: known}, time.Now()
		w, at, looks := &waiter{kind: cloneTask, since: begun}, begun, 0
		for at.Before(begun.Add(took)) {
			next := u.due(w, at, 1)
			if pause := next.Sub(at); pause < shortestPause || pause > longestPause {
				t.Fatalf("a pause of %v", pause)
			}
			at = next
			looks++
		}
		if late := at.Sub(begun.Add(took)); late > known/usualPart {
			t.Errorf("%v late, of %v", late, took)
		}
		if most := 1 + usualPart + int(took/longestPause); looks > most {
			t.Errorf("%d looks in %v, more than %d", looks, took, most)
		}
	})
}
