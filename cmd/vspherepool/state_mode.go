package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	privateDir  = 0o700
	privateFile = 0o600
	// forOthers are the bits that let anybody but the owner in.
	forOthers = 0o077
)

// keepPrivate closes a state directory to others, whatever the umask was when it was made. One that holds something else than state is
// not the server's to close: it may be a home directory, or /tmp.
func keepPrivate(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at state directory: %w", err)
	}
	if info.Mode().Perm()&forOthers == 0 {
		return keepFilesPrivate(dir)
	}
	if !ownState(dir) || info.Mode()&os.ModeSticky != 0 {
		return fmt.Errorf("state directory %s is open to others (%s) and holds other things than state: "+
			"name a directory of its own, or chmod 700 it", dir, info.Mode())
	}
	if err := os.Chmod(dir, privateDir); err != nil {
		return fmt.Errorf("state directory is open to others (%s); chmod 700 it: %w", info.Mode(), err)
	}
	return keepFilesPrivate(dir)
}

// ownState says that a directory is new, or has a journal.
func ownState(dir string) bool {
	if _, err := os.Lstat(filepath.Join(dir, journalFile)); err == nil {
		return true
	}
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) == 0
}

// keepFilesPrivate closes what somebody restored with another mode.
func keepFilesPrivate(dir string) error {
	for _, name := range []string{journalFile, "tls-key.pem"} {
		file := filepath.Join(dir, name)
		info, err := os.Lstat(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&forOthers != 0 {
			err = os.Chmod(file, privateFile)
		}
		if err != nil {
			return fmt.Errorf("close %s to others: %w", file, err)
		}
	}
	return nil
}
