package api

import (
	"context"
	"sync"
	"time"
)

// limited is a context with a deadline for those who ask when that is, as reads do, and a timer only for those who wait for it.
type limited struct {
	context.Context
	until time.Time

	mu     sync.Mutex
	waited context.Context //nolint:containedctx // this is a context itself
	cancel context.CancelFunc
	over   bool
}

// Deadline is context.Context's.
func (l *limited) Deadline() (time.Time, bool) { return l.until, true }

// Done is context.Context's.
func (l *limited) Done() <-chan struct{} { return l.waiting().Done() }

// Err is context.Context's.
func (l *limited) Err() error { return l.waiting().Err() }

func (l *limited) waiting() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waited == nil {
		l.waited, l.cancel = context.WithDeadline(l.Context, l.until)
		if l.over {
			l.cancel()
		}
	}
	return l.waited
}

// end cancels the context.
func (l *limited) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.cancel != nil {
		l.cancel()
	}
}
