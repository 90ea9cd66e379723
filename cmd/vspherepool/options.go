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

// settle gives the value its final form: the flag's, else the environment's, else the default. It returns where the value is from.
func (o option) settle(flags *pflag.FlagSet, getenv func(string) string) (name string, err error) {
	name = "--" + o.flag
	text := getenv(o.variable())
	if text == "" || flags.Changed(o.flag) {
		return name, nil
	}
	if err := flags.Set(o.flag, text); err != nil {
		return "", usage("%s: %w", o.variable(), err)
	}
	return o.variable(), nil
}

// settleAll settles all options before it checks any, as a check may look at others.
func settleAll(table []option, flags *pflag.FlagSet, getenv func(string) string) error {
	names := make([]string, len(table))
	for i, o := range table {
		var err error
		if names[i], err = o.settle(flags, getenv); err != nil {
			return err
		}
	}
	for i, o := range table {
		if o.check == nil {
			continue
		}
		if err := o.check(); err != nil {
			return usage("%s %w", names[i], err)
		}
	}
	return nil
}

// withOptions adds a table to a command. The command's function runs with all options settled.
func withOptions(cmd *cobra.Command, p process, table []option) *cobra.Command {
	for _, o := range table {
		o.define(cmd.Flags())
	}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		return settleAll(table, cmd.Flags(), p.getenv)
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
