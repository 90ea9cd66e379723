package chaos

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// invariant names what a violation is one of; see the package's comment.
type invariant string

const (
	durability  invariant = "1 acknowledged writes are never lost"
	uniqueness  invariant = "2 one VM for a machine, and no more than the ceiling"
	ownership   invariant = "3 no call on a VM without our mark"
	protection  invariant = "4 protected machines are never evicted"
	convergence invariant = "5 active converges to desired"
	reasons     invariant = "6 every decision has a reason"
	sanity      invariant = "7 answers are as the API says"
	order       invariant = "8 nothing panics, everything ends"
)

type violation struct {
	Invariant invariant
	Text      string
}

func (v violation) String() string { return string(v.Invariant) + ": " + v.Text }

// book keeps what happened in a run: a transcript for people, what was counted, and what was violated.
type book struct {
	mu         sync.Mutex
	began      time.Time
	lines      []string
	violations []violation
	// launched are the machines of which the log has said why there is one.
	launched map[string]bool
	steps    int
	crashes  int
}

// mostViolations is how many are kept; the first one is what matters.
const mostViolations = 8

func newBook() *book { return &book{began: time.Now(), launched: map[string]bool{}} }

func (b *book) violation(i invariant, format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := violation{i, fmt.Sprintf(format, args...)}
	b.note("VIOLATION " + v.String())
	if len(b.violations) < mostViolations {
		b.violations = append(b.violations, v)
	}
}

func (b *book) say(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.note(fmt.Sprintf(format, args...))
}

func (b *book) note(text string) {
	b.lines = append(b.lines, fmt.Sprintf("%10.3f %s", time.Since(b.began).Seconds(), text))
}

func (b *book) failed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.violations) > 0
}

// logbook is the server's log, as the book reads it.
type logbook struct {
	*book
	attrs []slog.Attr
}

// Enabled implements [slog.Handler].
func (h logbook) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements [slog.Handler].
func (h logbook) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logbook{h.book, append(append([]slog.Attr(nil), h.attrs...), attrs...)}
}

// WithGroup implements [slog.Handler].
func (h logbook) WithGroup(string) slog.Handler { return h }

// Handle implements [slog.Handler].
func (h logbook) Handle(_ context.Context, r slog.Record) error {
	fields := map[string]string{}
	text := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		fields[a.Key] = a.Value.String()
		text += fmt.Sprintf(" %s=%q", a.Key, fields[a.Key])
		return true
	})
	if (strings.HasPrefix(r.Message, "request") || r.Message == "audit") && r.Level < slog.LevelWarn {
		return nil // the client notes its own calls
	}
	h.say("log: %s", text)
	if strings.Contains(text, "panic") {
		h.violation(order, "%s", text)
	}
	h.reasonOf(r.Message, fields)
	return nil
}

// reasonOf checks that lines about decisions say why.
func (h logbook) reasonOf(message string, fields map[string]string) {
	switch message {
	case "machine transition", "machine is to go", "machine requested":
		if fields["reason"] == "" {
			h.violation(reasons, "the log says %q of %s without a reason", message, fields["machine"])
		}
	}
	switch message {
	case "machine requested", "member found by its mark":
		h.mu.Lock()
		defer h.mu.Unlock()
		h.launched[fields["machine"]] = true
	}
}
