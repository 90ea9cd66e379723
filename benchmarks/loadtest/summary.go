package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"vspherepool/benchmarks/load"
)

// tell shows the last second: on a terminal in one line, which is written again and again.
func tell(s streams, p load.Progress) {
	line := fmt.Sprintf("%4.0fs  %s", p.Elapsed.Seconds(), second("requests", p.Requests))
	if p.Polls.Count > 0 {
		line += "  " + second("polls", p.Polls)
	}
	line += fmt.Sprintf("  %d in flight", p.InFlight)
	if s.terminal {
		fmt.Fprintf(s.err, "\r\x1b[K%s", line)
		return
	}
	fmt.Fprintln(s.err, line)
}

func second(what string, p load.Point) string {
	return fmt.Sprintf("%d %s/s  p50 %s  p99 %s  %d errors", p.Count, what, milliseconds(p.P50), milliseconds(p.P99), p.Errors)
}

// milliseconds have three digits, as the histograms.
func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms >= 100:
		return fmt.Sprintf("%.0fms", ms)
	case ms >= 10:
		return fmt.Sprintf("%.1fms", ms)
	default:
		return fmt.Sprintf("%.2fms", ms)
	}
}

// summary is the result as a person reads it.
func summary(o options, r load.Result) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s for %s: %s\n\n", o.url, r.Sent.Round(100*time.Millisecond), manner(r))
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "OPERATION\tCOUNT\tRATE\tERRORS\tBYTES\tMIN\tP50\tP90\tP99\tP99.9\tMAX\t  ANSWERS")
	streams := []load.Stream{r.Requests}
	if r.Polls != nil {
		streams = append(streams, *r.Polls)
	}
	for _, s := range streams {
		for _, op := range s.Operations {
			fmt.Fprintln(table, strings.Join(cells(op), "\t"))
		}
	}
	_ = table.Flush() // a string takes all
	fmt.Fprintln(&out)
	for i, s := range streams {
		out.WriteString(remarks([]string{"requests", "polls"}[i], s))
	}
	return out.String()
}

func manner(r load.Result) string {
	var parts []string
	switch {
	case r.Workers > 0 && r.Rate > 0:
		parts = append(parts, fmt.Sprintf("open loop, %g requests/s on at most %d connections, latency from when due", r.Rate, r.Workers))
	case r.Workers > 0:
		parts = append(parts, fmt.Sprintf("closed loop, %d connections", r.Workers))
	}
	if r.Pollers > 0 {
		parts = append(parts, fmt.Sprintf("%d pollers, each every %s", r.Pollers, r.PollInterval))
	}
	return strings.Join(parts, "; ")
}

func cells(op load.Operation) []string {
	l := op.Latency
	row := []string{op.Name, fmt.Sprint(op.Count), fmt.Sprintf("%.1f/s", op.Rate), fmt.Sprint(op.Errors), fmt.Sprint(op.Bytes)}
	for _, d := range []time.Duration{l.Min, l.P50, l.P90, l.P99, l.P999, l.Max} {
		row = append(row, milliseconds(d))
	}
	var answers []string
	for _, answer := range slices.Sorted(maps.Keys(op.Answers)) {
		answers = append(answers, fmt.Sprintf("%s: %d", answer, op.Answers[answer]))
	}
	return append(row, "  "+strings.Join(answers, ", "))
}

// remarks are what the latencies do not tell.
func remarks(what string, s load.Stream) (text string) {
	failed := int64(0)
	for _, op := range s.Operations {
		failed += op.Errors
	}
	if failed > 0 {
		text += fmt.Sprintf("%d %s failed; the latencies include how long that took\n", failed, what)
	}
	if s.Late > 0 {
		text += fmt.Sprintf("%d of %d %s were sent 10 ms or more after they were due; their latencies include the delay\n", s.Late, s.Sent, what)
	}
	if s.Unsent > 0 {
		text += fmt.Sprintf("%d %s were due and never sent, because all connections waited; the latencies do not show them\n", s.Unsent, what)
	}
	return text
}

// document is the result as a program reads it.
type document struct {
	URL string   `json:"url"`
	Mix load.Mix `json:"mix"`
	load.Result
}

func save(file string, d document) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}
