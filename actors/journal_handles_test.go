package actors

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// withHandles does something in a process that may open so many files more.
func withHandles(t *testing.T, more int, do func()) {
	t.Helper()
	var spare []*os.File
	var limit uint64
	for range more + 1 { // there may be gaps between those in use
		next, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		limit = uint64(next.Fd()) // what has a higher number cannot be opened
		spare = append(spare, next)
	}
	for _, file := range spare {
		file.Close()
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: limit, Max: before.Max}); err != nil {
		t.Skipf("limits cannot be set here: %v", err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	}()
	do()
}

// A new file that took the old one's place is this process's own at once, whatever fails after that: it is locked, and written on.
func TestARenewalNeedsOneHandleMore(t *testing.T) {
	for handles, want := range []error{syscall.EMFILE, nil} {
		j, path := written(t, 5)
		j.failed = errFlawed
		withHandles(t, handles, func() {
			if err := j.Write([]Change{{machine: machineNamed("n", 1)}}); !errors.Is(err, want) {
				t.Errorf("with %d handles: %v", handles, err)
			}
		})
		if _, err := OpenJournal(path); !errors.Is(err, ErrLocked) {
			t.Errorf("another one could open it: %v", err)
		}
		if err := j.Write([]Change{{machine: machineNamed("n", 1)}}); err != nil {
			t.Error(err)
		}
		kept(t, j, path, 6)
	}
}

// The damaged file is never lost, wherever its repair is cut short.
func TestARepairCutShortKeepsTheDamagedFile(t *testing.T) {
	for handles := range 4 {
		path := filepath.Join(t.TempDir(), "journal")
		garbage := bytes.Repeat([]byte("garbage "), 5000)
		if err := os.WriteFile(path, garbage, 0o600); err != nil {
			t.Fatal(err)
		}
		var done RebuiltJournal
		var err error
		withHandles(t, handles, func() { done, err = RebuildJournal(path, nil, noon) })
		if (err == nil) != (handles == 3) {
			t.Errorf("with %d handles: %v", handles, err)
		}
		copies, globErr := filepath.Glob(path + "*")
		if globErr != nil {
			t.Fatal(globErr)
		}
		damaged := 0
		for _, file := range copies {
			if bytes.Equal(read(t, file), garbage) {
				damaged++
			}
		}
		if damaged != 1 {
			t.Errorf("with %d handles: %d of %s are the damaged one; %+v %v", handles, damaged, copies, done.Kept, err)
		}
	}
}

func TestAJournalThatRootRepairsStaysItsOwners(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	if err := os.WriteFile(path, bytes.Repeat([]byte("garbage "), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 4711, 4712); err != nil {
		t.Skipf("files cannot be given away here: %v", err)
	}
	if _, err := RebuildJournal(path, nil, noon); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 4711 || owner.Gid != 4712 {
		t.Errorf("it belongs to %d:%d", owner.Uid, owner.Gid)
	}
}
