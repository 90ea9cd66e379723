package api

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func address(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 32)
}

// TestAddressesTakeTurns says that one address that sends much waits for itself and not the others for it.
func TestAddressesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		q.free = 1
		if err := q.enter(address(0)); err != nil {
			t.Fatal(err)
		}
		served := make(chan string, 100)
		for _, who := range []string{"1a", "1b", "1c", "2a", "3a", "2b"} {
			go func() {
				if err := q.enter(address(int(who[0]))); err != nil {
					served <- err.Error()
					return
				}
				served <- who
				q.leave()
			}()
			synctest.Wait()
		}
		q.leave()
		synctest.Wait()
		close(served)
		order := slices.Collect(func(yield func(string) bool) {
			for who := range served {
				yield(who)
			}
		})
		if !slices.Equal(order, []string{"1a", "2a", "3a", "1b", "2b", "1c"}) {
			t.Errorf("served in the order %v", order)
		}
		if q.free != 1 || q.waiting != 0 || len(q.lines) != 0 || len(q.turns) != 0 {
			t.Errorf("left behind: %+v", q)
		}
	})
}

func TestWaitingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		q.free = 1
		if err := q.enter(address(0)); err != nil {
			t.Fatal(err)
		}
		began, failed := time.Now(), make(chan string, 2*maxWaiting)
		try := func(n int) {
			go func() { failed <- fmt.Sprint(q.enter(address(n)), " after ", time.Since(began)) }()
			synctest.Wait()
		}
		for i := range maxWaiting {
			try(i)
		}
		if err := q.enter(address(1000)); !errors.Is(err, errBusy) {
			t.Errorf("%d may wait: %v", maxWaiting+1, err)
		}
		time.Sleep(longestWait)
		synctest.Wait()
		for range maxWaiting {
			if got := <-failed; got != fmt.Sprint(errBusy, " after ", longestWait) {
				t.Errorf("one that waited in vain: %s", got)
			}
		}
		if q.waiting != 0 || len(q.lines) != 0 || len(q.turns) != 0 {
			t.Errorf("left behind: %+v", q)
		}
		q.leave()
		if err := q.enter(address(1)); err != nil {
			t.Errorf("not free again: %v", err)
		}
	})
}

// TestLongestLineMakesRoom fills the queue from a few addresses: another one has its turn all the same.
func TestLongestLineMakesRoom(t *testing.T) {
	q := newQueue()
	q.free = 0
	var last chan error
	for i := range maxWaiting {
		turn, err := q.join(address(i / maxWaitingEach))
		if err != nil {
			t.Fatal(err)
		}
		last = turn
		if i == maxWaitingEach-1 {
			if _, err := q.join(address(0)); !errors.Is(err, errBusy) {
				t.Errorf("one address may have %d wait: %v", maxWaitingEach+1, err)
			}
		}
	}
	for i := range maxWaiting / maxWaitingEach {
		if _, err := q.join(address(100)); err != nil {
			t.Fatalf("an address with %d waiting: %v", i, err)
		}
	}
	if _, err := q.join(address(0)); !errors.Is(err, errBusy) || q.waiting != maxWaiting {
		t.Errorf("%d wait, and one more of the longest line: %v", q.waiting, err)
	}
	if err := q.abandon(address(3), last); !errors.Is(err, errBusy) {
		t.Errorf("one who made room got %v", err)
	}
	for range maxWaiting {
		q.leave()
	}
	if q.leave(); q.free != 1 || q.waiting != 0 || len(q.lines) != 0 || len(q.turns) != 0 {
		t.Errorf("left behind: %+v", q)
	}
}

// TestTurnThatComesTooLate is about a turn that comes while its owner gives up: it must not be lost.
func TestTurnThatComesTooLate(t *testing.T) {
	q := newQueue()
	q.free = 0
	turn, err := q.join(address(1))
	if turn == nil || err != nil {
		t.Fatal(err)
	}
	q.leave()
	if err := q.abandon(address(1), turn); err != nil {
		t.Errorf("the turn was given to one who got %v", err)
	}
	q.leave()
	if q.free != 1 {
		t.Errorf("%d turns", q.free)
	}
}
