package actors

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"vspherepool/vsphere"
)

// RebuiltJournal says what became of a file.
type RebuiltJournal struct {
	Inspection

	// Kept is where the damaged file is now; empty: it was sound, and nothing was changed.
	Kept string
}

// RebuildJournal puts a new file with all that can be read of a damaged one in its place, and keeps the damaged one beside it under a
// name with the time. The members are looked for by their marks at the next start. desired, unless nil, becomes the desired size. A sound
// file is left alone. Fails as [InspectJournal] does.
func RebuildJournal(path string, desired *int, at time.Time) (RebuiltJournal, error) {
	done, err := rebuildJournal(path, desired, at)
	if err != nil {
		return done, fmt.Errorf("rebuild journal %s: %w", path, plainly(err))
	}
	return done, nil
}

func rebuildJournal(path string, desired *int, at time.Time) (RebuiltJournal, error) {
	if _, err := os.Stat(path); err != nil {
		return RebuiltJournal{}, err
	}
	file, err := lockedFile(path)
	if err != nil {
		return RebuiltJournal{}, err
	}
	defer file.Close()
	raw, err := readWhole(file)
	if err != nil {
		return RebuiltJournal{}, err
	}
	found, err := salvage(raw)
	done := RebuiltJournal{Inspection: found.inspection()}
	if err != nil || done.Sound() {
		return done, err
	}
	kept := path + ".damaged-" + at.UTC().Format("20060102T150405Z")
	if err := keep(kept, raw); err != nil {
		return done, err
	}
	if err := found.rewrite(path, desired); err != nil {
		if there, _ := isAt(file, path); there { // otherwise what was kept is the only one left
			err = errors.Join(err, os.Remove(kept))
		}
		return done, err
	}
	done.Kept = kept
	return done, nil
}

// keep writes a file that was not there, durably.
func keep(path string, raw []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: move it away, or try again in a second", err)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// rewrite makes the new file, and puts it in the old one's place.
func (s salvaged) rewrite(path string, desired *int) error {
	i := newImage()
	if _, err := i.take(s.trusted(desired)); err != nil {
		return err
	}
	file, db, err := makeFile(path+".new", i)
	if err != nil {
		return err
	}
	err = bequeath(file, path)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err == nil {
		err = syncName(path)
	}
	return errors.Join(err, closeBolt(file, db, nil))
}

// bequeath gives a file to whom the old one belongs: root may mend the journal of a server that runs as somebody else.
func bequeath(file *os.File, old string) error {
	info, err := os.Stat(old)
	if err != nil {
		return err
	}
	if owner, known := info.Sys().(*syscall.Stat_t); known && os.Geteuid() == 0 {
		return file.Chown(int(owner.Uid), int(owner.Gid))
	}
	return nil
}

// trusted are the records that the next start may begin with. They may be older than what happened, so the members are looked for as
// if the journal were lost, and a machine that was waiting for its clone may have been cloned since. Of machines that claim the same VM
// none is believed: the VM's mark says whose it is.
func (s salvaged) trusted(desired *int) []Change {
	pool := PoolRecord{}
	if s.pool != nil {
		pool = *s.pool
	}
	pool.Rebuilt, pool.Unread = false, nil
	if desired != nil {
		pool.Desired = desired
	}
	changes := []Change{{pool: &pool}}
	claims := map[vsphere.Ref]int{}
	for _, r := range s.machines {
		claims[r.Ref]++
	}
	for _, r := range s.machines {
		if r.Ref != "" && claims[r.Ref] > 1 {
			continue
		}
		if r.Phase == requested || r.Phase == cloning {
			r.Phase = lookingUp
		}
		changes = append(changes, Change{machine: &r})
	}
	return changes
}
