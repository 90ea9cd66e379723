package main

import (
	"context"
	"fmt"
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

// version is what the Go tool noted when it built the program: a release's tag, or one made of time and commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version + " " + info.GoVersion
}
