// Command report runs the benchmarks that have goals, or reads what go test has printed of them, and says in one table which goals are met.
//
// It fails when a benchmark does, or when a firm goal is missed: firm figures are counts, which no other load on the machine can disturb.
// All others are only reported.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The exit statuses.
const (
	fine   = 0
	failed = 1
	misuse = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal has its default effect
	os.Exit(run(ctx, streams{os.Stdin, os.Stdout, os.Stderr}, os.Args[1:]...))
}

type streams struct {
	in       io.Reader
	out, err io.Writer
}

// options are those of the command line.
type options struct {
	in, raw, json, baseline string
	accept                  bool
	timeout                 time.Duration
	names                   []string
}

const usage = `Usage: go run ./benchmarks/report [flags] [NAME...]

Runs the benchmarks that have goals, or those of the given names (Reads Converge ...), and prints what was measured against the goals.

`

func parse(s streams, args []string) (o options, err error) {
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	flags.SetOutput(s.err)
	flags.StringVar(&o.in, "in", "", "read the output of go test -bench from `file` (- for stdin) instead of running it")
	flags.StringVar(&o.raw, "raw", "", "copy the output of go test to `file`, for benchstat")
	flags.StringVar(&o.json, "json", "", "write the result to `file`")
	flags.BoolVar(&o.accept, "accept", false, "measure nothing: make the result in the file of -json the accepted one")
	flags.StringVar(&o.baseline, "baseline", "benchmarks/testdata/baseline.json", "`file` with the last accepted result")
	flags.DurationVar(&o.timeout, "timeout", 15*time.Minute, "end the benchmarks after this `time`")
	flags.Usage = func() {
		fmt.Fprint(s.err, usage)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.names = flags.Args()
	switch {
	case o.accept && o.json == "":
		return o, errors.New("-accept takes the result from the file of -json: give one that an earlier run has written")
	case o.in != "" && len(o.names) > 0:
		return o, errors.New("names choose what to run: leave them out with -in")
	}
	return o, known(o.names)
}

// families are those that are asked for: all, unless some are named.
func (o options) families() []string {
	if len(o.names) == 0 {
		return families()
	}
	return o.names
}

func known(names []string) error {
	for _, name := range names {
		if !slices.Contains(families(), name) {
			return fmt.Errorf("no benchmark %s has a goal; those that have: %s", name, strings.Join(families(), " "))
		}
	}
	return nil
}

func run(ctx context.Context, s streams, args ...string) int {
	o, err := parse(s, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return fine
	case err != nil:
		fmt.Fprintln(s.err, "report:", err)
		return misuse
	}
	do := report
	if o.accept {
		do = accept
	}
	if err := do(ctx, s, o); err != nil {
		fmt.Fprintln(s.err, "report:", err)
		return failed
	}
	return fine
}

// report measures, or reads what was measured, and tells of it.
func report(ctx context.Context, s streams, o options) error {
	accepted, err := load(o.baseline)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	began := time.Now()
	m, err := measure(ctx, s, o, func(name string) string {
		return fmt.Sprintf("%5.0fs  %s", time.Since(began).Seconds(), name)
	})
	if err != nil {
		return err
	}
	result := m.record(ctx, began)
	if err := result.print(s.out, o.families(), accepted); err != nil {
		return fmt.Errorf("print table: %w", err)
	}
	if o.json != "" {
		if err := result.save(o.json); err != nil {
			return err
		}
	}
	return result.verdict()
}

// accept keeps a result that a run has written.
func accept(_ context.Context, s streams, o options) error {
	result, err := load(o.json)
	if err != nil {
		return fmt.Errorf("accept a result: %w; make bench writes one", err)
	}
	if err := result.verdict(); err != nil {
		return fmt.Errorf("accept nothing: %w", err)
	}
	if missing := result.missing(); len(missing) > 0 {
		return fmt.Errorf("accept nothing: %v were not measured; run all", missing)
	}
	fmt.Fprintf(s.out, "accepted: %s\n", result)
	return result.save(o.baseline)
}
