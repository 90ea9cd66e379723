package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"vspherepool/benchmarks/goals"
	"vspherepool/vsphere"
)

// A pool at rest, as it is after a restart: how long it takes to serve, what it keeps in memory, and what it costs to watch.

func restCosts(b *testing.B) {
	b.Helper()
	for _, n := range costSizes {
		b.Run(fmt.Sprintf("restart-%d", n), func(b *testing.B) { goals.Report(b, "ms", restarts(b, n)...) })
		if n >= 1000 { // what any pool keeps, some 3 MB, drowns what few members cost
			b.Run(fmt.Sprintf("memory-%d", n), func(b *testing.B) { goals.Report(b, "B/member", memoryAtRest(b, n)) })
		}
		b.Run(fmt.Sprintf("idle-%d", n), func(b *testing.B) {
			goals.Virtually(b, func(t *testing.T) { goals.Report(b, "%core", idleLoad(t, n)) })
		})
	}
}

// TestMemoryAtRest measures a smaller pool than the benchmark does.
func TestMemoryAtRest(t *testing.T) {
	goals.Check(t, "Costs/memory-10000", "B/member", memoryAtRest(t, 1000))
}

// restarts are the times from the opening of the journal to the first view, in milliseconds.
func restarts(b *testing.B, n int) []float64 {
	b.Helper()
	home := settled(b, n)
	var times []float64
	for range 5 {
		begun := time.Now()
		end := home.restart(b)
		times = append(times, float64(time.Since(begun))/float64(time.Millisecond))
		end()
	}
	return times
}

// memoryAtRest is how many bytes each of n members costs, in all of its places: journal, supervisor, actor and view.
func memoryAtRest(tb testing.TB, n int) float64 {
	tb.Helper()
	with := func(members int) int {
		home := settled(tb, members)
		before := inUse()
		defer home.restart(tb)()
		defer runtime.KeepAlive(home)
		return inUse() - before
	}
	return float64(with(n)-with(0)) / float64(n)
}

// inUse is the size of the heap, garbage left out.
func inUse() int {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// idleLoad is how much of a core it takes to keep n members while nothing happens, in percent: sweeps and looks at the events, over
// ten minutes of virtual time.
func idleLoad(t *testing.T, n int) float64 {
	t.Helper()
	const rest = 10 * time.Minute
	defer time.Sleep(time.Minute) // the actor system's throttles wind down
	defer settled(t, n).restart(t)()
	begun := processorTime()
	time.Sleep(rest)
	return 100 * float64(processorTime()-begun) / float64(rest)
}

// estate is a journal of running machines, and the world that has their VMs.
type estate struct {
	path  string
	world *world
	n     int
}

func settled(tb testing.TB, n int) estate {
	tb.Helper()
	e := estate{filepath.Join(tb.TempDir(), "journal"), newWorld(), n}
	pool := PoolRecord{Desired: &n, Document: []byte(document), Started: true, Rebuilt: true, Writer: vsphere.Writer{ID: "w", Epoch: 1}}
	changes := []Change{{pool: &pool}}
	for i := range n {
		r := memberRecord(i)
		mark, status := vsphere.Mark{Pool: "web", Machine: r.ID, UUID: string(r.ID), Writer: pool.Writer}, r.Status
		r.Ref = e.world.add(vsphere.VM{
			Name: r.Name, InstanceUUID: string(r.ID), Power: vsphere.PoweredOn, Mark: &mark, Status: &status, IPs: r.IPs, ToolsRunning: true,
			Host: r.Host, Datastore: r.Datastore,
		})
		e.world.vms[r.Ref].CreateDate = r.Launched
		changes = append(changes, Change{machine: &r})
	}
	journal, err := OpenJournal(e.path)
	if err == nil {
		err = errors.Join(journal.Write(changes), journal.Close())
	}
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// restart brings the pool to life until it shows all its members; the result ends it.
func (e estate) restart(tb testing.TB) (end func()) {
	tb.Helper()
	journal, err := OpenJournal(e.path)
	if err != nil {
		tb.Fatal(err)
	}
	connect := func(context.Context, string, vsphere.Connection, vsphere.Template) (Provider, error) {
		return e.world, nil
	}
	pool, err := Start(Options{Journal: journal, Connect: connect, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = pool.Ready(tb.Context())
	}
	if err != nil {
		tb.Fatal(err)
	}
	v, err := pool.View(tb.Context())
	if err != nil || len(v.Machines) != e.n {
		tb.Fatalf("%d machines, %v", len(v.Machines), err)
	}
	return func() {
		if err := errors.Join(pool.Shutdown(context.Background()), journal.Close()); err != nil {
			tb.Error(err)
		}
	}
}
