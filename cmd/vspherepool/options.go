package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// option is one row of a command's table of options: the source of flag, environment variable, default, help, check and README.
type option struct {
	flag      string
	shorthand string
	// value points to a string, bool or [time.Duration] that holds the default.
	value any
	// otherwise describes a default that is only known when the command runs.
	otherwise string
	help      string
	// check looks at the value in force; nil accepts all.
	check func() error
}

// variable is the option's environment variable. A flag wins over it.
func (o option) variable() string {
	return "VSPHEREPOOL_" + strings.ToUpper(strings.ReplaceAll(o.flag, "-", "_"))
}

func (o option) define(flags *pflag.FlagSet) {
	help := o.help + " ($" + o.variable() + ")"
	if o.otherwise != "" {
		help += " (default " + o.otherwise + ")"
	}
	switch v := o.value.(type) {
	case *bool:
		flags.BoolVarP(v, o.flag, o.shorthand, *v, help)
	case *time.Duration:
		flags.DurationVarP(v, o.flag, o.shorthand, *v, help)
	case *string:
		flags.StringVarP(v, o.flag, o.shorthand, *v, help)
	}
}

// settle gives the value its final form: the flag's, else the environment's, else the default.
func (o option) settle(flags *pflag.FlagSet, getenv func(string) string) error {
	name := "--" + o.flag
	if text := getenv(o.variable()); text != "" && !flags.Changed(o.flag) {
		name = o.variable()
		if err := flags.Set(o.flag, text); err != nil {
			return usage("%s: %w", name, err)
		}
	}
	if o.check == nil {
		return nil
	}
	if err := o.check(); err != nil {
		return usage("%s %w", name, err)
	}
	return nil
}

// withOptions adds a table to a command. The command's function runs with all options settled.
func withOptions(cmd *cobra.Command, p process, table []option) *cobra.Command {
	for _, o := range table {
		o.define(cmd.Flags())
	}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		for _, o := range table {
			if err := o.settle(cmd.Flags(), p.getenv); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

// among is a check that the value is one of a few words.
func among(value *string, words ...string) func() error {
	return func() error {
		if slices.Contains(words, *value) {
			return nil
		}
		return fmt.Errorf("must be one of %s", strings.Join(words, ", "))
	}
}
