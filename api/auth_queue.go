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
	// longestWait is for one's turn, which comes after at most one comparison for each other address with a line; a comparison takes up to
	// some seconds where the hash is dear and the CPU slow.
	longestWait = 10 * time.Second
)

var errBusy = errors.New("too many passwords are being checked")

// queue bounds how many passwords are checked at a time: that is slow by intention, and the CPUs are there for those who are logged in
// already. The addresses take turns, so that one of them cannot have the others wait for all that it sends, and when too many wait, the
// last of the longest line makes room for one with a shorter line.
type queue struct {
	mu      sync.Mutex
	free    int
	waiting int
	// lines have a channel for each who waits, which gets nil when it is his turn, or why he need not wait any more.
	lines map[netip.Prefix][]chan error
	// turns are the addresses with a line, the next one first.
	turns []netip.Prefix
}

// newQueue leaves half of the CPUs to others.
func newQueue() *queue {
	return &queue{free: max(1, runtime.GOMAXPROCS(0)/2), lines: make(map[netip.Prefix][]chan error)}
}

// enter waits for a turn, which has to be given back by leave. It fails with errBusy when that would take too long.
func (q *queue) enter(from netip.Prefix) error {
	turn, err := q.join(from)
	if turn == nil || err != nil {
		return err
	}
	timer := time.NewTimer(longestWait)
	defer timer.Stop()
	select {
	case err := <-turn:
		return err
	case <-timer.C:
		return q.abandon(from, turn)
	}
}

// join returns nil if it is one's turn at once.
func (q *queue) join(from netip.Prefix) (chan error, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	line := q.lines[from]
	switch {
	case q.free > 0:
		q.free--
		return nil, nil
	case len(line) >= maxWaitingEach || q.waiting >= maxWaiting && !q.makeRoom(len(line)+1):
		return nil, errBusy
	case len(line) == 0:
		q.turns = append(q.turns, from)
	}
	turn := make(chan error, 1)
	q.lines[from] = append(line, turn)
	q.waiting++
	return turn, nil
}

// makeRoom sends the last of the longest line away, if that is longer than the line that wants one more will be.
func (q *queue) makeRoom(length int) bool {
	var longest netip.Prefix
	for from, line := range q.lines {
		if len(line) > len(q.lines[longest]) {
			longest = from
		}
	}
	last := len(q.lines[longest]) - 1
	if last < length {
		return false
	}
	q.lines[longest][last] <- errBusy
	q.lines[longest] = q.lines[longest][:last]
	q.waiting--
	return true
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
	line[0] <- nil
	q.waiting--
	q.turns = q.turns[1:]
	if delete(q.lines, from); len(line) > 1 {
		q.lines[from], q.turns = line[1:], append(q.turns, from)
	}
}

// abandon leaves the line, unless the turn, or the end of the wait, has come in the meantime.
func (q *queue) abandon(from netip.Prefix, turn chan error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.lines[from], turn)
	if i < 0 {
		return <-turn
	}
	q.waiting--
	q.lines[from] = slices.Delete(q.lines[from], i, i+1)
	if len(q.lines[from]) == 0 {
		delete(q.lines, from)
		q.turns = slices.DeleteFunc(q.turns, func(a netip.Prefix) bool { return a == from })
	}
	return errBusy
}
