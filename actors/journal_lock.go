package actors

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// lockPatience is how long a journal that another process has is waited for: that one may be about to end.
const lockPatience = time.Second

// lockedFile opens the file, making it if need be, and locks it as bbolt does, which finds the lock held by its own file then.
func lockedFile(path string) (*os.File, error) {
	const tries = 10
	for range tries {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := lock(f, syscall.LOCK_EX); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if same, err := isAt(f, path); same || err != nil {
			return f, err
		}
		f.Close() // it was renewed while we waited for it
	}
	return nil, ErrLocked
}

// sharedFile opens the file to be read only, and locks it against who writes.
func sharedFile(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := lock(f, syscall.LOCK_SH); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func lock(f *os.File, how int) error {
	const pause = 50 * time.Millisecond
	for left := lockPatience; ; left -= pause {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		switch {
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return err
		case left <= 0:
			return ErrLocked
		}
		time.Sleep(pause)
	}
}

// isAt says whether the open file is the one with this name.
func isAt(f *os.File, path string) (bool, error) {
	ours, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(ours, there), err
}
