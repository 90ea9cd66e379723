package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newResize(p process) *cobra.Command {
	var wait bool
	timeout := 15 * time.Minute
	cmd := &cobra.Command{
		Use:   "resize N",
		Short: "Set the pool's desired size",
		Args: func(_ *cobra.Command, args []string) error {
			_, err := sizeArgument(args)
			return err
		},
	}
	return asks(p, cmd, func(ctx context.Context, c *client, out printer, args []string) error {
		size, err := sizeArgument(args)
		if err != nil {
			return err
		}
		if err := c.post(ctx, "/pool/size", map[string]int{"desiredSize": size}); err != nil {
			return err
		}
		if wait {
			if err := waitForSize(ctx, c, newProgress(p.stderr), timeout); err != nil {
				return err
			}
		}
		return showStored(ctx, c, out, p.stderr, size)
	},
		option{flag: "wait", value: &wait, help: "return when the machines are there, or gone"},
		option{flag: "timeout", value: &timeout, check: notNegative(&timeout), help: "how long to wait with --wait"})
}

// showStored shows what became of a size that the server has stored. That it cannot be read now is no failure to set it.
func showStored(ctx context.Context, c *client, out printer, notes io.Writer, asked int) error {
	now, err := readSize(ctx, c)
	if err != nil {
		fmt.Fprintf(notes, "desired size %d is stored, but the pool cannot be read now: %v\n", asked, err)
		return nil
	}
	if now.DesiredSize != asked && now.RequestedSize == asked {
		fmt.Fprintf(notes, "%d is outside the pool's bounds: %d is in force\n", asked, now.DesiredSize)
	}
	return showSize(ctx, c, out)
}

func readSize(ctx context.Context, c *client) (sizeDocument, error) {
	var size sizeDocument
	_, err := c.get(ctx, "/pool/size", &size)
	return size, err
}

func sizeArgument(args []string) (int, error) {
	if len(args) != 1 {
		return 0, usage("resize takes one argument, the size")
	}
	size, err := strconv.Atoi(args[0])
	if err != nil || size < 0 {
		return 0, usage("%q is not a size: give a whole number of 0 or more", args[0])
	}
	return size, nil
}

// waitForSize returns when the desired number of machines runs and no other is on its way. An outage is waited out; somebody else's
// resize is not.
func waitForSize(ctx context.Context, c *client, show progress, timeout time.Duration) error {
	defer show.end()
	goal := -1
	const late = "the pool has not reached its size"
	return await(ctx, timeout, late, func(ctx context.Context) (bool, error) {
		now, err := look(ctx, c)
		switch {
		case err != nil:
			outage(ctx, show, err)
			return false, nil
		case goal >= 0 && now.desired != goal:
			return false, &failure{exitRefused, fmt.Errorf("stopped waiting: the desired size is now %d, not %d", now.desired, goal)}
		}
		goal = now.desired
		show.machines(now)
		return now.settled(), nil
	})
}

// tally is the pool in numbers as a waiting person sees it.
type tally struct {
	desired, running, starting, leaving, rejected int
}

func look(ctx context.Context, c *client) (tally, error) {
	size, err := readSize(ctx, c)
	if err != nil {
		return tally{}, err
	}
	var pool poolDocument
	if _, err := c.get(ctx, "/pool", &pool); err != nil {
		return tally{}, err
	}
	t := tally{desired: size.DesiredSize}
	for _, m := range pool.Machines {
		t.count(m)
	}
	return t, nil
}

func (t *tally) count(m machineDocument) {
	switch m.MachineState {
	case "RUNNING":
		if m.MembershipStatus.Active {
			t.running++
		}
	case "REQUESTED", "PENDING":
		t.starting++
	case "TERMINATING":
		t.leaving++
	case "REJECTED":
		t.rejected++
	}
}

func (t tally) settled() bool {
	return t.running == t.desired && t.starting == 0 && t.leaving == 0
}

func (t tally) String() string {
	parts := []string{fmt.Sprintf("%d of %d running", t.running, t.desired)}
	for _, part := range []struct {
		n    int
		word string
	}{{t.starting, "starting"}, {t.leaving, "terminating"}, {t.rejected, "rejected"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	return strings.Join(parts, ", ")
}
