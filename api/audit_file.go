package api

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

const (
	// auditBacklog is how many lines wait for a slow disk.
	auditBacklog = 1024
	// auditPatience is how long an answer waits for its line to be written.
	auditPatience = 250 * time.Millisecond
	// rotationCheck is how often it is looked whether the file is still there.
	rotationCheck = time.Second
)

// auditFile appends lines to a file that somebody may move away or remove at any time.
type auditFile struct {
	path string
	file *os.File
	// checked is when it was last seen that the path leads to file.
	checked time.Time
	// torn says that the last line may not have got to its end.
	torn bool
}

// openAuditFile makes the file, for its owner only, unless it exists. It follows no symbolic link: whoever can make one in the file's
// directory would choose what is written to.
func openAuditFile(path string) (*auditFile, error) {
	f := &auditFile{path: path}
	return f, f.open()
}

func (f *auditFile) open() error {
	const flags = os.O_RDWR | os.O_APPEND | os.O_CREATE | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	file, err := os.OpenFile(f.path, flags, 0o600)
	if errors.Is(err, syscall.ELOOP) {
		return fmt.Errorf("open audit log: %s is a symbolic link: name the file itself", f.path)
	}
	if err != nil {
		return fmt.Errorf("open audit log: %w", err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", f.path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("open audit log: %w", err), file.Close())
	}
	f.file, f.torn = file, torn(file, info.Size())
	return nil
}

// torn says whether a file has a last line without its end: an earlier process had no room for it, or no power.
func torn(file *os.File, size int64) bool {
	last := []byte{'\n'}
	_, _ = file.ReadAt(last, size-1) // fails for an empty file only
	return last[0] != '\n'
}

// write appends a line.
func (f *auditFile) write(line []byte, now time.Time) error {
	if err := f.follow(now); err != nil {
		return err
	}
	text := make([]byte, 0, len(line)+2)
	if f.torn {
		text = append(text, '\n')
	}
	n, err := f.file.Write(append(append(text, line...), '\n'))
	f.torn = err != nil && (n > 0 || f.torn)
	if err != nil {
		return fmt.Errorf("write audit log: %w", err)
	}
	return nil
}

// follow opens the path anew once it leads elsewhere, or nowhere.
func (f *auditFile) follow(now time.Time) error {
	if f.file != nil && now.Sub(f.checked) < rotationCheck {
		return nil
	}
	if f.file != nil && f.current() {
		f.checked = now
		return nil
	}
	f.close()
	if err := f.open(); err != nil {
		return err
	}
	f.checked = now
	return nil
}

func (f *auditFile) current() bool {
	open, err := f.file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(f.path)
	return err == nil && os.SameFile(open, named)
}

func (f *auditFile) close() {
	if f.file != nil {
		_ = f.file.Close()
		f.file = nil
	}
}

// auditWriter writes lines in their order, apart from the requests, which a disk that hangs must not hold up.
type auditWriter struct {
	file  *auditFile
	lines chan auditLine
	// failed hears of each line that was not written, and nil once one was again.
	failed func(line []byte, err error)
	ended  chan struct{}
}

// auditLine is a line, and who waits for it.
type auditLine struct {
	text    []byte
	written chan struct{}
}

// startAuditWriter is the one place of this package that starts a goroutine. It ends with close.
func startAuditWriter(file *auditFile, failed func([]byte, error)) *auditWriter {
	w := &auditWriter{file: file, lines: make(chan auditLine, auditBacklog), failed: failed, ended: make(chan struct{})}
	go w.run()
	return w
}

func (w *auditWriter) run() {
	defer close(w.ended)
	defer w.file.close()
	for line := range w.lines {
		w.failed(line.text, w.file.write(line.text, time.Now()))
		close(line.written)
	}
}

// put queues a line unless the queue is full.
func (w *auditWriter) put(text []byte) (written <-chan struct{}, ok bool) {
	line := auditLine{text, make(chan struct{})}
	select {
	case w.lines <- line:
		return line.written, true
	default:
		return nil, false
	}
}

// close ends the writer once all lines are written, or ctx is over.
func (w *auditWriter) close(ctx context.Context) error {
	close(w.lines)
	select {
	case <-w.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("write the last lines of the audit log: %w", ctx.Err())
	}
}
