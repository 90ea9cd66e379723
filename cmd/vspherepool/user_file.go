package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"vspherepool/api"
)

// readUsers reads a users file, or none if there is none. Lines that the server would refuse are told of, and stay.
func readUsers(p process, file string) (*api.Users, error) {
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read users: %w", err)
	}
	users, err := api.ParseUsers(text)
	if err != nil {
		fmt.Fprintf(p.stderr, "%s: %v\n", file, err)
	}
	return users, nil
}

// editUsers changes a users file in one step, so that a server never sees half of it. The new content's file is also the lock: two who
// edit at the same time would undo each other's work.
func editUsers(p process, file string, edit func(*api.Users) error) (err error) {
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target
	}
	draft, err := os.OpenFile(file+".new", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is being edited by somebody else; if not, remove %[1]s.new", file)
	}
	if err != nil {
		return fmt.Errorf("edit users: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeIfThere(draft.Name()))
		}
	}()
	defer draft.Close()
	users, err := readUsers(p, file)
	if err != nil {
		return err
	}
	if err := edit(users); err != nil {
		return err
	}
	if err := fill(draft, users.Text(), file); err != nil {
		return fmt.Errorf("edit users: %w", err)
	}
	if err := os.Rename(draft.Name(), file); err != nil {
		return fmt.Errorf("edit users: %w", err)
	}
	return nil
}

// fill writes the content, with the owner of the old file, and with its mode as far as that is safe.
func fill(draft *os.File, text []byte, old string) error {
	if _, err := draft.Write(text); err != nil {
		return err
	}
	if info, err := os.Stat(old); err == nil {
		if owner, ok := info.Sys().(*syscall.Stat_t); ok {
			_ = draft.Chown(int(owner.Uid), int(owner.Gid)) // only root may do that
		}
		if err := draft.Chmod(0o600 | info.Mode()&0o040); err != nil {
			return err
		}
	}
	return draft.Sync()
}
