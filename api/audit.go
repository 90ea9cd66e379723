package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
)

// Audit is the record of who changed what, and of who was not allowed to. A request's line is in the file before its answer goes out,
// unless the disk takes longer than a quarter of a second; then it follows, in order. The pool comes before its record: a line that
// cannot be written goes to the ordinary log instead, is counted, and fails no request, because a full disk must not keep a pool from
// being made smaller. It may be used concurrently.
type Audit struct {
	log *slog.Logger
	// writer is nil where the lines go to the log.
	writer *auditWriter
	lost   atomic.Int64
	// late says that the writer was too slow a moment ago, so that no answer waits for it; failing that the last line was not written.
	late, failing atomic.Bool

	mu     sync.Mutex
	ledger *ledger
	timer  *time.Timer
	closed bool
}

// errBacklog is why a line is not queued.
var errBacklog = errors.New("too many lines wait for the disk")

// NewAudit makes a record whose lines go to the log, under the message "audit".
func NewAudit(log *slog.Logger) *Audit {
	return &Audit{log: log, ledger: newLedger(defaultAuditLimits)}
}

// OpenAudit makes a record in a file: lines of JSON are appended to it. It is made with mode 0600 if need be, and made anew within a
// second after somebody moved or removed it. It fails if the file cannot be opened, or is no file. The caller closes the record.
func OpenAudit(path string, log *slog.Logger) (*Audit, error) {
	file, err := openAuditFile(path)
	if err != nil {
		return nil, err
	}
	a := NewAudit(log)
	a.writer = startAuditWriter(file, a.outcome)
	return a, nil
}

// Close writes what is owed and ends the record; later lines go to the log. It fails if ctx is over first.
func (a *Audit) Close(ctx context.Context) error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.put(a.ledger.close(time.Now()))
	a.closed = true
	if a.timer != nil {
		a.timer.Stop()
	}
	a.mu.Unlock()
	if a.writer == nil {
		return nil
	}
	return a.writer.close(ctx)
}

// note takes in a request that has its answer, and returns when its line is written.
func (a *Audit) note(r *fasthttp.RequestCtx, began time.Time, dur time.Duration) {
	if audited(r) {
		a.admit(entryOf(r, began, dur))
	}
}

// noteUnreadable takes in what could not be read, and so may have been a change.
func (a *Audit) noteUnreadable(r *fasthttp.RequestCtx) {
	a.admit(entryFrom(r, time.Now()))
}

func (a *Audit) admit(e entry) {
	a.mu.Lock()
	written := a.put(a.ledger.admit(e))
	a.arm()
	a.mu.Unlock()
	a.await(written)
}

// arm has the ledger asked once a minute, while it may owe a line.
func (a *Audit) arm() {
	if a.timer == nil && !a.closed && !a.ledger.idle() {
		a.timer = time.AfterFunc(a.ledger.limits.window, a.tick)
	}
}

func (a *Audit) tick() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.timer = nil
	if !a.closed {
		a.put(a.ledger.expire(time.Now()))
	}
	a.arm()
}

// put hands lines on in their order, and returns what is closed when the last of them is written; nil: there is nothing to wait for.
func (a *Audit) put(lines []entry) (written <-chan struct{}) {
	for _, e := range lines {
		text := e.line()
		if a.writer == nil || a.closed {
			a.log.Info("audit", "entry", json.RawMessage(text))
			continue
		}
		queued, ok := a.writer.put(text)
		if !ok {
			a.outcome(text, errBacklog)
			continue
		}
		written = queued
	}
	return written
}

// await holds one answer up for a disk that is slow, and none after it until the disk has caught up.
func (a *Audit) await(written <-chan struct{}) {
	if written == nil || a.late.Load() {
		return
	}
	patience := time.NewTimer(auditPatience)
	defer patience.Stop()
	select {
	case <-written:
	case <-patience.C:
		a.late.Store(true)
	}
}

// outcome hears what became of a line. The log gets those that were not written, and is told once why.
func (a *Audit) outcome(text []byte, err error) {
	if err == nil {
		a.late.Store(len(a.writer.lines) > 0 && a.late.Load())
		if a.failing.CompareAndSwap(true, false) {
			a.log.Info("audit log is written again")
		}
		return
	}
	a.lost.Add(1)
	if a.failing.CompareAndSwap(false, true) {
		a.log.Error("audit log cannot be written; its lines are here until it can", "err", err)
	}
	a.log.Warn("audit", "entry", json.RawMessage(text))
}

// collector counts the lines that are not where they belong.
func (a *Audit) collector() prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "vspherepool_audit_lines_lost_total",
		Help: "Lines that could not be written to the audit log, and are in the ordinary log instead.",
	}, func() float64 { return float64(a.lost.Load()) })
}
