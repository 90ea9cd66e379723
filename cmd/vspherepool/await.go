package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// pollInterval is between two looks at the pool.
const pollInterval = 500 * time.Millisecond

// await looks until it is done, or an error says that there is nothing to wait for. late says in a sentence what was not reached when the
// time is over.
func await(ctx context.Context, timeout time.Duration, late string, look func(context.Context) (done bool, err error)) error {
	limit, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		done, err := look(limit)
		switch {
		case ctx.Err() != nil:
			return &failure{exitError, errors.New("stopped waiting; the pool goes on")}
		case limit.Err() != nil:
			return &failure{exitTimeout, fmt.Errorf("%s after %s: it goes on, and `vspherepool status` says what it waits for", late, timeout)}
		case done || err != nil:
			return err
		}
		select {
		case <-limit.Done():
		case <-time.After(pollInterval):
		}
	}
}

// outage shows why the pool cannot be looked at now. That the waiting is over is no outage: [await] tells of that.
func outage(ctx context.Context, show progress, err error) {
	if ctx.Err() == nil {
		show.say(err.Error())
	}
}
