package actors

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"strings"
	"syscall"
)

// ErrLocked says that another process has the journal open.
var ErrLocked = errors.New("the state directory is in use by another vspherepool process: stop that one, or use another directory")

// DamagedJournalError says that a journal's file is not what was written to it. It was left as it is.
type DamagedJournalError struct{ Err error }

func (e *DamagedJournalError) Error() string {
	return "the journal cannot be used: " + e.Err.Error() + ": see what is wrong with vspherepool state check, " +
		"save what can be saved with vspherepool state rebuild; the machines run on meanwhile"
}

// Unwrap gives the cause.
func (e *DamagedJournalError) Unwrap() error { return e.Err }

// damaged is the error about a file that could be read and makes no sense.
func damaged(err error) error {
	if _, newer := errors.AsType[*NewerJournalError](err); newer {
		return err
	}
	return &DamagedJournalError{err}
}

// remedies say what to do about a disk that does not do what it is told.
var remedies = []struct {
	err    error
	advice string
}{
	{syscall.ENOSPC, "free some space on the state directory's disk"},
	{syscall.EDQUOT, "raise the disk quota of the user that the server runs as, or free some of it"},
	{syscall.EFBIG, "raise the limit on the size of files (ulimit -f, systemd's LimitFSIZE) that the server runs under"},
	{syscall.EROFS, "the state directory's file system is mounted read-only: see in the system's log why, and mount it writable again"},
	{syscall.EIO, "the state directory's disk fails: see the system's log, and replace it"},
	{fs.ErrPermission, "give the state directory and the journal to the user that the server runs as, with permission to write to both"},
	{fs.ErrNotExist, "make the state directory again"},
	{syscall.EISDIR, "that is a directory: move it away, or use another state directory"},
	{syscall.EMFILE, "raise the limit on open files that the server runs under"},
}

// plainly adds what to do to an error of the file system's.
func plainly(err error) error {
	if err == nil {
		return nil
	}
	for _, r := range remedies {
		if errors.Is(err, r.err) || strings.HasSuffix(err.Error(), r.err.Error()) { // bbolt passes some on as text
			return fmt.Errorf("%w: %s", err, r.advice)
		}
	}
	return err
}

// contained turns a panic into an error, that of touching a mapped page included which the file does not have any more: it was cut off,
// or its disk cannot read it.
func contained(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errFlawed, p)
		}
	}()
	return do()
}
