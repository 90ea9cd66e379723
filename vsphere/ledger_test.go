package vsphere

import (
	"fmt"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/types"
	"pgregory.net/rapid"
)

func datastore(id string) types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "Datastore", Value: id}
}

func hostRef(id string) types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "HostSystem", Value: id}
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestPromiseOverItsLife(t *testing.T) {
	l := newLedger()
	a := datastore("a")
	l.reserve("m", spot{store: a}, footprint{disks: 100, swap: 7}, start)
	l.start("m", "task-1")
	at := func(d time.Duration) time.Time { return start.Add(d) }
	want := func(when string, read, now time.Duration, bytes int64) {
		t.Helper()
		if got := l.promised(a, at(read), at(now)); got != bytes {
			t.Errorf("%s: %d bytes promised, want %d", when, got, bytes)
		}
	}
	want("in flight", 0, time.Minute, 107)
	want("given up", promiseLimit, promiseLimit, 0)
	if s := l.settle("task-1", true, at(time.Minute)); s.store != a {
		t.Errorf("settled at %v", s)
	}
	want("read before its end", 59*time.Second, 2*time.Minute, 107)
	want("read when vCenter may not have refreshed", time.Minute+freeSpaceLag-1, 2*time.Minute, 107)
	want("waiting for its power-on", 2*time.Minute, 2*time.Minute, 7)
	want("on", time.Minute+swapLag, time.Minute+swapLag, 0)
	want("another datastore's reading", 0, 0, 107)
	if got := l.promised(datastore("b"), start, start); got != 0 {
		t.Errorf("%d bytes promised of another datastore", got)
	}
	if again := l.settle("task-1", false, at(time.Hour)); again != (spot{}) {
		t.Errorf("a task that ended twice is at %v", again)
	}
}

func TestPromiseOfAFailedCloneEnds(t *testing.T) {
	a, h := datastore("a"), hostRef("h")
	for name, end := range map[string]func(*ledger){
		"refused":      func(l *ledger) { l.release("m") },
		"failed":       func(l *ledger) { l.start("m", "task-1"); l.settle("task-1", false, start) },
		"failed twice": func(l *ledger) { l.start("m", "task-1"); l.settle("task-1", false, start); l.release("m") },
	} {
		l := newLedger()
		l.reserve("m", spot{store: a, host: h}, footprint{disks: 100}, start)
		end(&l)
		if got := l.promised(a, start, start); got != 0 || l.load[h] != 0 {
			t.Errorf("%s: %d bytes and %d machines stay", name, got, l.load[h])
		}
	}
}

func TestPromiseIsRenewedWithItsClone(t *testing.T) {
	l := newLedger()
	a, b, h := datastore("a"), datastore("b"), hostRef("h")
	l.reserve("m", spot{store: a, host: h}, footprint{disks: 100}, start)
	l.reserve("m", spot{store: b, host: h}, footprint{disks: 100}, start)
	if l.promised(a, start, start) != 0 || l.promised(b, start, start) != 100 || l.load[h] != 1 {
		t.Errorf("%+v", l)
	}
}

func TestAvoidance(t *testing.T) {
	l := newLedger()
	a := datastore("a")
	l.avoid(a, start)
	for after, want := range map[time.Duration]bool{0: true, avoidance - 1: true, avoidance: false} {
		if until, yes := l.avoids(a, start.Add(after)); yes != want || !until.Equal(start.Add(avoidance)) {
			t.Errorf("after %s: %t until %s", after, yes, until)
		}
	}
	if _, yes := l.avoids(datastore("b"), start); yes {
		t.Error("another datastore is avoided")
	}
}

// Whatever happens to the clones, what is promised is never negative, never more than what was asked for, and nothing is left in the end.
func TestLedgerBalances(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		l, now, asked := newLedger(), start, map[MachineID]int64{}
		stores := []types.ManagedObjectReference{datastore("a"), datastore("b")}
		for step := range rapid.IntRange(1, 40).Draw(r, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 600).Draw(r, "pause")) * time.Second)
			id := MachineID(fmt.Sprint(rapid.IntRange(1, 5).Draw(r, "machine")))
			task := Task("task-" + string(id))
			switch rapid.IntRange(0, 3).Draw(r, "what") {
			case 0:
				needs := footprint{disks: int64(rapid.IntRange(0, 100).Draw(r, "disks")), swap: int64(rapid.IntRange(0, 10).Draw(r, "swap"))}
				l.reserve(id, spot{store: stores[step%2], host: hostRef("h")}, needs, now)
				asked[id] = needs.total()
			case 1:
				l.start(id, task)
			case 2:
				l.settle(task, rapid.Bool().Draw(r, "well"), now)
			case 3:
				l.release(id)
			}
			var sum, limit int64
			for _, s := range stores {
				sum += l.promised(s, now, now)
			}
			for _, bytes := range asked {
				limit += bytes
			}
			if sum < 0 || sum > limit || l.load[hostRef("h")] < 0 {
				r.Fatalf("%d bytes promised of %d asked for, load %d", sum, limit, l.load[hostRef("h")])
			}
		}
		l.expire(now.Add(promiseLimit + swapLag))
		if len(l.promises) != 0 || len(l.tasks) != 0 || len(l.avoided) != 0 {
			r.Fatalf("left over: %+v", l)
		}
	})
}
