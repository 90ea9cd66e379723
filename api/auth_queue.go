package api

import (
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"
)

const (
	// maxWaiting and maxWaitingEach bound who waits for a password to be checked, altogether and from one address.
	maxWaiting     = 64
	maxWaitingEach = 16
	// longestWait is for one's turn.
	longestWait = 3 * time.Second
)

var errBusy = errors.New("too many passwords are being checked")

// queue bounds how many passwords are checked at a time: that is slow by intention, and the CPUs are there for those who are logged in
// already. The addresses take turns, so that one of them cannot have the others wait for all that it sends.
type queue struct {
	mu      sync.Mutex
	free    int
	waiting int
	lines   map[netip.Addr][]chan struct{}
	// turns are the addresses with a line, the next one first.
	turns []netip.Addr
}

// newQueue leaves half of the CPUs to others.
func newQueue() *queue {
	return &queue{free: max(1, runtime.GOMAXPROCS(0)/2), lines: make(map[netip.Addr][]chan struct{})}
}

// enter waits for a turn, which has to be given back by leave. It fails with errBusy when that would take too long.
func (q *queue) enter(from netip.Addr) error {
	turn, err := q.join(from)
	if turn == nil || err != nil {
		return err
	}
	timer := time.NewTimer(longestWait)
	defer timer.Stop()
	select {
	case <-turn:
		return nil
	case <-timer.C:
		return q.abandon(from, turn)
	}
}

// join returns nil if it is one's turn at once.
func (q *queue) join(from netip.Addr) (chan struct{}, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	line := q.lines[from]
	switch {
	case q.free > 0:
		q.free--
		return nil, nil
	case q.waiting >= maxWaiting || len(line) >= maxWaitingEach:
		return nil, errBusy
	case len(line) == 0:
		q.turns = append(q.turns, from)
	}
	turn := make(chan struct{})
	q.lines[from] = append(line, turn)
	q.waiting++
	return turn, nil
}

// leave hands the turn to the next one.
func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.turns) == 0 {
		q.free++
		return
	}
	from := q.turns[0]
	line := q.lines[from]
	close(line[0])
	q.waiting--
	q.turns = q.turns[1:]
	if delete(q.lines, from); len(line) > 1 {
		q.lines[from], q.turns = line[1:], append(q.turns, from)
	}
}

// abandon leaves the line, unless the turn has come in the meantime.
func (q *queue) abandon(from netip.Addr, turn chan struct{}) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.lines[from], turn)
	if i < 0 {
		return nil
	}
	q.waiting--
	q.lines[from] = slices.Delete(q.lines[from], i, i+1)
	if len(q.lines[from]) == 0 {
		delete(q.lines, from)
		q.turns = slices.DeleteFunc(q.turns, func(a netip.Addr) bool { return a == from })
	}
	return errBusy
}
