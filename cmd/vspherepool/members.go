package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newTerminate(p process) *cobra.Command {
	var decrement, wait, yes bool
	timeout := 15 * time.Minute
	cmd := &cobra.Command{Use: "terminate MACHINE...", Short: "End machines for good", Long: terminateHelp, Args: cobra.MinimumNArgs(1)}
	return asks(p, cmd, func(ctx context.Context, c *client, out printer, args []string) error {
		if !yes && !terminal(p.stdin) {
			return usage("terminate needs --yes where nobody can be asked")
		}
		chosen, err := choose(ctx, c, args)
		if err != nil {
			return err
		}
		if !yes {
			err = confirm(ctx, p, "Terminate "+strings.Join(labels(chosen), ", ")+" for good?")
		}
		r := removal{c, "/pool/terminate", decrement}
		if err == nil {
			err = r.each(ctx, chosen)
		}
		if err == nil && wait {
			err = r.await(ctx, newProgress(p.stderr), timeout, chosen)
		}
		if err != nil {
			return err
		}
		return showNow(ctx, c, out, p.stderr)
	},
		option{flag: "decrement", value: &decrement, help: "lower the desired size along with it, so that no replacement is made"},
		option{flag: "wait", value: &wait, help: "return when the machines are gone"},
		option{flag: "timeout", value: &timeout, check: notNegative(&timeout), help: "how long to wait with --wait"},
		option{flag: "yes", value: &yes, help: "don't ask"})
}

const (
	namesHelp = " A machine is named by its id, the beginning of its id if no other has the same, or its VM's name."

	terminateHelp = "End machines for good: their VMs are shut down and destroyed, and replaced unless --decrement is given." + namesHelp
	detachHelp    = "Let machines go: their VMs run on outside of the pool, and are replaced unless --decrement is given." + namesHelp
	attachHelp    = "Make running VMs members, and raise the desired size by one for each. " +
		"A VM is named by its instance UUID, its managed object id or its inventory path."
)

func newDetach(p process) *cobra.Command {
	var decrement bool
	cmd := &cobra.Command{Use: "detach MACHINE...", Short: "Let machines go, keep their VMs", Long: detachHelp, Args: cobra.MinimumNArgs(1)}
	return asks(p, cmd, func(ctx context.Context, c *client, out printer, args []string) error {
		chosen, err := choose(ctx, c, args)
		if err != nil {
			return err
		}
		if err := (removal{c, "/pool/detach", decrement}).each(ctx, chosen); err != nil {
			return err
		}
		return showNow(ctx, c, out, p.stderr)
	}, option{flag: "decrement", value: &decrement, help: "lower the desired size along with it, so that no replacement is made"})
}

func newAttach(p process) *cobra.Command {
	cmd := &cobra.Command{Use: "attach VM...", Short: "Make running VMs members", Long: attachHelp, Args: cobra.MinimumNArgs(1)}
	return asks(p, cmd, func(ctx context.Context, c *client, out printer, args []string) error {
		var failures []error
		for _, vm := range args {
			if err := c.post(ctx, "/pool/attach", attachRequest{vm}); err != nil {
				failures = append(failures, fmt.Errorf("attach %s: %w", vm, err))
			}
		}
		if err := errors.Join(failures...); err != nil {
			return err
		}
		return showNow(ctx, c, out, p.stderr)
	})
}

// showNow shows the size after a change that is done, whether it can be read now or not.
func showNow(ctx context.Context, c *client, out printer, notes io.Writer) error {
	if _, err := readSize(ctx, c); err != nil {
		fmt.Fprintf(notes, "done, but the pool cannot be read now: %v\n", err)
		return nil
	}
	return showSize(ctx, c, out)
}

// removal takes machines out of the pool.
type removal struct {
	client    *client
	path      string
	decrement bool
}

// each goes on after a failure: the others were asked for as well.
func (r removal) each(ctx context.Context, chosen []machineDocument) error {
	var failures []error
	for _, m := range chosen {
		if err := r.client.post(ctx, r.path, removalRequest{m.ID, r.decrement}); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", m.label(), err))
		}
	}
	return errors.Join(failures...)
}

// label is what a person calls the machine.
func (m machineDocument) label() string {
	if m.Metadata.Name == "" {
		return m.ID
	}
	return m.Metadata.Name
}

func labels(machines []machineDocument) []string {
	names := make([]string, len(machines))
	for i, m := range machines {
		names[i] = m.label()
	}
	return names
}

// choose finds the machines that are meant, all or none.
func choose(ctx context.Context, c *client, names []string) ([]machineDocument, error) {
	var pool poolDocument
	if _, err := c.get(ctx, "/pool", &pool); err != nil {
		return nil, err
	}
	var chosen []machineDocument
	for _, name := range names {
		m, err := pool.machine(name)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(chosen, func(c machineDocument) bool { return c.ID == m.ID }) {
			chosen = append(chosen, m)
		}
	}
	return chosen, nil
}

// machine is the one with this id, else this name, else the one whose id begins so.
func (d poolDocument) machine(name string) (machineDocument, error) {
	lower := strings.ToLower(name)
	for _, fits := range []func(machineDocument) bool{
		func(m machineDocument) bool { return m.ID == lower },
		func(m machineDocument) bool { return m.Metadata.Name == name && name != "" },
		func(m machineDocument) bool { return strings.HasPrefix(m.ID, lower) && name != "" },
	} {
		switch found := filter(d.Machines, fits); len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			return machineDocument{}, &failure{exitRefused, fmt.Errorf("%q may be any of %d machines: give more of the id", name, len(found))}
		}
	}
	return machineDocument{}, &failure{exitNotFound, fmt.Errorf("there is no machine %q in the pool: see `machines`", name)}
}

func filter(machines []machineDocument, fits func(machineDocument) bool) []machineDocument {
	var found []machineDocument
	for _, m := range machines {
		if fits(m) {
			found = append(found, m)
		}
	}
	return found
}

// await returns when none of the machines has a VM any more. An outage is waited out.
func (r removal) await(ctx context.Context, show progress, timeout time.Duration, chosen []machineDocument) error {
	defer show.end()
	return await(ctx, timeout, "the pool has not got rid of all machines", func(ctx context.Context) (bool, error) {
		var pool poolDocument
		if _, err := r.client.get(ctx, "/pool", &pool); err != nil {
			outage(ctx, show, err)
			return false, nil
		}
		left := 0
		for _, m := range chosen {
			left += len(filter(pool.Machines, func(now machineDocument) bool { return now.ID == m.ID && now.MachineState != "TERMINATED" }))
		}
		show.say(fmt.Sprintf("%d of %d gone", len(chosen)-left, len(chosen)))
		return left == 0, nil
	})
}
