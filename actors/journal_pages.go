package actors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
)

// This file reads bbolt's file format (go.etcd.io/bbolt, internal/common: page.go, meta.go, bucket.go) by itself, from bytes that were
// read into memory. bbolt trusts the file that it maps: a damaged one makes it panic, recurse without end or fault in a goroutine of its
// own (etcd-io/bbolt #105, #446, #447, #1011), and a damaged list of free pages has it write over pages in use. So a file is proven
// sound here before bbolt sees it, and what can be saved of one that is not sound is saved here too.

const (
	pageHeader  = 16
	elementSize = 16
	bucketRoot  = 16
	// metaSum is where a meta page's checksum is, behind all that it covers.
	metaSum = 56

	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10
	bucketValue  = 0x01

	boltMagic   = 0xED0CDAED
	boltVersion = 2
	// noFreelist stands for a list of free pages that is not stored.
	noFreelist = ^uint64(0)
	// deepest is more than a tree needs: with two keys to a page it would hold 2^32 of them.
	deepest = 32

	smallestPage, largestPage = 1 << 10, 1 << 16
)

var errNoDatabase = errors.New("it is no journal, or its beginning is lost")

// boltMeta is one of the two pages that say where a state begins: that of the newest commit, and of the one before.
type boltMeta struct {
	pageSize, root, freelist, end, commit uint64
}

// pageFile is a database file in memory.
type pageFile struct {
	raw []byte
	// metas are those that are whole, the newest first.
	metas []boltMeta
}

func readPages(raw []byte) (pageFile, error) {
	f := pageFile{raw: raw}
	if m, ok := metaAt(raw, 0); ok {
		f.metas = append(f.metas, m)
	}
	for size := smallestPage; size <= largestPage; size *= 2 {
		if m, ok := metaAt(raw, size); ok && m.pageSize == uint64(size) {
			f.metas = append(f.metas, m)
			break
		}
	}
	if len(f.metas) == 0 {
		return f, errNoDatabase
	}
	slices.SortFunc(f.metas, func(a, b boltMeta) int { return int(b.commit) - int(a.commit) })
	return f, nil
}

func metaAt(raw []byte, at int) (boltMeta, bool) {
	if len(raw) < at+pageHeader+metaSum+8 {
		return boltMeta{}, false
	}
	b := raw[at+pageHeader:]
	sum := fnv.New64a()
	sum.Write(b[:metaSum])
	word := binary.NativeEndian
	if word.Uint32(b) != boltMagic || word.Uint32(b[4:]) != boltVersion || word.Uint64(b[metaSum:]) != sum.Sum64() {
		return boltMeta{}, false
	}
	m := boltMeta{
		pageSize: uint64(word.Uint32(b[8:])), root: word.Uint64(b[16:]), freelist: word.Uint64(b[32:]), end: word.Uint64(b[40:]),
		commit: word.Uint64(b[48:]),
	}
	return m, m.pageSize >= smallestPage && m.pageSize <= largestPage
}

// untouched says that nothing was ever committed to the file: its maker was cut short.
func (f pageFile) untouched() bool {
	return len(f.metas) == 2 && f.metas[0].commit == 1 && f.metas[1].commit == 0
}

// boltTree is what one of a file's states holds, as far as it can be read, and what is wrong with it.
type boltTree struct {
	raw     []byte
	meta    boltMeta
	used    map[uint64]bool
	buckets map[string]map[string][]byte
	flaws   []error
}

// tree reads the state that the meta page points to.
func (f pageFile) tree(m boltMeta) *boltTree {
	t := &boltTree{raw: f.raw, meta: m, used: map[uint64]bool{0: true, 1: true}, buckets: map[string]map[string][]byte{}}
	root := keyRange{}
	t.walk(m.root, 0, &root, t.bucket)
	t.readFreelist()
	return t
}

func (t *boltTree) flaw(format string, args ...any) {
	t.flaws = append(t.flaws, fmt.Errorf(format, args...))
}

// page is a page with its overflow, used by nobody so far; nil if it is none.
func (t *boltTree) page(id uint64) []byte {
	size := t.meta.pageSize
	end := min(t.meta.end, uint64(len(t.raw))/size)
	if id < 2 || id >= end {
		t.flaw("page %d is beyond the end of the file", id)
		return nil
	}
	b := t.raw[id*size:]
	last := id + uint64(binary.NativeEndian.Uint32(b[12:]))
	if binary.NativeEndian.Uint64(b) != id || last >= end {
		t.flaw("page %d is not what it should be", id)
		return nil
	}
	for p := id; p <= last; p++ {
		if t.used[p] {
			t.flaw("page %d is used twice", p)
			return nil
		}
		t.used[p] = true
	}
	return b[:(last-id+1)*size]
}

// keyRange checks that keys ascend through a whole bucket, and that a branch's key is no more than what is below it.
type keyRange struct {
	last, low string
	begun     bool
}

func (k *keyRange) admits(key string) bool {
	ok := key >= k.low && (!k.begun || key > k.last)
	k.last, k.begun = key, true
	return ok
}

// bound takes a branch's key.
func (k *keyRange) bound(key string) bool {
	ok := !k.begun || key > k.last
	k.low = max(k.low, key)
	return ok
}

// visitor is given the elements of leaves.
type visitor func(flags uint32, key, value []byte)

func (t *boltTree) walk(id uint64, depth int, keys *keyRange, visit visitor) {
	page := t.page(id)
	if page == nil {
		return
	}
	t.elements(page, depth, keys, visit)
}

func (t *boltTree) elements(page []byte, depth int, keys *keyRange, visit visitor) {
	id, flags := binary.NativeEndian.Uint64(page), binary.NativeEndian.Uint16(page[8:])
	count := int(binary.NativeEndian.Uint16(page[10:]))
	if (flags != branchPage && flags != leafPage) || depth > deepest || pageHeader+count*elementSize > len(page) {
		t.flaw("page %d is not what it should be", id)
		return
	}
	for i := range count {
		element := page[pageHeader+i*elementSize:]
		if flags == branchPage {
			t.branch(id, element, depth, keys, visit)
		} else {
			t.leaf(id, element, keys, visit)
		}
	}
}

func (t *boltTree) branch(id uint64, element []byte, depth int, keys *keyRange, visit visitor) {
	word := binary.NativeEndian
	key, ok := cut(element, word.Uint32(element), word.Uint32(element[4:]))
	if !ok || !keys.bound(string(key)) {
		t.flaw("page %d has a key that does not belong there", id)
	}
	t.walk(word.Uint64(element[8:]), depth+1, keys, visit)
}

func (t *boltTree) leaf(id uint64, element []byte, keys *keyRange, visit visitor) {
	word := binary.NativeEndian
	at, keySize, valueSize := word.Uint32(element[4:]), word.Uint32(element[8:]), word.Uint32(element[12:])
	both, ok := cut(element, at, uint64(keySize)+uint64(valueSize))
	if !ok {
		t.flaw("page %d is not what it should be", id)
		return
	}
	key, value := both[:keySize], both[keySize:]
	if !keys.admits(string(key)) {
		t.flaw("page %d has a key that does not belong there", id)
	}
	visit(word.Uint32(element), key, value)
}

// cut is a part of what follows from an element on.
func cut[N uint32 | uint64](from []byte, at uint32, size N) ([]byte, bool) {
	end := uint64(at) + uint64(size)
	if end > uint64(len(from)) {
		return nil, false
	}
	return from[at:end], true
}

// bucket reads a bucket out of its element: the page where it begins, or a page in the element itself.
func (t *boltTree) bucket(flags uint32, key, value []byte) {
	if flags != bucketValue || len(value) < bucketRoot {
		t.flaw("%q is no bucket", key)
		return
	}
	pairs, keys := map[string][]byte{}, keyRange{}
	t.buckets[string(key)] = pairs
	take := func(flags uint32, key, value []byte) {
		if flags != 0 {
			t.flaw("%q is no value", key)
			return
		}
		pairs[string(key)] = value
	}
	switch root := binary.NativeEndian.Uint64(value); {
	case root != 0:
		t.walk(root, 1, &keys, take)
	case len(value) < bucketRoot+pageHeader || binary.NativeEndian.Uint16(value[bucketRoot+8:]) != leafPage:
		t.flaw("bucket %q is not what it should be", key)
	default:
		t.elements(value[bucketRoot:], 1, &keys, take)
	}
}

// readFreelist makes sure that no page counts as free that is in use; pages that are lost to both do no harm.
func (t *boltTree) readFreelist() {
	if t.meta.freelist == noFreelist {
		return
	}
	page := t.page(t.meta.freelist)
	if page == nil {
		return
	}
	ids := page[pageHeader:]
	count := uint64(binary.NativeEndian.Uint16(page[10:]))
	if count == 0xFFFF { // too many for the header
		count, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if binary.NativeEndian.Uint16(page[8:]) != freelistPage || count > uint64(len(ids)/8) {
		t.flaw("the list of free pages is not what it should be")
		return
	}
	for i := range count {
		id := binary.NativeEndian.Uint64(ids[8*i:])
		if id >= t.meta.end || t.used[id] {
			t.flaw("page %d counts as free without being it", id)
			return
		}
		t.used[id] = true
	}
}
