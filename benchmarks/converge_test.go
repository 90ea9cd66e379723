package benchmarks

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"vspherepool/benchmarks/goals"
	"vspherepool/vsphere/simulator"
)

const (
	// convergeSize is the number of machines that converging is timed with, unless convergeEnv says another one. The simulator needs all
	// there is of two processors for some five seconds to make a thousand.
	convergeSize = 1000
	convergeEnv  = "VSPHEREPOOL_CONVERGE"
	// convergeLaps is how often both sides run.
	convergeLaps = 2
	// manyMembers is the size at which calls are counted.
	manyMembers = 1000
)

// lap is how long it took from none to all, and back.
type lap struct{ up, down time.Duration }

// BenchmarkConverge compares the adapter with what one would write with govmomi, see [bare]. Both reach a simulator of their own over
// HTTPS, one that takes no time for clones and boots, in turns. So what is compared is mostly the processor time of both sides: the
// simulator runs in the same process, and every look at a VM costs it as much as the one who looks. And it counts the calls of a large
// pool.
func BenchmarkConverge(b *testing.B) {
	machines := convergeSize
	if text := os.Getenv(convergeEnv); text != "" {
		var err error
		machines, err = strconv.Atoi(text)
		done(b, err)
	}
	var up, down []float64
	for range convergeLaps {
		raw := bareLap(b, machines)
		own := adapterLap(b, machines)
		b.Logf("%d machines: up %v against %v, down %v against %v", machines, own.up, raw.up, own.down, raw.down)
		up, down = append(up, own.up.Seconds()/raw.up.Seconds()), append(down, own.down.Seconds()/raw.down.Seconds())
	}
	b.Run("up", func(b *testing.B) { goals.Report(b, "x-raw", up...) })
	b.Run("down", func(b *testing.B) { goals.Report(b, "x-raw", down...) })
	c := newCounted(b, likeReal, quick)
	b.Run("calls", func(b *testing.B) { goals.Report(b, "calls/machine", c.launched(manyMembers)) })
	_ = pause(b.Context(), 2*time.Second) // what the growth has left to read
	b.Run("steady", func(b *testing.B) { goals.Report(b, "calls/min", c.atRest(0.5)) })
	b.Run("calls-down", func(b *testing.B) { goals.Report(b, "calls/machine", c.terminated(manyMembers)) })
}

func bareLap(b *testing.B, machines int) lap {
	b.Helper()
	sim := simulated(b, simulator.Options{})
	defer sim.Close()
	raw := newBare(b, sim)
	defer func() { _ = raw.client.Logout(context.Background()) }()
	return lap{
		up:   timed(func() { done(b, raw.up(b.Context(), machines)) }),
		down: timed(func() { done(b, raw.down(b.Context())) }),
	}
}

func adapterLap(b *testing.B, machines int) lap {
	b.Helper()
	sim := simulated(b, simulator.Options{})
	defer sim.Close()
	pool, end := open(b, over(sim.Connection(), sim.Template()), quick)
	defer end()
	return lap{
		up:   timed(func() { scale(b, pool, machines) }),
		down: timed(func() { scale(b, pool, 0) }),
	}
}

func timed(do func()) time.Duration {
	begun := time.Now()
	do()
	return time.Since(begun)
}
