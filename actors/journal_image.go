package actors

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"vspherepool/vsphere"
)

// A journal's layout, version 2: bucket "pool" holds key "record", bucket "machines" one record per machine id, and bucket "meta" the
// layout's version and the seal. Values are JSON with a checksum before it, which covers the key too. The seal is the number of machines
// and the sum of all checksums, so that nothing can be missing, added or older than the rest without being noticed. Version 1 had plain
// JSON and no seal.
const (
	metaBucket     = "meta"
	poolBucket     = "pool"
	machinesBucket = "machines"
	versionKey     = "version"
	sealKey        = "seal"
	recordKey      = "record"

	layoutVersion = 2
)

// checksumSize is that of a checksum in bytes; it is stored as hexadecimal text.
const checksumSize = 16

type checksum [checksumSize]byte

// image is what a journal holds, as it is stored: the pool's record and the machines', nil and empty at first.
type image struct {
	pool     []byte
	machines map[vsphere.MachineID][]byte
	sum      checksum
}

func newImage() image { return image{machines: map[vsphere.MachineID][]byte{}} }

// entry is one value on its way to the file; without a value it is deleted.
type entry struct {
	bucket, key string
	value       []byte
}

// add takes the sum of an entry in, or out again.
func (s checksum) add(bucket, key string, raw []byte) checksum {
	if raw == nil {
		return s
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x00", bucket, key)
	h.Write(raw)
	for i, b := range h.Sum(nil)[:checksumSize] {
		s[i] ^= b
	}
	return s
}

// take makes the changes, and tells what has to be stored for that. An error leaves some of them made.
func (i *image) take(changes []Change) ([]entry, error) {
	var entries []entry
	for _, c := range changes {
		e, err := i.change(c)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return append(entries, i.seal()), nil
}

// only is the part of the image that the changes touch, with nil for a machine that it does not have. It costs as much as they are.
func (i image) only(changes []Change) image {
	part := image{pool: i.pool, machines: map[vsphere.MachineID][]byte{}, sum: i.sum}
	for _, c := range changes {
		switch {
		case c.machine != nil:
			part.machines[c.machine.ID] = i.machines[c.machine.ID]
		case c.pool == nil:
			part.machines[c.forget] = i.machines[c.forget]
		}
	}
	return part
}

// restore puts back what only gave.
func (i *image) restore(part image) {
	for id, raw := range part.machines {
		i.set(machinesBucket, string(id), raw)
	}
	i.pool, i.sum = part.pool, part.sum
}

func (i *image) change(c Change) (entry, error) {
	switch {
	case c.pool != nil:
		raw, err := json.Marshal(c.pool)
		return i.set(poolBucket, recordKey, raw), err
	case c.machine != nil:
		raw, err := json.Marshal(c.machine)
		return i.set(machinesBucket, string(c.machine.ID), raw), err
	default:
		return i.set(machinesBucket, string(c.forget), nil), nil
	}
}

// set puts a value in the place of the one that was there; nil deletes it.
func (i *image) set(bucket, key string, raw []byte) entry {
	before := i.pool
	if bucket == machinesBucket {
		before = i.machines[vsphere.MachineID(key)]
	}
	i.sum = i.sum.add(bucket, key, before).add(bucket, key, raw)
	switch {
	case bucket == poolBucket:
		i.pool = raw
	case raw == nil:
		delete(i.machines, vsphere.MachineID(key))
	default:
		i.machines[vsphere.MachineID(key)] = raw
	}
	return sealed(bucket, key, raw)
}

func sealed(bucket, key string, raw []byte) entry {
	e := entry{bucket: bucket, key: key}
	if raw != nil {
		sum := checksum{}.add(bucket, key, raw)
		e.value = append(hex.AppendEncode(nil, sum[:]), raw...)
	}
	return e
}

func (i image) seal() entry {
	return entry{metaBucket, sealKey, fmt.Appendf(nil, "%d %x", len(i.machines), i.sum)}
}

// entries are all that a file with this image holds.
func (i image) entries() []entry {
	all := []entry{{metaBucket, versionKey, []byte(strconv.Itoa(layoutVersion))}, i.seal()}
	if i.pool != nil {
		all = append(all, sealed(poolBucket, recordKey, i.pool))
	}
	for id, raw := range i.machines {
		all = append(all, sealed(machinesBucket, string(id), raw))
	}
	return all
}

// state decodes the image; an image that was written by this program always can be.
func (i image) state() (State, error) {
	var s State
	if i.pool != nil {
		if err := json.Unmarshal(i.pool, &s.Pool); err != nil {
			return State{}, fmt.Errorf("the pool's record cannot be decoded: %w", err)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(i.machines)) {
		r, err := decodeMachine(id, i.machines[id])
		if err != nil {
			return State{}, err
		}
		s.Machines = append(s.Machines, r)
	}
	return s, nil
}

func decodeMachine(id vsphere.MachineID, raw []byte) (record, error) {
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, fmt.Errorf("the record of machine %s cannot be decoded: %w", id, err)
	}
	if _, known := phases[r.Phase]; !known {
		return r, fmt.Errorf("machine %s is in phase %q, which this program does not know", id, r.Phase)
	}
	if r.ID != id {
		return r, fmt.Errorf("the record of machine %s says that it is that of %s", id, r.ID)
	}
	return r, nil
}

// NewerJournalError says that a newer program wrote the journal. Nothing was changed in it.
type NewerJournalError struct{ Has, Known int }

func (e *NewerJournalError) Error() string {
	return fmt.Sprintf("the journal's layout has version %d, and this program knows version %d at most: run the newer program that wrote it, "+
		"or use another state directory", e.Has, e.Known)
}

// content is the image that a tree holds, as far as it can be read; what is wrong with it is added to the tree's flaws. The error is a
// *[NewerJournalError].
func (t *boltTree) content() (image, error) {
	i := newImage()
	version, err := t.version()
	if err != nil {
		return i, err
	}
	for _, bucket := range []string{poolBucket, machinesBucket} {
		if t.buckets[bucket] == nil {
			t.flaw("bucket %q is missing", bucket)
		}
		for key, value := range t.buckets[bucket] {
			raw, whole := unsum(version, bucket, key, value)
			if !whole {
				t.flaw("the record of %s does not match its checksum", whose(bucket, key))
				continue
			}
			if bucket == machinesBucket || key == recordKey {
				i.set(bucket, key, bytes.Clone(raw))
			}
		}
	}
	if seal := t.buckets[metaBucket][sealKey]; version != 1 && !bytes.Equal(seal, i.seal().value) {
		t.flaw("the records are not complete, or not all of one time: there are %d, sealed with %q", len(i.machines), seal)
	}
	return i, nil
}

func (t *boltTree) version() (int, error) {
	raw := t.buckets[metaBucket][versionKey]
	version, _ := strconv.Atoi(string(raw)) // 0 is none
	switch {
	case version < 1:
		t.flaw("the layout's version is missing")
		return 0, nil
	case version > layoutVersion && len(t.flaws) == 0:
		return 0, &NewerJournalError{version, layoutVersion}
	}
	return version, nil
}

func whose(bucket, key string) string {
	if bucket == poolBucket {
		return "the pool"
	}
	return "machine " + key
}

// unsum takes a value's checksum off. Where the version is lost, the values show whether they have one.
func unsum(version int, bucket, key string, value []byte) (raw []byte, whole bool) {
	if version == 1 || version == 0 && bytes.HasPrefix(value, []byte("{")) {
		return value, true
	}
	if len(value) < 2*checksumSize {
		return nil, false
	}
	raw = value[2*checksumSize:]
	return raw, bytes.Equal(sealed(bucket, key, raw).value, value)
}

var errFlawed = errors.New("it is damaged")

// readImage is the image in a journal's file, all of it or none; fresh says that the file does not hold one of this layout yet.
func readImage(raw []byte) (i image, fresh bool, err error) {
	if len(raw) == 0 { // made a moment before a crash
		return newImage(), true, nil
	}
	f, err := readPages(raw)
	if err != nil {
		return image{}, false, err
	}
	if f.untouched() {
		return newImage(), true, nil
	}
	t := f.tree(f.metas[0])
	if i, err = t.content(); err != nil {
		return image{}, false, err
	}
	if len(t.flaws) > 0 {
		return image{}, false, fmt.Errorf("%w: %w", errFlawed, t.flaws[0])
	}
	_, err = i.state()
	return i, string(t.buckets[metaBucket][versionKey]) != strconv.Itoa(layoutVersion), err
}
