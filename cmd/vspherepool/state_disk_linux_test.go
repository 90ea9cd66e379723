package main

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// limitFiles lets no file of another process grow beyond a size, as a full disk would; it can be lifted again.
func limitFiles(t *testing.T, pid int, size uint64) {
	t.Helper()
	limit := syscall.Rlimit{Cur: size, Max: ^uint64(0)}
	_, _, code := syscall.Syscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if code != 0 {
		t.Skipf("limits of another process cannot be set here: %v", code)
	}
}

// A running server whose disk takes nothing any more says so, refuses what it cannot record, goes on answering, and goes on by itself once
// there is room.
func TestAServerWithoutRoom(t *testing.T) {
	v, sim := besieged(t)
	before := v.members()
	limitFiles(t, v.cmd.Process.Pid, 1)
	if v.call(http.MethodPost, "/pool/size", map[string]int{"desiredSize": 5}, nil) {
		t.Error("a size that cannot be recorded was acknowledged")
	}
	var status statusDocument
	if !v.within(10*time.Second, func() bool {
		return v.call(http.MethodGet, "/status", nil, &status) && strings.Contains(status.Blocked, "file too large")
	}) {
		t.Errorf("%+v", status)
	}
	if v.call(http.MethodPost, "/pool/"+before[0]+"/terminate", map[string]bool{"decrementDesiredSize": false}, nil) {
		t.Error("a termination that cannot be recorded was acknowledged")
	}
	if len(v.members()) != 3 {
		t.Errorf("members %s", v.members())
	}
	limitFiles(t, v.cmd.Process.Pid, ^uint64(0))
	v.resize(5)
	if v.desired != 5 {
		t.Error("a size was refused though there is room again")
	}
	v.converge()
	v.inventory(sim)
	v.kill()
	v.start()
	v.settleDoubt()
}
