package actors

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"go.etcd.io/bbolt"
)

// boltJournal is a journal in a file of bbolt's. What the file holds is known from memory once it was read, so that bbolt does nothing
// but write, and a file that cannot be trusted any more can be written anew.
//
// A write that failed proves nothing: its meta page may have reached the file although the flush after it failed, bbolt has then gone
// back to the list of free pages of another state, and the kernel may have dropped pages that it could not write and call the next flush
// a success (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020). So after any failure the handle is given
// up, and the whole image is written to another file that takes the old one's place: with the write that failed, or with the next.
type boltJournal struct {
	path string
	mu   sync.Mutex
	// held is what the file holds, durably; during a write, what it is to hold.
	held image
	db   *bbolt.DB
	// file is the open and locked file that db works on, size its length: it never shrinks by itself.
	file *os.File
	size int64
	// failed is what the last write failed of: the file is not to be trusted any more, and has to be written anew. Nil if it is.
	failed error
}

// OpenJournal opens the journal in the file, making it if need be (mode 0600), and locks it until Close. A journal of an earlier layout
// is brought forward. Fails with [ErrLocked] while another process has it, and with an error that says what to do if the file is
// damaged (*[DamagedJournalError]), written by a newer program (*[NewerJournalError]), or cannot be opened; it is left as it is then.
func OpenJournal(path string) (Journal, error) {
	j := &boltJournal{path: path}
	if err := j.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open journal %s: %w", path, plainly(err)), j.drop())
	}
	return j, nil
}

func (j *boltJournal) open() (err error) {
	if j.file, err = lockedFile(j.path); err != nil {
		return err
	}
	raw, err := readWhole(j.file)
	if err != nil {
		return err
	}
	held, fresh, err := readImage(raw)
	if err != nil {
		return damaged(err)
	}
	j.held, j.size = held, int64(len(raw))
	if fresh {
		return j.renew()
	}
	j.db, err = openBolt(j.path, j.file)
	return err
}

func readWhole(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	raw := make([]byte, info.Size())
	_, err = io.ReadFull(io.NewSectionReader(f, 0, info.Size()), raw)
	return raw, err
}

// openBolt has bbolt work on a file that is open already.
func openBolt(path string, file *os.File) (db *bbolt.DB, err error) {
	err = contained(func() error {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout:  lockPatience,
			OpenFile: func(string, int, os.FileMode) (*os.File, error) { return file, nil },
		})
		return err
	})
	return db, err
}

// Load implements [Journal].
func (j *boltJournal) Load() (State, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s, err := j.held.state()
	if err != nil {
		return State{}, fmt.Errorf("load journal: %w", err)
	}
	return s, nil
}

// Write implements [Journal].
func (j *boltJournal) Write(changes []Change) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	before := j.held.only(changes)
	entries, err := j.held.take(changes)
	if err == nil {
		err = j.store(entries)
	}
	if err != nil {
		j.held.restore(before)
		return fmt.Errorf("write journal: %w", plainly(err))
	}
	return nil
}

// store writes what changed in the image, or all of it.
func (j *boltJournal) store(entries []entry) error {
	if j.failed != nil {
		return j.renew()
	}
	if j.failed = j.update(entries); j.failed != nil && j.renew() != nil {
		return j.failed
	}
	return nil
}

func (j *boltJournal) update(entries []entry) error {
	if err := j.inPlace(); err != nil {
		return err
	}
	if err := put(j.db, entries); err != nil {
		return err
	}
	info, err := j.file.Stat()
	if err == nil {
		j.size = info.Size()
	}
	return err
}

// errReplaced says that somebody put another file in the journal's place: this process must not overwrite it, for another one may use it.
var errReplaced = errors.New("the file was replaced by another one while the server runs: put the old one back, or stop the server first")

// inPlace makes sure that what is written will be found again: the file may have been removed, replaced or cut off.
func (j *boltJournal) inPlace() error {
	ours, err := j.file.Stat()
	if err != nil {
		return err
	}
	there, err := os.Stat(j.path)
	switch {
	case err != nil:
		return err
	case !os.SameFile(ours, there):
		return errReplaced
	case ours.Size() < j.size:
		return fmt.Errorf("%w: it was cut off", errFlawed)
	}
	return nil
}

func put(db *bbolt.DB, entries []entry) error {
	return contained(func() error {
		return db.Update(func(tx *bbolt.Tx) error {
			for _, e := range entries {
				if err := e.apply(tx); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func (e entry) apply(tx *bbolt.Tx) error {
	bucket, err := tx.CreateBucketIfNotExists([]byte(e.bucket))
	if err != nil {
		return err
	}
	if e.value == nil {
		return bucket.Delete([]byte(e.key))
	}
	return bucket.Put([]byte(e.key), e.value)
}

// renew puts a file with what is held in the old one's place. The lock on the old one is kept until the new one is there, locked too.
func (j *boltJournal) renew() error {
	if err := j.inPlace(); errors.Is(err, errReplaced) {
		return err
	}
	file, db, err := makeFile(j.path+".new", j.held)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil {
		err = os.Rename(j.path+".new", j.path)
	}
	if err != nil {
		return errors.Join(err, db.Close())
	}
	_ = j.drop() // whatever is wrong with it
	j.file, j.db, j.size = file, db, info.Size()
	j.failed = syncName(j.path) // the new file is the journal from now on, even if a crash could bring the old one back
	return j.failed
}

// makeFile writes an image to a new file. It is committed twice, so that both of bbolt's meta pages have it: if one is damaged later, the
// other one must not say that the file is empty.
func makeFile(path string, with image) (*os.File, *bbolt.DB, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, nil, err
	}
	db, err := openBolt(path, file)
	if err == nil {
		buckets := []entry{{bucket: poolBucket, key: recordKey}, {bucket: machinesBucket, key: "-"}}
		err = put(db, append(buckets, with.entries()...))
	}
	if err == nil {
		err = put(db, []entry{with.seal()})
	}
	if err != nil {
		return nil, nil, errors.Join(err, closeBolt(file, db, err), os.Remove(path))
	}
	return file, db, nil
}

// syncName makes durable which file has a name.
func syncName(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// drop gives up what the journal has open.
func (j *boltJournal) drop() error { return closeBolt(j.file, j.db, j.failed) }

// closeBolt closes a database after a failure, nil for none. bbolt's own Close waits for a lock that a write which panicked has left
// locked; the end of the file is all that matters then, for it unlocks it.
func closeBolt(file *os.File, db *bbolt.DB, failure error) error {
	switch {
	case db != nil && !errors.Is(failure, errFlawed):
		return db.Close()
	case file != nil:
		if err := file.Close(); !errors.Is(err, fs.ErrClosed) { // bbolt closes what it cannot open
			return err
		}
	}
	return nil
}

// Close implements [Journal]. It does not wait for a write that hangs.
func (j *boltJournal) Close() error {
	if !j.mu.TryLock() {
		return errors.New("close journal: a write to it hangs; its disk does not answer")
	}
	defer j.mu.Unlock()
	if err := j.drop(); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	return nil
}
