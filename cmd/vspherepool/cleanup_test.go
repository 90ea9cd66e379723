package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

func TestCleanupsRunBackwardsAndJoinErrors(t *testing.T) {
	undo := cleanups{log: slog.New(slog.DiscardHandler)}
	var order []string
	step := func(name string, err error) {
		undo.add(name, plain(func() error {
			order = append(order, name)
			return err
		}))
	}
	step("one", errors.New("stuck"))
	step("two", context.DeadlineExceeded)
	step("three", errors.New("broken"))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	err := undo.run(over)
	if err == nil || err.Error() != "three: broken\none: stuck" {
		t.Errorf("error is %v", err)
	}
	if len(order) != 3 || order[0] != "three" || order[2] != "one" {
		t.Errorf("order is %q", order)
	}
}

func TestCleanupsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		undo := cleanups{log: slog.New(slog.DiscardHandler)}
		hang := make(chan struct{})
		undo.add("hang", plain(func() error {
			<-hang
			return nil
		}))
		undo.add("slow", within(requestGrace, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}))
		began := time.Now()
		if err := undo.run(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < graceTime || took >= 10*time.Second {
			t.Errorf("took %s", took)
		}
		close(hang)
	})
}
