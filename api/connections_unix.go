//go:build unix

package api

import "syscall"

// descriptors is how many files and connections the process may have open. Go has raised it to what the system allows at most.
func descriptors() (int, bool) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return 0, false
	}
	return int(limit.Cur), true
}
