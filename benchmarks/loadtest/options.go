package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"vspherepool/benchmarks/load"
)

// options are those of the command line.
type options struct {
	url         string
	connections int
	rate        float64
	duration    time.Duration
	timeout     time.Duration
	mix         load.Mix
	sizes       []int

	pollers      int
	pollInterval time.Duration
	pollTag      bool

	user, passwordFile, tokenFile string
	cert, key, ca                 string
	insecure                      bool

	progress   bool
	json, plot string
}

const usage = `Usage: go run ./benchmarks/loadtest [flags] https://HOST:PORT[/PREFIX]

Makes requests at a running adapter and prints how long the answers take. Without -rate it does so in a closed loop, on each connection one
request after another: that shows how much the server can do. With -rate it does so in an open loop, at fixed times, and counts latency from
when a request was due: that shows how long users wait. Ctrl-C ends it early, with the result so far.

It only reads, unless the mix has resize, which changes the desired size of the pool: never let it do so to one that is in use.

`

// reads is the mix by default.
const reads = "size=80,pool=15,pool-gzip=3,pool-304=2"

// formats are what a plot can be, by the ends of file names.
var formats = []string{".png", ".svg", ".html"}

func parse(stderr io.Writer, args []string) (o options, err error) {
	flags := flag.NewFlagSet("loadtest", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	flags.IntVar(&o.connections, "connections", 16, "`number` of connections with one request at a time (-rate: at most); 0 for pollers only")
	flags.Float64Var(&o.rate, "rate", 0, "requests a `second` in an open loop (default: a closed loop)")
	flags.DurationVar(&o.duration, "duration", 30*time.Second, "`time` after which no more is sent")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Second, "`time` to wait for an answer")
	flags.Func("mix", "`shares` of the requests (default "+reads+"); resize=1 with -resize", func(text string) error {
		o.mix, err = load.ParseMix(text)
		return err
	})
	flags.Func("resize", "two `sizes` that resize sets in turn, as in 10,12; the first one is set at the end", func(text string) error {
		o.sizes, err = parseSizes(text)
		return err
	})
	flags.IntVar(&o.pollers, "pollers", 0, "`number` of clients that read the pool, each on a connection of its own, as autoscalers do")
	flags.DurationVar(&o.pollInterval, "poll-interval", 15*time.Second, "`time` from one read of a poller to its next")
	flags.BoolVar(&o.pollTag, "poll-etag", false, "pollers ask whether the pool has changed (If-None-Match)")
	o.accessFlags(flags)
	flags.BoolVar(&o.progress, "progress", false, "tell each second what happens, even if that is not to a terminal")
	flags.StringVar(&o.json, "json", "", "write the result to `file`")
	flags.StringVar(&o.plot, "plot", "", "draw latency and throughput over time to `file`, whose name ends with "+strings.Join(formats, ", "))
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() != 1 {
		return o, errors.New("give one URL, as in https://127.0.0.1:8443, after the flags; -help tells more")
	}
	o.url = flags.Arg(0)
	if o.mix == nil {
		if o.mix, err = load.ParseMix(reads); err != nil {
			return o, err
		}
	}
	return o, first(append(o.amounts(), o.combinations()...))
}

func (o *options) accessFlags(flags *flag.FlagSet) {
	flags.StringVar(&o.user, "user", "", "`name` to log in with, with -password-file")
	flags.StringVar(&o.passwordFile, "password-file", "", "`file` with the password of -user")
	flags.StringVar(&o.tokenFile, "token-file", "", "`file` with a token to log in with, instead of -user")
	flags.StringVar(&o.cert, "cert", "", "client certificate, a PEM `file`, with -key")
	flags.StringVar(&o.key, "key", "", "key of -cert, a PEM `file`")
	flags.StringVar(&o.ca, "ca", "", "PEM `file` of the authorities, or the certificate, to trust the server by (default: the system's)")
	flags.BoolVar(&o.insecure, "insecure", false, "trust any server")
}

func parseSizes(text string) ([]int, error) {
	first, second, _ := strings.Cut(text, ",")
	a, err1 := strconv.Atoi(first)
	b, err2 := strconv.Atoi(second)
	if err1 != nil || err2 != nil || a < 0 || b < 0 {
		return nil, errors.New("must be two sizes, as in 10,12")
	}
	return []int{a, b}, nil
}

// rule is what cannot be, or was not meant, and what to do about it.
type rule struct {
	broken bool
	says   string
}

func first(rules []rule) error {
	for _, r := range rules {
		if r.broken {
			return errors.New(r.says)
		}
	}
	return nil
}

func (o *options) amounts() []rule {
	return []rule{
		{o.connections < 0 || o.pollers < 0, "-connections and -pollers must not be negative"},
		{!(o.rate >= 0 && o.rate <= 1e6), "-rate must be from 0 to 1000000"},
		{o.rate > 0 && o.connections == 0, "-rate needs -connections"},
		{o.connections == 0 && o.pollers == 0, "there is nothing to do: give -connections or -pollers"},
		{min(o.duration, o.timeout, o.pollInterval) <= 0, "-duration, -timeout and -poll-interval must be longer than nothing"},
		{o.plot != "" && !slices.Contains(formats, filepath.Ext(o.plot)), "-plot: the file's name must end with " + strings.Join(formats, ", ")},
	}
}

func (o *options) combinations() []rule {
	resizes := o.mix.Has(load.Resize)
	return []rule{
		{resizes && o.sizes == nil, "resize changes the size of the pool: say between which sizes, as in -resize 10,12"},
		{!resizes && o.sizes != nil, "-resize is for a mix with resize, as in -mix size=99,resize=1"},
		{(o.user == "") != (o.passwordFile == ""), "-user and -password-file must be given together"},
		{o.user != "" && o.tokenFile != "", "-user and -token-file cannot be given together"},
		{(o.cert == "") != (o.key == ""), "-cert and -key must be given together"},
		{o.ca != "" && o.insecure, "-ca and -insecure cannot be given together"},
	}
}
