package load

import (
	"syscall"
	"time"
)

// nap sleeps in the kernel, which is precise to some 0.1 ms. It may end early.
func nap(d time.Duration) {
	left := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&left, nil)
}
