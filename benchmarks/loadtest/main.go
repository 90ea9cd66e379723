// Command loadtest makes requests at a running adapter over TLS, and says how long the answers take.
//
// It speaks the part of the API that all adapters share, so that others than vspherepool can be measured with it, too.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"vspherepool/benchmarks/load"
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
	os.Exit(run(ctx, streams{os.Stdout, os.Stderr, term.IsTerminal(int(os.Stderr.Fd()))}, os.Args[1:]...))
}

type streams struct {
	out, err io.Writer
	// terminal says that err is one.
	terminal bool
}

func run(ctx context.Context, s streams, args ...string) int {
	o, err := parse(s.err, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return fine
	case err != nil:
		fmt.Fprintln(s.err, "loadtest:", err)
		return misuse
	}
	if err := test(ctx, s, o); err != nil {
		fmt.Fprintln(s.err, "loadtest:", advise(err))
		return failed
	}
	return fine
}

func test(ctx context.Context, s streams, o options) error {
	target, err := o.target()
	if err != nil {
		return err
	}
	client, err := load.NewClient(target, max(1, o.connections))
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Warm(max(1, o.connections)); err != nil {
		return err
	}
	result := plan(s, o, client).Run(ctx)
	if s.terminal {
		fmt.Fprintln(s.err)
	}
	if err := report(s.out, o, result); err != nil {
		return err
	}
	if o.mix.Has(load.Resize) {
		return client.Settle()
	}
	return nil
}

func plan(s streams, o options, client *load.Client) load.Plan {
	p := load.Plan{
		Duration: o.duration, Mix: o.mix, Workers: o.connections, Rate: o.rate, Connect: client.Connect(o.mix),
		Pollers: o.pollers, PollInterval: o.pollInterval, ConnectPoller: client.ConnectPoller(o.pollTag),
	}
	if o.progress || s.terminal {
		p.Observe = func(p load.Progress) { tell(s, p) }
	}
	return p
}

// report writes all that is asked for.
func report(out io.Writer, o options, result load.Result) error {
	table := summary(o, result)
	if _, err := io.WriteString(out, table); err != nil {
		return fmt.Errorf("print result: %w", err)
	}
	if o.json != "" {
		if err := save(o.json, document{o.url, o.mix, result}); err != nil {
			return err
		}
	}
	if o.plot != "" {
		return drawFile(o.plot, table, result)
	}
	return nil
}
