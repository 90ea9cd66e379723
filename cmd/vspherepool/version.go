package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion(p process) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: runs(func(context.Context, []string) error {
			_, err := fmt.Fprintln(p.stdout, "vspherepool "+version())
			return err
		}),
	}
}

func version() string { return release() + " " + runtime.Version() }

// release is what the Go tool noted when it built the program: a tag, or a version made of time and commit.
func release() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}
