package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// graceTime is how long all clean-ups together may take: a supervisor of processes waits 10 seconds before it kills.
const graceTime = 8 * time.Second

// cleanups is a stack of what has to be undone, in reverse order, whether the set-up was finished or not.
type cleanups struct {
	log   *slog.Logger
	steps []cleanup
}

type cleanup struct {
	name string
	do   func(context.Context) error
}

func (c *cleanups) add(name string, do func(context.Context) error) {
	c.steps = append(c.steps, cleanup{name, do})
}

// run takes every step, whatever the others fail of. It outlives ctx, but not graceTime; what is cut short then is in the journal, so it
// is logged and no error.
func (c *cleanups) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceTime)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- c.unwind(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select { // those that heed the deadline need a moment to say so
	case err := <-done:
		return err
	case <-time.After(graceTime / 20):
		c.log.Warn("shutdown cut short")
		return nil
	}
}

func (c *cleanups) unwind(ctx context.Context) error {
	var failures []error
	for _, step := range slices.Backward(c.steps) {
		err := step.do(ctx)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			c.log.Warn("shutdown step cut short", "op", step.name, "err", err)
		case err != nil:
			failures = append(failures, fmt.Errorf("%s: %w", step.name, err))
		}
	}
	return errors.Join(failures...)
}

// plain is a clean-up that has no use for a context.
func plain(do func() error) func(context.Context) error {
	return func(context.Context) error { return do() }
}

// within gives one step a part of the time only.
func within(limit time.Duration, do func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return do(ctx)
	}
}
