package api

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestLimited(t *testing.T) {
	type step func(l *limited, cancel context.CancelFunc)
	nothing := func(*limited, context.CancelFunc) {}
	tests := map[string]struct {
		before, after step
		want          error
	}{
		"under way":               {nothing, nothing, nil},
		"too late":                {nothing, func(*limited, context.CancelFunc) { time.Sleep(time.Minute) }, context.DeadlineExceeded},
		"too late, unawaited":     {func(*limited, context.CancelFunc) { time.Sleep(time.Minute) }, nothing, context.DeadlineExceeded},
		"the server ends":         {nothing, func(_ *limited, cancel context.CancelFunc) { cancel() }, context.Canceled},
		"the server had ended":    {func(_ *limited, cancel context.CancelFunc) { cancel() }, nothing, context.Canceled},
		"over":                    {nothing, func(l *limited, _ context.CancelFunc) { l.end() }, context.Canceled},
		"over before the wait":    {func(l *limited, _ context.CancelFunc) { l.end() }, nothing, context.Canceled},
		"over, and then too late": {func(l *limited, _ context.CancelFunc) { l.end(); time.Sleep(time.Minute) }, nothing, context.DeadlineExceeded},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base, cancel := context.WithCancel(t.Context())
				defer cancel()
				l := &limited{Context: base, until: time.Now().Add(30 * time.Second)}
				defer l.end()
				test.before(l, cancel)
				child, stop := context.WithCancel(l)
				defer stop()
				test.after(l, cancel)
				synctest.Wait()
				if !errors.Is(l.Err(), test.want) || !errors.Is(child.Err(), test.want) {
					t.Errorf("%v, its child %v, want %v", l.Err(), child.Err(), test.want)
				}
				if until, ok := l.Deadline(); !ok || !until.Equal(l.until) {
					t.Errorf("the deadline is %v", until)
				}
			})
		})
	}
}

// TestWhoDoesNotWaitTakesNoTimer is what it is there for.
func TestWhoDoesNotWaitTakesNoTimer(t *testing.T) {
	l := &limited{Context: t.Context(), until: time.Now().Add(time.Hour)}
	if allocs := testing.AllocsPerRun(100, func() { l.Deadline(); l.end() }); allocs != 0 || l.waited != nil {
		t.Errorf("%g allocations", allocs)
	}
}
