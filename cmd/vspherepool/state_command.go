package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"vspherepool/actors"
)

// newState makes the commands for the journal of a stopped server.
func newState(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "state",
		Short: "Look after the state directory of a stopped server",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newStateShow(p), newStateCheck(p), newStateRebuild(p))
	return cmd
}

// stateOptions are common to the commands.
type stateOptions struct{ dir, output string }

// looksAfter makes one of the commands.
func looksAfter(p process, cmd *cobra.Command, do func(context.Context, stateOptions) error, more ...option) *cobra.Command {
	o := stateOptions{output: "table"}
	cmd.Args = cobra.NoArgs
	cmd.RunE = runs(func(ctx context.Context, _ []string) error { return stateFailure(do(ctx, o)) })
	return withOptions(cmd, p, append([]option{
		{
			flag: "state-dir", value: &o.dir, otherwise: "as for serve",
			help: "`directory` of the durable state",
		},
		{
			flag: "output", shorthand: "o", value: &o.output, check: among(&o.output, "table", "wide", "json", "yaml", "name"),
			help: "`format`: table, wide, json, yaml or name",
		},
	}, more...))
}

// journal is the file that the commands are about.
func (o stateOptions) journal(p process) (string, error) {
	if o.dir != "" {
		return filepath.Join(o.dir, journalFile), nil
	}
	dir, err := defaultStateDir(p.getenv)
	return filepath.Join(dir, journalFile), err
}

// stateFailure gives the failures that have one their exit code.
func stateFailure(err error) error {
	switch {
	case errors.Is(err, actors.ErrLocked):
		return &failure{exitRefused, fmt.Errorf("%w; a running server is asked with vspherepool status and machines", err)}
	case errors.Is(err, fs.ErrNotExist):
		return &failure{exitNotFound, fmt.Errorf("there is no journal; give the directory with --state-dir: %w", err)}
	}
	return err
}

const checkHelp = "Read the journal without changing it, and say of everything that is wrong with it what it means and what to do. " +
	"Exit codes: 0 a server can use it, 1 it is damaged, 3 there is none, 5 a server is using it now."

func newStateCheck(p process) *cobra.Command {
	cmd := &cobra.Command{Use: "check", Short: "Say whether the journal is sound, and what to do if it isn't", Long: checkHelp}
	return looksAfter(p, cmd, func(_ context.Context, o stateOptions) error {
		path, err := o.journal(p)
		if err != nil {
			return err
		}
		found, err := actors.InspectJournal(path)
		if err != nil {
			return err
		}
		if err := (printer{p.stdout, o.output}).print(findings(found, path)); err != nil {
			return err
		}
		if !found.Sound() {
			return fmt.Errorf("%s is damaged", path)
		}
		return nil
	})
}

func newStateShow(p process) *cobra.Command {
	cmd := &cobra.Command{Use: "show", Short: "Show what the journal holds, without its secrets"}
	return looksAfter(p, cmd, func(_ context.Context, o stateOptions) error {
		path, err := o.journal(p)
		if err != nil {
			return err
		}
		found, err := actors.InspectJournal(path)
		if err != nil {
			return err
		}
		if !found.Sound() {
			fmt.Fprintln(p.stderr, "the journal is damaged, and this is what can be read of it: see vspherepool state check")
		}
		return showState(printer{p.stdout, o.output}, found)
	})
}

const rebuildHelp = "Put a new journal with all that can be read of a damaged one in its place. The damaged one is kept beside it. " +
	"At its next start the server finds the members again by the marks on their VMs. What cannot be found again that way is the " +
	"desired size, if the pool's record is lost: give it with --desired-size, and the configuration with serve --config. " +
	"A sound journal is left alone."

func newStateRebuild(p process) *cobra.Command {
	var yes bool
	size := ""
	cmd := &cobra.Command{Use: "rebuild", Short: "Save what can be saved of a damaged journal", Long: rebuildHelp}
	return looksAfter(p, cmd, func(ctx context.Context, o stateOptions) error {
		path, err := o.journal(p)
		if err != nil {
			return err
		}
		desired, err := desiredSize(size)
		if err != nil {
			return err
		}
		if !yes && !terminal(p.stdin) {
			return usage("state rebuild needs --yes where nobody can be asked")
		}
		if !yes {
			if err := confirm(ctx, p, "Put a new journal in the place of "+path+"?"); err != nil {
				return err
			}
		}
		return rebuildState(p, o, path, desired)
	},
		option{flag: "desired-size", value: &size, help: "`number` of machines that the pool is to have (default what is on record)"},
		option{flag: "yes", value: &yes, help: "don't ask"})
}

// desiredSize is nil where none is given.
func desiredSize(text string) (*int, error) {
	if text == "" {
		return nil, nil
	}
	size, err := strconv.Atoi(text)
	if err != nil || size < 0 {
		return nil, usage("--desired-size must be a number, 0 or more, not %q", text)
	}
	return &size, nil
}

func rebuildState(p process, o stateOptions, path string, desired *int) error {
	if err := sizeIsKnown(path, desired); err != nil {
		return err
	}
	done, err := actors.RebuildJournal(path, desired, time.Now())
	if err != nil {
		return err
	}
	if done.Kept == "" {
		fmt.Fprintln(p.stderr, path+" is sound; nothing was changed")
		return nil
	}
	for _, finding := range done.Findings {
		fmt.Fprintln(p.stderr, "was wrong: "+finding.Trouble)
	}
	fmt.Fprintf(p.stderr, "the damaged journal is %s now; %s, and the records of %d machines\n", done.Kept, saved(done), len(done.Machines))
	fmt.Fprintln(p.stderr, "start the server: it looks for the members by the marks on their VMs")
	found, err := actors.InspectJournal(path)
	if err != nil {
		return err
	}
	return showState(printer{p.stdout, o.output}, found)
}

// sizeIsKnown refuses to rebuild a journal whose desired size is lost, unless one is given: at its next start the server would take the
// configuration's, and end machines that are too many for it.
func sizeIsKnown(path string, desired *int) error {
	found, err := actors.InspectJournal(path)
	switch {
	case err != nil:
		return err
	case found.Sound() && desired != nil:
		return &failure{exitRefused, errors.New("the journal is sound, and nothing was changed: start the server, " +
			"and set its size by vspherepool resize")}
	case !found.Sound() && !found.PoolRecord && desired == nil:
		return &failure{exitRefused, fmt.Errorf("the desired size is lost with the pool's record: give it with --desired-size; "+
			"the records of %d machines can be read, and vCenter shows what runs", len(found.Machines))}
	}
	return nil
}

func saved(done actors.RebuiltJournal) string {
	if done.PoolRecord {
		return "saved were the pool's record"
	}
	return "the pool's record is lost (give the configuration with serve --config); saved were nothing of it"
}
