package actors

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// mount has a file system of its own for a test, where the test may make one.
func mount(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("a file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestAJournalOnARealFullDisk(t *testing.T) {
	dir := mount(t, "size=512k")
	path := filepath.Join(dir, "journal")
	j := openJournal(t, path).(*boltJournal)
	defer j.Close()
	if err := j.Write([]Change{{pool: &PoolRecord{Started: true}}, {machine: machineNamed("a", 1)}}); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(dir, "filler")
	_ = os.WriteFile(filler, make([]byte, 1<<20), 0o600) // as far as it goes
	refused := 0
	for n := range 300 {
		err := j.Write([]Change{{machine: machineNamed(fmt.Sprintf("m-%d", n), 250)}})
		if err != nil {
			refused++
			if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free some space") {
				t.Fatal(err)
			}
		}
	}
	if refused == 0 {
		t.Fatal("the disk was never full")
	}
	s, err := j.Load()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := j.Write([]Change{{machine: machineNamed("last", 1)}}); err != nil {
		t.Fatal(err)
	}
	kept(t, j, path, len(s.Machines)+1)
}

func TestANewJournalOnAFullDisk(t *testing.T) {
	dir := mount(t, "size=64k")
	_ = os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 1<<20), 0o600) // as far as it goes
	_, err := OpenJournal(filepath.Join(dir, "journal"))
	if !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}

func TestAJournalOnAReadOnlyFileSystem(t *testing.T) {
	dir := mount(t, "size=2m")
	path := filepath.Join(dir, "journal")
	j := openJournal(t, path).(*boltJournal)
	if err := errors.Join(j.Write([]Change{{pool: &PoolRecord{Started: true}}, {machine: machineNamed("a", 1)}}), j.Close()); err != nil {
		t.Fatal(err)
	}
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	if _, err := OpenJournal(path); !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("%v", err)
	}
	remount(0)
	kept(t, openJournal(t, path).(*boltJournal), path, 1)
}
