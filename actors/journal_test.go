package actors

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vspherepool/vsphere"
)

func openJournal(t *testing.T, path string) Journal {
	t.Helper()
	j, err := OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestJournalKeepsWhatWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := openJournal(t, path)
	size := 3
	pool := PoolRecord{Desired: &size, Document: []byte("name: web"), Started: true, Rebuilt: true, VCenter: "vc"}
	a := record{
		ID: "a", Name: "web-a", Phase: running, Ref: "vm-1", Task: "task-1", Status: vsphere.DefaultStatus(), Requested: noon, Launched: noon,
		CPUs: 2, MemoryMiB: 4096, IPs: []string{"10.0.0.1"}, Reason: "r", Error: "e",
	}
	b := record{ID: "b", Phase: requested, Status: vsphere.DefaultStatus()}
	write := func(changes ...Change) {
		t.Helper()
		if err := j.Write(changes); err != nil {
			t.Fatal(err)
		}
	}
	write(Change{pool: &pool}, Change{machine: &a}, Change{machine: &b})
	write(Change{forget: "b"})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}

	j = openJournal(t, path)
	defer j.Close()
	s, err := j.Load()
	if err != nil {
		t.Fatal(err)
	}
	if *s.Pool.Desired != 3 || string(s.Pool.Document) != "name: web" || !s.Pool.Started || !s.Pool.Rebuilt || s.Pool.VCenter != "vc" {
		t.Errorf("%+v", s.Pool)
	}
	if len(s.Machines) != 1 || !s.Machines[0].sameAs(a) {
		t.Errorf("%+v", s.Machines)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func TestJournalIsLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := openJournal(t, path)
	defer j.Close()
	if _, err := OpenJournal(path); !errors.Is(err, ErrLocked) {
		t.Errorf("%v", err)
	}
}

func TestJournalOfANewerProgramIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := openJournal(t, path).(*boltJournal)
	if err := put(j.db, []entry{{metaBucket, versionKey, []byte("3")}}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	before := read(t, path)
	_, err := OpenJournal(path)
	if newer, ok := errors.AsType[*NewerJournalError](err); !ok || newer.Has != 3 || newer.Known != layoutVersion {
		t.Errorf("%v", err)
	}
	if !bytes.Equal(before, read(t, path)) {
		t.Error("the file was changed")
	}
}

// All phases survive the journal, and resume somewhere that goes on.
func TestRecordsOfAllPhasesRoundTrip(t *testing.T) {
	j := openJournal(t, filepath.Join(t.TempDir(), "journal"))
	defer j.Close()
	for p := range phases {
		rec := record{ID: vsphere.MachineID(p), Phase: p, Status: vsphere.DefaultStatus(), Ended: time.Unix(0, 0).UTC()}
		if err := j.Write([]Change{{machine: &rec}}); err != nil {
			t.Fatal(err)
		}
	}
	s, err := j.Load()
	if err != nil || len(s.Machines) != len(phases) {
		t.Fatalf("%d of %d: %v", len(s.Machines), len(phases), err)
	}
	for _, r := range s.Machines {
		if r.Phase != phase(r.ID) {
			t.Errorf("%s came back as %s", r.ID, r.Phase)
		}
	}
}
