package vsphere

import (
	"runtime"
	"syscall"
	"testing"
	"time"
)

// What decoding one input may cost. The time is the processor's, and generous: the race detector takes most of it.
const (
	mostMemory = 100 << 20
	mostTime   = 10 * time.Second
)

// frugal fails if do costs too much.
func frugal(t *testing.T, do func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := processorTime()
	do()
	took := processorTime() - start
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > mostMemory || took > mostTime {
		t.Errorf("took %v and %d MiB", took, allocated>>20)
	}
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
