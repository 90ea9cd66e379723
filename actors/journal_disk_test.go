package actors

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// written makes a journal of so many machines.
func written(t *testing.T, machines int) (*boltJournal, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	j := openJournal(t, path).(*boltJournal)
	t.Cleanup(func() { j.Close() })
	changes := []Change{{pool: &PoolRecord{Started: true}}}
	for n := range machines {
		changes = append(changes, Change{machine: machineNamed(fmt.Sprintf("m-%03d", n), 200)})
	}
	if err := j.Write(changes); err != nil {
		t.Fatal(err)
	}
	return j, path
}

// kept fails the test unless the file at path holds so many machines.
func kept(t *testing.T, j *boltJournal, path string, machines int) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	again := openJournal(t, path)
	defer again.Close()
	if s, err := again.Load(); err != nil || len(s.Machines) != machines || !s.Pool.Started {
		t.Errorf("%d machines of %d: %v", len(s.Machines), machines, err)
	}
}

// What happens to the file while a server has it open is found at the next write, and mended by it.
func TestAJournalOutlivesItsFile(t *testing.T) {
	for name, harm := range map[string]func(j *boltJournal, path string) error{
		"removed":                  func(_ *boltJournal, path string) error { return os.Remove(path) },
		"emptied":                  func(_ *boltJournal, path string) error { return os.Truncate(path, 0) },
		"cut off":                  func(_ *boltJournal, path string) error { return os.Truncate(path, 8192) },
		"its handle does not work": func(j *boltJournal, _ string) error { return j.file.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			j, path := written(t, 50)
			if err := harm(j, path); err != nil {
				t.Fatal(err)
			}
			if err := j.Write([]Change{{machine: machineNamed("n", 1)}}); err != nil {
				t.Fatal(err)
			}
			kept(t, j, path, 51)
		})
	}
}

// bbolt maps the file: to touch what is cut off is a fault, which would be the end of the process.
func TestFaultsAreContained(t *testing.T) {
	j, path := written(t, 50)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if err := put(j.db, []entry{{machinesBucket, "x", []byte("y")}}); !errors.Is(err, errFlawed) {
		t.Errorf("%v", err)
	}
	j.failed = errFlawed
	if err := j.Write(nil); err != nil {
		t.Error(err)
	}
	kept(t, j, path, 50)
}

// A file that somebody put there may be another server's: it is not overwritten.
func TestAReplacedJournalIsLeftAlone(t *testing.T) {
	j, path := written(t, 5)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("another one's"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := j.Write([]Change{{machine: machineNamed("n", 1)}}); !errors.Is(err, errReplaced) {
			t.Errorf("%v", err)
		}
	}
	if string(read(t, path)) != "another one's" {
		t.Error("it was overwritten")
	}
	if err := os.Rename(path+".old", path); err != nil {
		t.Fatal(err)
	}
	if err := j.Write([]Change{{machine: machineNamed("n", 1)}}); err != nil {
		t.Error(err)
	}
	kept(t, j, path, 6)
}

// alone runs a test in a process of its own, for what a process can have only once; it returns true in that process.
func alone(t *testing.T) bool {
	t.Helper()
	const child = "VSPHEREPOOL_TEST_ALONE"
	if os.Getenv(child) != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), child+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// limitFiles lets no file of this process grow beyond a size, as a full disk would; the test has to be alone.
func limitFiles(t *testing.T, size uint64) (lift func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	lift = func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(lift)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	return lift
}

// Writes that a full disk refuses change nothing, say what to do, and succeed once there is room.
func TestAJournalWithoutRoom(t *testing.T) {
	if !alone(t) {
		return
	}
	j, path := written(t, 50)
	size := len(read(t, path))
	lift := limitFiles(t, uint64(size))
	var big []Change
	for n := range 200 {
		big = append(big, Change{machine: machineNamed(fmt.Sprintf("big-%03d", n), 250)})
	}
	for range 3 {
		if err := j.Write(big); err == nil || !strings.Contains(err.Error(), "LimitFSIZE") {
			t.Fatalf("%v", err)
		}
	}
	if s, err := j.Load(); err != nil || len(s.Machines) != 50 {
		t.Errorf("%d machines, %v", len(s.Machines), err)
	}
	if files, _ := filepath.Glob(path + "*"); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
	lift()
	if err := j.Write(big); err != nil {
		t.Fatal(err)
	}
	kept(t, j, path, 250)
}

// Each thing that can be in the way of a journal has a sentence that says what to do.
func TestJournalsThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "directory"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "forbidden"), []byte("x"), 0o000); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"directory":       "move it away",
		"missing/journal": "make the state directory",
		"forbidden":       "give the state directory",
	} {
		if name == "forbidden" && os.Geteuid() == 0 {
			continue // root may read it
		}
		if _, err := OpenJournal(filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClosingDoesNotWaitForAWriteThatHangs(t *testing.T) {
	j, _ := written(t, 1)
	j.mu.Lock()
	begun := time.Now()
	if err := j.Close(); err == nil || time.Since(begun) > time.Second {
		t.Errorf("%v after %s", err, time.Since(begun))
	}
	j.mu.Unlock()
}
