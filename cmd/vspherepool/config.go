package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"vspherepool/actors"
)

func newConfig(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Work with configuration documents",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "check FILE",
		Short: "Validate a document (- for standard input)",
		Args:  cobra.ExactArgs(1),
		RunE:  runs(func(_ context.Context, args []string) error { return checkConfig(p, args[0]) }),
	}, &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of documents",
		Args:  cobra.NoArgs,
		RunE: runs(func(context.Context, []string) error {
			_, err := p.stdout.Write(actors.ConfigSchema())
			return err
		}),
	}, asks(p, &cobra.Command{
		Use: "show", Short: "Print the document that a server goes by, without its secrets", Args: cobra.NoArgs,
	}, showConfig))
	return cmd
}

// showConfig prints YAML, which documents are written in, unless JSON is asked for.
func showConfig(ctx context.Context, c *client, out printer, _ []string) error {
	var document struct{ Name string }
	text, err := c.get(ctx, "/config", &document)
	if err != nil {
		return err
	}
	if out.format == "table" || out.format == "wide" {
		out.format = "yaml"
	}
	return out.print(listing{document: text, names: []string{document.Name}})
}

// checkConfig prints one line per problem or warning.
func checkConfig(p process, name string) error {
	document, err := readNamed(p, name)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	for _, key := range actors.UnknownKeys(document) {
		fmt.Fprintf(p.stderr, "%s: warning: %s is not a known key and is ignored\n", name, key)
	}
	_, err = actors.ParseConfig(document)
	if invalid, ok := errors.AsType[*actors.ConfigError](err); ok {
		for _, problem := range invalid.Problems {
			fmt.Fprintf(p.stderr, "%s: %s\n", name, problem)
		}
		return fmt.Errorf("%s is not valid", name)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s is valid\n", name)
	return err
}

func readNamed(p process, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(p.stdin)
	}
	return os.ReadFile(name)
}
