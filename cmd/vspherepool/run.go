package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitError       = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitNotAllowed  = 4
	exitRefused     = 5
	exitTimeout     = 6
	exitUnreachable = 7
)

// failure is an error with an exit code of its own.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func usage(format string, args ...any) error {
	return &failure{exitUsage, fmt.Errorf(format, args...)}
}

// process is what the commands know of the process they run in.
type process struct {
	getenv func(string) string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// run executes one command line, prints its error and returns the exit code.
func run(ctx context.Context, p process, args ...string) int {
	root := newRoot(p)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(p.stderr, "vspherepool: %s\n", printable(err.Error()))
	return exitCode(err)
}

// exitCode takes errors without a code for cobra's own, which are about usage: see [runs].
func exitCode(err error) int {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.code
	}
	return exitUsage
}

func newRoot(p process) *cobra.Command {
	root := &cobra.Command{
		Use:           "vspherepool",
		Short:         "Keep a pool of vSphere VMs at a desired size",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.AddCommand(newServe(p), newStatus(p), newSize(p), newMachines(p), newResize(p), newTerminate(p), newDetach(p), newAttach(p),
		newFreeze(p), newThaw(p), newRails(p), newOrphans(p), newConfig(p), newUser(p), newState(p), newDoctor(p), newVersion(p))
	return root
}

// runs adapts a command's function: what it fails of is an error of exit code 1 unless it says otherwise.
func runs(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := do(cmd.Context(), args)
		if _, coded := errors.AsType[*failure](err); err == nil || coded {
			return err
		}
		return &failure{exitError, err}
	}
}
