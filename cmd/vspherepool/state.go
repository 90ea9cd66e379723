package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// journalFile is the journal's name in the state directory.
const journalFile = "vspherepool.db"

// defaultStateDir is systemd's, the first if it made several, or else follows the XDG base directory specification; unless told otherwise,
// root's state is the machine's.
func defaultStateDir(getenv func(string) string) (string, error) {
	if dir, _, _ := strings.Cut(getenv("STATE_DIRECTORY"), ":"); filepath.IsAbs(dir) {
		return dir, nil
	}
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "vspherepool"), nil
	}
	if os.Geteuid() == 0 {
		return "/var/lib/vspherepool", nil
	}
	home := getenv("HOME")
	if home == "" {
		return "", errors.New("find state directory: neither XDG_STATE_HOME nor HOME is set: give --state-dir")
	}
	return filepath.Join(home, ".local", "state", "vspherepool"), nil
}

// openStateDir makes the state directory unless it exists. The simulator's own one goes when the simulator does.
func (d *daemon) openStateDir(context.Context) (err error) {
	d.dir = d.stateDir
	if d.dir == "" && d.simulator {
		return d.makeTemporary()
	}
	if d.dir == "" {
		if d.dir, err = defaultStateDir(d.getenv); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(d.dir, privateDir); err != nil {
		return fmt.Errorf("make state directory: %w", err)
	}
	return keepPrivate(d.dir)
}

func (d *daemon) makeTemporary() error {
	dir, err := os.MkdirTemp("", "vspherepool-")
	if err != nil {
		return fmt.Errorf("make temporary state directory: %w", err)
	}
	d.dir = dir
	d.undo.add("remove temporary state directory", plain(func() error { return os.RemoveAll(dir) }))
	return nil
}

// localCertificate is where a server with a self-signed certificate leaves a copy of it for the client commands of the same user. Nobody
// else can write to that directory, so a client may trust what is in it, for a server on loopback.
func localCertificate(getenv func(string) string, port string) (string, error) {
	dir, err := defaultStateDir(getenv)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "localhost-"+port+".pem"), nil
}

// publishCertificate is a convenience: without the copy, clients need --ca-file. A port that was picked, which clients must be told
// anyway, is not worth a file that a killed server would leave behind.
func (d *daemon) publishCertificate(context.Context) error {
	if d.tlsCert != "" {
		return nil
	}
	certificate := d.server.CertificateFile()
	if _, port, err := net.SplitHostPort(d.listen); err == nil && port != "0" {
		if copied, err := copyCertificate(certificate, d.getenv, port); err != nil {
			d.log.Warn("certificate not published", "err", err)
		} else {
			certificate = copied
			d.undo.add("withdraw certificate", func(context.Context) error { return removeIfThere(copied) })
		}
	}
	d.log.Info("serving with a self-signed certificate; clients may trust it by its file", "file", certificate)
	return nil
}

func copyCertificate(from string, getenv func(string) string, port string) (to string, err error) {
	pem, err := os.ReadFile(from)
	if err != nil {
		return "", err
	}
	if to, err = localCertificate(getenv, port); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return "", err
	}
	return to, os.WriteFile(to, pem, 0o644)
}

func removeIfThere(file string) error {
	if err := os.Remove(file); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
