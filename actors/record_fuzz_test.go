package actors

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/fnv"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"vspherepool/vsphere"
)

// FuzzRecords decodes records as a journal holds them: what is accepted is written and read again as the same.
func FuzzRecords(f *testing.F) {
	pool, _ := json.Marshal(PoolRecord{Desired: new(3), Document: []byte(minimalConfig), Writer: vsphere.Writer{ID: "w", Epoch: 2}})
	machine, _ := json.Marshal(record{ID: "m", Name: "w", Phase: running, Status: vsphere.DefaultStatus(), Requested: time.Unix(1, 0)})
	f.Add(pool, "m", machine)
	f.Add([]byte(`{"desired":-1,"document":"!","still":{"since":"0000-01-01T00:00:00Z"}}`), "m", []byte(`{"id":"m","phase":"quantum"}`))
	f.Add([]byte(`null`), "", []byte(`{"id":"","phase":"running","ips":["x",null],"requested":"9999-12-31T23:59:59.999999999+23:59"}`))
	f.Fuzz(func(t *testing.T, pool []byte, id string, machine []byte) {
		frugal(t, func() {
			i := newImage()
			i.set(poolBucket, recordKey, pool)
			i.set(machinesBucket, id, machine)
			s, err := i.state()
			if err != nil {
				return
			}
			changes := []Change{{pool: &s.Pool}, {machine: &s.Machines[0]}}
			written := newImage()
			if _, err := written.take(changes); err != nil {
				t.Fatalf("%s, %s cannot be written again: %v", pool, machine, err)
			}
			again, err := written.state()
			if err != nil || !again.Machines[0].sameAs(s.Machines[0]) || !reflect.DeepEqual(again.Pool.Desired, s.Pool.Desired) {
				t.Errorf("%+v became %+v, %v", s, again, err)
			}
			s.Machines[0].machine()
			nameIn(s.Pool.Document)
		})
	})
}

// sameAs compares records.
func (r record) sameAs(o record) bool {
	same := slices.Equal(r.IPs, o.IPs)
	r.IPs, o.IPs = nil, nil
	return same && reflect.DeepEqual(r, o)
}

// FuzzForgedPages reads a journal's file in which anything was changed, with the checksums of its meta pages made to fit.
func FuzzForgedPages(f *testing.F) {
	path := filepath.Join(f.TempDir(), "journal")
	j, err := OpenJournal(path)
	if err != nil {
		f.Fatal(err)
	}
	if err := j.Write([]Change{{pool: &PoolRecord{Desired: new(3)}}, {machine: &record{ID: "m", Phase: running}}}); err != nil {
		f.Fatal(err)
	}
	if err := j.Close(); err != nil {
		f.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	for _, at := range []uint32{0, 32, 40, 48, 56, 64, 4096 + 32, 2*4096 + 8, 3 * 4096, 3*4096 + 10, 3*4096 + 20, 3*4096 + 24} {
		f.Add(at, uint64(3), at+8, uint64(1)<<52)
		f.Add(at, ^uint64(0), at+8, ^uint64(0)-1)
	}
	for _, meta := range []uint32{0, uint32(os.Getpagesize())} { // a root whose offset in bytes is more than 64 bits can say
		f.Add(meta+32, uint64(1)<<52-1, meta+56, ^uint64(0))
		f.Add(meta+32, uint64(1)<<60, meta+56, ^uint64(0))
		f.Add(meta+48, uint64(1)<<52-1, meta+56, ^uint64(0))
	}
	f.Fuzz(func(t *testing.T, at uint32, value uint64, at2 uint32, value2 uint64) {
		raw := append([]byte(nil), file...)
		for where, what := range map[uint32]uint64{at: value, at2: value2} {
			binary.NativeEndian.PutUint64(raw[int(where)%(len(raw)-8):], what)
		}
		for _, meta := range []int{0, os.Getpagesize()} {
			b := raw[meta+pageHeader:]
			sum := fnv.New64a()
			sum.Write(b[:metaSum])
			binary.NativeEndian.PutUint64(b[metaSum:], sum.Sum64())
		}
		frugal(t, func() {
			if i, _, err := readImage(raw); err == nil {
				if _, err := i.state(); err != nil {
					t.Errorf("an image that was accepted cannot be decoded: %v", err)
				}
			}
			var newer *NewerJournalError
			if found, err := salvage(raw); err != nil && !errors.As(err, &newer) {
				t.Error(err)
			} else if err == nil {
				found.trusted(nil)
				found.inspection()
			}
		})
	})
}
