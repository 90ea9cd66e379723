package actors

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"vspherepool/vsphere"
)

// history is a journal's file after each of its writes, and what it held then.
type history struct {
	files  [][]byte
	states []State
}

func machineNamed(id string, about int) *record {
	return &record{
		ID: vsphere.MachineID(id), Name: "web-" + id, Phase: running, Ref: vsphere.Ref("vm-" + id), Status: vsphere.DefaultStatus(),
		Requested: noon, Host: strings.Repeat("h", about%300),
	}
}

// writeHistory writes a journal of up to so many machines, which come, change and go.
func writeHistory(t *testing.T, machines, writes int) history {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	j := openJournal(t, path)
	defer j.Close()
	rnd := rand.New(rand.NewPCG(1, uint64(machines)))
	var h history
	for n := range writes {
		changes := []Change{{pool: &PoolRecord{Desired: &n, Document: []byte(document)}}}
		for range 1 + rnd.IntN(machines) {
			id := fmt.Sprintf("m-%04d", rnd.IntN(machines))
			if rnd.IntN(5) == 0 {
				changes = append(changes, Change{forget: vsphere.MachineID(id)})
			} else {
				changes = append(changes, Change{machine: machineNamed(id, rnd.IntN(300))})
			}
		}
		if err := j.Write(changes); err != nil {
			t.Fatal(err)
		}
		s, err := j.Load()
		if err != nil {
			t.Fatal(err)
		}
		h.files, h.states = append(h.files, read(t, path)), append(h.states, s)
	}
	return h
}

// holds says which of the states the file holds: the index, or -1 and an error.
func (h history) holds(t *testing.T, raw []byte) (int, error) {
	t.Helper()
	i, _, err := readImage(raw)
	if err != nil {
		return -1, err
	}
	s, err := i.state()
	if err != nil {
		return -1, err
	}
	for n, state := range slices.Backward(h.states) {
		if reflect.DeepEqual(s, state) {
			return n, nil
		}
	}
	t.Fatalf("a state that never was: %d machines, %+v", len(s.Machines), s.Pool)
	return 0, nil
}

// goesOn opens the file: it is refused and left alone, or can be written and loses nothing by it.
func goesOn(t *testing.T, raw []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := OpenJournal(path)
	if err != nil {
		if _, damaged := errors.AsType[*DamagedJournalError](err); !damaged || !bytes.Equal(read(t, path), raw) {
			t.Fatalf("a damaged file was changed, or it is not said that it is damaged: %v", err)
		}
		return
	}
	before, err := j.Load()
	if err = errors.Join(err, j.Write([]Change{{machine: machineNamed("zz", 1)}}), j.Close()); err != nil {
		t.Fatal(err)
	}
	again := openJournal(t, path)
	defer again.Close()
	after, err := again.Load()
	if n := len(before.Machines); err != nil || len(after.Machines) != n+1 || !reflect.DeepEqual(after.Machines[:n], before.Machines) {
		t.Fatalf("%d machines after a write, %d before: %v", len(after.Machines), n, err)
	}
}

// Whatever becomes of a file, it is refused, or taken for a state that was committed.
func TestDamageIsFoundOrHarmless(t *testing.T) {
	h := writeHistory(t, 60, 12)
	last := h.files[len(h.files)-1]
	outcomes := map[string]int{}
	for seed := range uint64(1500) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		raw := damage(bytes.Clone(last), rnd)
		n, err := h.holds(t, raw)
		switch {
		case err != nil:
			outcomes["refused"]++
		case n == len(h.states)-1:
			outcomes["harmless"]++
		case n == len(h.states)-2:
			outcomes["the state before"]++
		default:
			t.Errorf("seed %d: the state of write %d", seed, n)
		}
		if seed%75 == 0 {
			goesOn(t, raw)
		}
	}
	t.Log(outcomes)
	if outcomes["refused"] < 250 || outcomes["harmless"] == 0 {
		t.Errorf("the damage is not of both kinds: %v", outcomes)
	}
}

// damage does to a file what disks and file systems do, in some random place.
func damage(raw []byte, rnd *rand.Rand) []byte {
	const page = 4096
	at := rnd.IntN(len(raw))
	switch rnd.IntN(6) {
	case 0: // bits rot
		for range 1 + rnd.IntN(4) {
			raw[rnd.IntN(len(raw))] ^= 1 << rnd.IntN(8)
		}
	case 1:
		copy(raw[at:], garbage(rnd, 1+rnd.IntN(200)))
	case 2: // the headers and the elements of pages
		at = at / page * page
		copy(raw[at+rnd.IntN(80):], garbage(rnd, 1+rnd.IntN(16)))
	case 3: // a page is lost
		clear(raw[at/page*page : min(len(raw), at/page*page+page)])
	case 4: // a page is another one
		other := rnd.IntN(len(raw)) / page * page
		copy(raw[at/page*page:], raw[other:other+page])
	case 5:
		raw = raw[:max(1, at)]
	}
	return raw
}

func garbage(rnd *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// A crash in the middle of a commit leaves any of its pages written or not, and its meta page last: bbolt flushes the others first. The
// state before the commit or that after it is loaded.
func TestTornWrites(t *testing.T) {
	h := writeHistory(t, 40, 8)
	const page = 4096
	for n := 1; n < len(h.files); n++ {
		before, after := h.files[n-1], h.files[n]
		for seed := range uint64(20) {
			raw := mixed(before, after, rand.New(rand.NewPCG(seed, 3)))
			if got, err := h.holds(t, raw); got != n-1 {
				t.Fatalf("write %d, data torn: state %d, %v", n, got, err)
			}
			if seed == 0 {
				goesOn(t, raw)
			}
		}
		for cut := range 100 { // of the meta page: 88 bytes are in use
			torn := bytes.Clone(after)
			for at := 0; at < 2*page; at += page {
				copy(torn[at+cut:at+page], before[at+cut:at+page])
			}
			if got, err := h.holds(t, torn); got != n && got != n-1 {
				t.Fatalf("write %d, meta page torn at %d: state %d, %v", n, cut, got, err)
			}
		}
	}
}

// mixed has some of the later file's data pages, and even parts of them, and the earlier one's meta pages.
func mixed(before, after []byte, rnd *rand.Rand) []byte {
	const page, sector = 4096, 512
	raw := bytes.Clone(before)
	if rnd.IntN(2) == 0 { // the file has grown already
		raw = append(raw, make([]byte, len(after)-len(before))...)
	}
	for at := 2 * page; at < min(len(raw), len(after)); at += sector {
		if rnd.IntN(2) == 0 {
			copy(raw[at:at+sector], after[at:])
		}
	}
	return raw
}

func TestJournalsOfTheFirstLayoutAreBroughtForward(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	if err := os.WriteFile(path, firstLayout(t), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, round := range []string{"as it was", "brought forward"} {
		j := openJournal(t, path)
		s, err := j.Load()
		if err != nil || j.Close() != nil {
			t.Fatal(err)
		}
		p := s.Pool
		if *p.Desired != 3 || string(p.Document) != document || !p.Started || !p.Rebuilt || p.VCenter != "vc-1" || p.Owed != 1 ||
			p.Writer != (vsphere.Writer{ID: "w-1", Epoch: 2}) || p.Still.Reason != "maintenance" || !p.Still.Since.Equal(noon) {
			t.Errorf("%s: %+v", round, p)
		}
		if len(s.Machines) != 2 || s.Machines[0].ID != "m-1" || s.Machines[1].Ref != "vm-m-2" || s.Machines[1].Phase != running {
			t.Errorf("%s: %+v", round, s.Machines)
		}
	}
	f, err := readPages(read(t, path))
	if err != nil {
		t.Fatal(err)
	}
	if v := f.tree(f.metas[0]).buckets[metaBucket][versionKey]; string(v) != "2" {
		t.Errorf("the layout has version %q now", v)
	}
}

// firstLayout is a journal that release 1 wrote.
func firstLayout(t *testing.T) []byte {
	t.Helper()
	packed, err := gzip.NewReader(bytes.NewReader(read(t, "testdata/journal-v1.db.gz")))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(packed)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestFilesThatAreNoJournals(t *testing.T) {
	for name, raw := range map[string][]byte{
		"text":  []byte("this is no database, but long enough to be mistaken for one"),
		"zeros": make([]byte, 32768),
		"one":   {0},
		"magic": bytes.Repeat([]byte{0xed, 0x0c, 0xda, 0xed}, 4096),
	} {
		path := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := OpenJournal(path)
		if _, damaged := errors.AsType[*DamagedJournalError](err); !damaged || !strings.Contains(err.Error(), "state check") {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(read(t, path), raw) {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func TestJournalsThatWereJustMadeAreEmpty(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		j := openJournal(t, path)
		s, err := j.Load()
		if err != nil || len(s.Machines) > 0 || s.Pool.Rebuilt || s.Pool.Desired != nil {
			t.Errorf("%+v %v", s, err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
