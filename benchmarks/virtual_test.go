package benchmarks

import (
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"vspherepool/benchmarks/goals"
)

// pace is what the scripted vCenter takes: for a linked clone as long as a busy vCenter does, and for the boot of a small guest.
var pace = delays{clone: 30 * time.Second, power: time.Second, boot: 10 * time.Second}

// atATime is how many clones, and how many destroys, the pool may have in flight.
const atATime = 20

// idealUp is the time in which so many machines can be made at best: clones in rounds without a pause between them, and what the last
// machines take to be on and to boot.
func idealUp(machines int) time.Duration {
	return time.Duration(waves(machines))*pace.clone + pace.power + pace.boot
}

// idealDown is the time in which they can be taken away: destroyed in rounds, once the first ones are off.
func idealDown(machines int) time.Duration {
	return pace.power + time.Duration(waves(machines))*pace.power
}

func waves(machines int) int { return (machines + atATime - 1) / atATime }

// BenchmarkVirtual measures in virtual time what the adapter adds to what vCenter takes, and what of the processor it uses for that in the
// real time that those hours would be.
func BenchmarkVirtual(b *testing.B) {
	const machines = 10_000
	var life virtualLife
	goals.Virtually(b, func(t *testing.T) { life = live(t, machines) })
	b.Run("up", func(b *testing.B) {
		goals.Report(b, "x-ideal", life.up)
		goals.Report(b, "%core", life.load)
	})
	b.Run("down", func(b *testing.B) { goals.Report(b, "x-ideal", life.down) })
}

// TestVirtual measures the life of a smaller pool.
func TestVirtual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		life := live(t, 1000)
		goals.Check(t, "Virtual/up", "x-ideal", life.up)
		goals.Check(t, "Virtual/down", "x-ideal", life.down)
	})
}

// virtualLife is how long a pool took to grow and to shrink, against the ideal, and its load of the processor while it grew, in percent.
type virtualLife struct{ up, down, load float64 }

func live(t *testing.T, machines int) (life virtualLife) {
	t.Helper()
	pool := keep(t, newCloud(pace).connect, quick)
	defer time.Sleep(time.Minute) // what is left of the actor system's throttles, once the pool has ended
	to := func(members int, ideal time.Duration) float64 {
		begun := time.Now()
		_, err := pool.Resize(t.Context(), members)
		done(t, err)
		time.Sleep(ideal - time.Second) // rather than look at it all the time
		scale(t, pool, members)
		return float64(time.Since(begun)) / float64(ideal)
	}
	begun := processorTime()
	life.up = to(machines, idealUp(machines))
	life.load = 100 * float64(processorTime()-begun) / float64(idealUp(machines))
	life.down = to(0, idealDown(machines))
	return life
}

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
