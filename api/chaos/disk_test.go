package chaos

import (
	"errors"
	"path/filepath"
	"sync"

	"vspherepool/actors"
)

var (
	errDead = errors.New("the process is dead")
	errFull = errors.New("no space left on device")
)

// disk is the state directory, which outlives processes. It can be full.
type disk struct {
	dir string

	mu   sync.Mutex
	full bool
	// generation names the journal; a lost one is followed by another.
	generation int
}

func (d *disk) fill(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = full
}

func (d *disk) isFull() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.full
}

// open opens the journal for a process.
func (d *disk) open(f *fuse) (*journal, error) {
	j, err := actors.OpenJournal(filepath.Join(d.dir, "journal-"+string(rune('a'+d.generation))))
	return &journal{Journal: j, disk: d, fuse: f}, err
}

// journal is the real one behind a disk that may be full, and a process that may be dead.
type journal struct {
	actors.Journal
	disk *disk
	fuse *fuse

	mu     sync.Mutex
	closed bool
}

// Write implements [actors.Journal]. What a dying process has written stays, though nobody hears of it.
func (j *journal) Write(changes []actors.Change) error {
	if !j.fuse.moment() {
		return errDead
	}
	if j.disk.isFull() {
		return errFull
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return errDead
	}
	err := j.Journal.Write(changes)
	if !j.fuse.moment() {
		return errDead
	}
	return err
}

// Close may be called again.
func (j *journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil
	}
	j.closed = true
	return j.Journal.Close()
}
