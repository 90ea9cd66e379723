package api

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// lookEvery is the time between two looks at a file.
	lookEvery = time.Second
	// maxFile is far more than anybody's users or authorities take, in bytes.
	maxFile = 8 << 20
)

// document is the content of a file.
type document struct {
	name string
	mode os.FileMode
	text []byte
}

// reloaded is what a file says, kept in step with it. There is no watcher: who needs the content has the file looked at, which costs next
// to nothing. A file that cannot be used leaves what the last one said in place.
type reloaded[T any] struct {
	name string
	load func(document) (*T, error)
	log  *slog.Logger
	// every is the least time between two looks.
	every time.Duration

	current atomic.Pointer[T]
	mu      sync.Mutex
	looked  time.Time
	loaded  os.FileInfo
	failure string
}

func openReloaded[T any](name string, log *slog.Logger, load func(document) (*T, error)) (*reloaded[T], error) {
	f := &reloaded[T]{name: name, load: load, log: log, every: lookEvery}
	if err := f.refresh(); err != nil {
		return nil, err
	}
	return f, nil
}

// at is what the file says. Who comes while another looks is not kept waiting.
func (f *reloaded[T]) at(now time.Time) *T {
	if f.mu.TryLock() {
		defer f.mu.Unlock()
		if since := now.Sub(f.looked); since >= f.every || since < 0 {
			f.looked = now
			f.report(f.refresh())
		}
	}
	return f.current.Load()
}

// report logs why the file cannot be used, but not again for each look.
func (f *reloaded[T]) report(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if err != nil && text != f.failure {
		f.log.Error("file not reloaded, what it said before stays in force", "file", f.name, "err", err)
	}
	f.failure = text
}

// refresh loads the file if it is not the one loaded last.
func (f *reloaded[T]) refresh() error {
	found, err := os.Stat(f.name)
	if err != nil || same(found, f.loaded) {
		return err
	}
	d, found, err := readDocument(f.name)
	if err != nil {
		return err
	}
	value, err := f.load(d)
	if err != nil {
		return err
	}
	if f.loaded != nil {
		f.log.Info("file reloaded", "file", f.name)
	}
	f.loaded = found
	f.current.Store(value)
	return nil
}

// readDocument also returns which file it has read: another may have taken its name in the meantime. It does not wait for who may one day
// write into a named pipe.
func readDocument(name string) (document, os.FileInfo, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return document{}, nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("read %s: it is not a regular file", name)
	}
	if err != nil {
		return document{}, nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("read %s: it is larger than %d bytes", name, maxFile)
	}
	return document{name, info.Mode(), text}, info, err
}
