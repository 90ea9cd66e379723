package benchmarks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/actors"
	"vspherepool/api"
	"vspherepool/benchmarks/goals"
	"vspherepool/vsphere/simulator"
)

func init() { servers["changing"] = serveChanging }

// serveChanging serves a pool without members yet, on a vCenter that makes forty machines in a second.
func serveChanging(t *testing.T, dir string) string {
	cloud := newCloud(delays{clone: 500 * time.Millisecond, power: 200 * time.Millisecond, boot: 500 * time.Millisecond})
	pool := keep(t, cloud.connect, quick)
	server, err := api.NewServer(api.Options{Service: pool, Log: slog.New(slog.DiscardHandler), SelfSignedDir: dir})
	done(t, err)
	return listen(t, server.Serve)
}

// BenchmarkChange measures how soon things are seen, and how reads fare while much happens.
func BenchmarkChange(b *testing.B) {
	b.Run("reads", readsWhileLaunching)
	b.Run("writes", durableWrites)
	b.Run("sight", sightings)
}

// readsWhileLaunching compares reads at a fixed rate, while a thousand machines launch, with the same reads of those machines at rest. A
// read's time counts from when it was due, so that one that is held up counts for those behind it too.
func readsWhileLaunching(b *testing.B) {
	server := spawn(b, "changing", b.TempDir())
	resize(b, server.addr, manyMembers)
	var busy, idle []percentiles
	for range 3 {
		busy = append(busy, readPaced(b, server.addr, 7*time.Second))
	}
	if n := runningAt(b, server.addr); n >= manyMembers {
		b.Fatal("all machines run already: what was measured is a pool at rest")
	}
	for runningAt(b, server.addr) < manyMembers {
		done(b, pause(b.Context(), 100*time.Millisecond))
	}
	for range 3 {
		idle = append(idle, readPaced(b, server.addr, 5*time.Second))
	}
	var size, pool []float64
	for i := range busy {
		b.Logf("launching: size %v, pool %v; at rest: size %v, pool %v", busy[i].size, busy[i].pool, idle[i].size, idle[i].pool)
		size = append(size, busy[i].size.Seconds()/idle[i].size.Seconds())
		pool = append(pool, busy[i].pool.Seconds()/idle[i].pool.Seconds())
	}
	goals.Report(b, "x-idle-size-p99", size...)
	goals.Report(b, "x-idle-pool-p99", pool...)
}

// percentiles are the 99th ones.
type percentiles struct{ size, pool time.Duration }

func readPaced(b *testing.B, addr string, window time.Duration) (p percentiles) {
	b.Helper()
	var both sync.WaitGroup
	both.Go(func() { p.size = paced(b, addr, get("/pool/size"), 300, window) })
	both.Go(func() { p.pool = paced(b, addr, get("/pool"), 40, window) })
	both.Wait()
	return p
}

// paced sends a request so many times a second, over four connections, and returns the 99th percentile of how late the answers were.
func paced(b *testing.B, addr string, request []byte, rate int, window time.Duration) time.Duration {
	const connections = 4
	late := hdrhistogram.New(1, time.Minute.Microseconds(), 3)
	var mu sync.Mutex
	var all sync.WaitGroup
	begun, total := time.Now().Add(50*time.Millisecond), int(window.Seconds()*float64(rate))
	for c := range connections {
		w := dial(b, addr, request)
		all.Go(func() {
			for i := c; i < total; i += connections {
				due := begun.Add(time.Duration(i) * time.Second / time.Duration(rate))
				_ = pause(context.Background(), time.Until(due))
				if _, err := w.exchange(nil); err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				_ = late.RecordValue(max(1, time.Since(due).Microseconds()))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return time.Duration(late.ValueAtQuantile(99)) * time.Microsecond
}

func resize(b *testing.B, addr string, desired int) {
	b.Helper()
	_, err := dial(b, addr, post("/pool/size", fmt.Sprintf(`{"desiredSize": %d}`, desired))).exchange(nil)
	done(b, err)
}

// post is what is sent to change path.
func post(path, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		path, len(body), body)
}

func runningAt(b *testing.B, addr string) int {
	b.Helper()
	var body bytes.Buffer
	_, err := dial(b, addr, get("/pool")).exchange(&body)
	done(b, err)
	return bytes.Count(body.Bytes(), []byte(`"RUNNING"`))
}

// durableWrites compares the answers to POST /pool/size, which are given once the size is on disk, with writes of a page to a file beside
// the journal that are flushed by themselves, in turns. The pool is frozen, so that nothing comes of the sizes.
func durableWrites(b *testing.B) {
	server := spawn(b, "changing", b.TempDir())
	_, err := dial(b, server.addr, post("/pool/freeze", `{"frozen": true}`)).exchange(nil)
	done(b, err)
	file, err := os.Create(filepath.Join(b.TempDir(), "flushed"))
	done(b, err)
	defer file.Close()
	one, two := post("/pool/size", `{"desiredSize": 1}`), post("/pool/size", `{"desiredSize": 2}`)
	sizes := []*wire{dial(b, server.addr, one), dial(b, server.addr, two)}
	own, disk := hdrhistogram.New(1, time.Minute.Microseconds(), 3), hdrhistogram.New(1, time.Minute.Microseconds(), 3)
	page := make([]byte, os.Getpagesize())
	for i := range 300 {
		_ = own.RecordValue(timed(func() { _, err = sizes[i%2].exchange(nil) }).Microseconds())
		done(b, err)
		_ = disk.RecordValue(timed(func() { err = flushed(file, page) }).Microseconds())
		done(b, err)
	}
	for _, p := range []float64{50, 99} {
		goals.Report(b, fmt.Sprintf("ms-p%g", p), float64(own.ValueAtQuantile(p))/1000)
		goals.Report(b, fmt.Sprintf("x-fsync-p%g", p), float64(own.ValueAtQuantile(p))/float64(disk.ValueAtQuantile(p)))
	}
}

func flushed(file *os.File, page []byte) error {
	_, err := file.WriteAt(page, 0)
	return errors.Join(err, file.Sync())
}

// sightings measures how soon a pool of a thousand machines shows what an administrator does to one of them: powers it off, or deletes it.
func sightings(b *testing.B) {
	sim := simulated(b, simulator.Options{})
	b.Cleanup(sim.Close)
	pool := keep(b, over(sim.Connection(), sim.Template()), quick)
	scale(b, pool, manyMembers)
	seen := hdrhistogram.New(1, time.Minute.Microseconds(), 3)
	view, err := pool.View(b.Context())
	done(b, err)
	const changes = 30
	for i, m := range view.Machines[:changes] {
		did := disturb(b, sim, m, i%2 == 0)
		await(b, pool, func(v actors.View) bool { return !well(v, m) })
		_ = seen.RecordValue(time.Since(did).Microseconds())
		done(b, pause(b.Context(), time.Duration(i*97%500)*time.Millisecond)) // not in step with what is measured
	}
	goals.Report(b, "s-p50", float64(seen.ValueAtQuantile(50))/1e6)
	goals.Report(b, "s-p99", float64(seen.ValueAtQuantile(99))/1e6)
}

// disturb does something to a machine from outside, and returns when the first of it was done: what is deleted is powered off before.
func disturb(b *testing.B, sim *simulator.Simulator, m *actors.Machine, remove bool) time.Time {
	b.Helper()
	vc, err := sim.Client(b.Context())
	done(b, err)
	vm := object.NewVirtualMachine(vc, types.ManagedObjectReference{Type: "VirtualMachine", Value: m.Metadata.VM})
	task, err := vm.PowerOff(b.Context())
	done(b, err)
	done(b, task.Wait(b.Context()))
	at := time.Now()
	if remove {
		task, err := vm.Destroy(b.Context())
		done(b, err)
		done(b, task.Wait(b.Context()))
	}
	return at
}

// well says whether a machine is shown as if nothing had happened to it.
func well(v actors.View, m *actors.Machine) bool {
	for _, now := range v.Machines {
		if now.ID == m.ID {
			return now.State == actors.Running && now.Metadata.Error == ""
		}
	}
	return false
}
