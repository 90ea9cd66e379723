package actors

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vspherepool/vsphere"
)

// toFile writes what the rig's journal holds to a real one.
func (r *rig) toFile(path string) {
	r.t.Helper()
	s, err := r.journal.Load()
	if err != nil {
		r.t.Fatal(err)
	}
	changes := []Change{{pool: &s.Pool}}
	for _, rec := range s.Machines {
		changes = append(changes, Change{machine: &rec})
	}
	j := openJournal(r.t, path)
	if err := j.Write(changes); err != nil {
		r.t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		r.t.Fatal(err)
	}
}

// fromFile is the journal in a file.
func fromFile(t *testing.T, path string) *memory {
	t.Helper()
	j := openJournal(t, path)
	defer j.Close()
	s, err := j.Load()
	if err != nil {
		t.Fatal(err)
	}
	m := newMemory()
	changes := []Change{{pool: &s.Pool}}
	for _, rec := range s.Machines {
		changes = append(changes, Change{machine: &rec})
	}
	if err := m.Write(changes); err != nil {
		t.Fatal(err)
	}
	return m
}

func ids(ms []Machine) string {
	var all []string
	for _, m := range ms {
		all = append(all, string(m.ID)+" "+m.Metadata.VM)
	}
	slices.Sort(all)
	return fmt.Sprint(all)
}

// A pool whose journal was damaged in some random place and repaired has the members that it had, and no others.
func TestARepairedPoolHasItsMembers(t *testing.T) {
	for seed := range uint64(25) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.grown(12)
				r.resize(9)
				r.after(4 * time.Minute)
				r.expect(Running, 9)
				if seed%2 == 0 { // and launches in flight
					r.resize(11)
					r.after(time.Duration(1+seed) * time.Second)
				}
				desired := r.view().Size.Desired
				before := ids(r.in(Running))
				r.crash()
				path := filepath.Join(t.TempDir(), "journal")
				r.toFile(path)
				rnd := rand.New(rand.NewPCG(seed, 4))
				raw := read(t, path)
				for bad := raw; ; bad = damage(bytes.Clone(raw), rnd) { // until it hurts
					if _, _, err := readImage(bad); err != nil {
						if err := os.WriteFile(path, bad, 0o600); err != nil {
							t.Fatal(err)
						}
						break
					}
				}
				done, err := RebuildJournal(path, &desired, time.Now())
				if err != nil || done.Kept == "" {
					t.Fatalf("%+v %v", done, err)
				}
				r.journal = fromFile(t, path)
				r.start()
				r.after(10 * time.Minute)
				if seed%2 == 1 && ids(r.expect(Running, 9)) != before {
					t.Errorf("%s, before %s", ids(r.in(Running)), before)
				}
				r.expect(Running, desired)
				if n := r.world.count(); n != desired {
					t.Errorf("%d VMs for %d machines", n, desired)
				}
				for member := range strings.FieldsSeq(strings.Trim(before, "[]")) {
					if !strings.Contains(ids(r.in(Running)), member) {
						t.Errorf("%s is a member no more", member)
					}
				}
			})
		})
	}
}

// Records may be older than what happened: of a machine that is long gone, and of one that has been cloned since.
func TestRepairedRecordsMayBeOld(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(4)
		r.after(time.Second)
		old, err := r.journal.Load() // nothing is cloned yet
		if err != nil {
			t.Fatal(err)
		}
		r.after(time.Minute)
		r.expect(Running, 4)
		running, err := r.journal.Load()
		if err != nil {
			t.Fatal(err)
		}
		r.resize(3)
		r.after(2 * time.Minute)
		before := ids(r.expect(Running, 3))
		r.crash()
		found := salvaged{pool: &running.Pool, machines: append(old.Machines[:2:2], running.Machines[2:]...)}
		four := 4 // so that no machine has to go while it is still thought to be cloned
		path := filepath.Join(t.TempDir(), "journal")
		openJournal(t, path).Close()
		if err := found.rewrite(path, &four); err != nil {
			t.Fatal(err)
		}
		r.journal = fromFile(t, path)
		r.start()
		r.after(15 * time.Minute)
		after := ids(r.expect(Running, 4))
		for member := range strings.FieldsSeq(strings.Trim(before, "[]")) {
			if !strings.Contains(after, member) {
				t.Errorf("%s, before %s", after, before)
			}
		}
		if n := r.world.count(); n != 4 || r.world.clones() != 5 {
			t.Errorf("%d VMs, %d clones", n, r.world.clones())
		}
	})
}

// brokenPage damages the page that holds the text.
func brokenPage(t *testing.T, path, text string) {
	t.Helper()
	raw := read(t, path)
	f, err := readPages(raw)
	if err != nil {
		t.Fatal(err)
	}
	tree := f.tree(f.metas[0])
	at := -1
	for i := 0; ; i++ { // where it is in use
		next := bytes.Index(raw[i:], []byte(text))
		if next < 0 {
			break
		}
		i += next
		if page := uint64(i) / f.metas[0].pageSize; tree.used[page] {
			at = i
		}
	}
	if at < 0 {
		t.Fatal("it is not there")
	}
	raw[at] ^= 1
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestADamagedJournalIsInspectedAndRebuilt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := openJournal(t, path)
	four := 4
	changes := []Change{{pool: &PoolRecord{Desired: &four, Document: []byte(document), Started: true, Rebuilt: true, Owed: 2}}}
	for n := range 40 {
		changes = append(changes, Change{machine: machineNamed(fmt.Sprintf("m-%02d", n), 200)})
	}
	if err := j.Write(changes); err != nil {
		t.Fatal(err)
	}
	if _, err := InspectJournal(path); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("inspected while it is open: %v", err)
	}
	j.Close()
	sound := read(t, path)
	i, err := InspectJournal(path)
	if err != nil || !i.Sound() || len(i.Findings) != 0 || len(i.Machines) != 40 || *i.Desired != 4 || i.Pool != "web" || !i.Complete ||
		i.Layout != 2 {
		t.Fatalf("%+v %v", i, err)
	}
	if done, err := RebuildJournal(path, nil, noon); err != nil || done.Kept != "" || !bytes.Equal(read(t, path), sound) {
		t.Errorf("a sound one was changed: %v", err)
	}
	brokenPage(t, path, `"name":"web-m-17"`)
	bad := read(t, path)
	if i, err = InspectJournal(path); err != nil || i.Sound() || len(i.Machines) != 39 || !bytes.Equal(read(t, path), bad) {
		t.Fatalf("%d machines, %+v %v", len(i.Machines), i.Findings, err)
	}
	if !strings.Contains(i.Findings[0].Trouble, "machine m-17") || i.Findings[0].Remedy == "" {
		t.Errorf("%+v", i.Findings)
	}
	done, err := RebuildJournal(path, nil, noon)
	if err != nil || done.Kept != path+".damaged-20261122T120000Z" || !bytes.Equal(read(t, done.Kept), bad) {
		t.Fatalf("%s %v", done.Kept, err)
	}
	i, err = InspectJournal(path)
	if err != nil || !i.Sound() || len(i.Machines) != 39 || *i.Desired != 4 || i.Complete || i.Owed != 2 {
		t.Errorf("%+v %v", i, err)
	}
}

func TestALostPoolRecordIsMadeAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	if err := os.WriteFile(path, bytes.Repeat([]byte("garbage "), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	seven := 7
	if _, err := RebuildJournal(path, &seven, noon); err != nil {
		t.Fatal(err)
	}
	s, err := fromFile(t, path).Load()
	if err != nil || *s.Pool.Desired != 7 || s.Pool.Rebuilt || len(s.Machines) != 0 {
		t.Errorf("%+v %v", s, err)
	}
	if _, err := RebuildJournal(filepath.Join(t.TempDir(), "none"), nil, noon); !strings.Contains(fmt.Sprint(err), "no such file") {
		t.Errorf("%v", err)
	}
}

func TestMachinesThatClaimOneVMAreNotBelieved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := openJournal(t, path)
	a, b, c := machineNamed("a", 1), machineNamed("b", 1), machineNamed("c", 1)
	b.Ref = a.Ref
	if err := j.Write([]Change{{machine: a}, {machine: b}, {machine: c}}); err != nil {
		t.Fatal(err)
	}
	j.Close()
	i, err := InspectJournal(path)
	if err != nil || i.Sound() || !strings.Contains(i.Findings[0].Trouble, "claim the same VM") {
		t.Fatalf("%+v %v", i.Findings, err)
	}
	if _, err := RebuildJournal(path, nil, noon); err != nil {
		t.Fatal(err)
	}
	if s, err := fromFile(t, path).Load(); err != nil || len(s.Machines) != 1 || s.Machines[0].ID != vsphere.MachineID("c") {
		t.Errorf("%+v %v", s, err)
	}
}

func FuzzSalvage(f *testing.F) {
	path := filepath.Join(f.TempDir(), "journal")
	j, err := OpenJournal(path)
	if err != nil {
		f.Fatal(err)
	}
	if err := j.Write([]Change{{pool: &PoolRecord{Started: true}}, {machine: machineNamed("a", 1)}}); err != nil {
		f.Fatal(err)
	}
	j.Close()
	raw, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw[:24576], uint32(0), []byte{})
	f.Add(raw[:24576], uint32(16400), []byte{1, 0, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, raw []byte, at uint32, with []byte) {
		raw = bytes.Clone(raw)
		if int(at) < len(raw) {
			copy(raw[at:], with)
		}
		found, err := salvage(raw)
		_, _, refused := readImage(raw)
		if i := found.inspection(); err == nil && i.Sound() && refused != nil {
			t.Errorf("called sound, and refused: %v", refused)
		}
	})
}
