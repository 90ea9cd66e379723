package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"vspherepool/benchmarks/goals"
)

// families are the benchmarks with goals, by the first part of their names, which go test selects them by.
func families() (names []string) {
	for _, g := range goals.Table {
		if !slices.Contains(names, family(g.Benchmark)) {
			names = append(names, family(g.Benchmark))
		}
	}
	return names
}

func family(benchmark string) string {
	name, _, _ := strings.Cut(benchmark, "/")
	return name
}

// row is a line of the table.
type row struct {
	figure
	measured bool
}

// rows are the goals of the families, each benchmark's with the other figures that it has, and what else was measured.
func (r record) rows(of []string) (all []row) {
	table := promised(of)
	for i, g := range table {
		f, ok := r.find(g.Benchmark, g.Unit)
		f.Benchmark, f.Unit, f.Goal = g.Benchmark, g.Unit, &g
		all = append(all, row{f, ok})
		rest := table[i+1:]
		if !slices.ContainsFunc(rest, func(o goals.Goal) bool { return o.Benchmark == g.Benchmark }) {
			all = append(all, r.others(func(f figure) bool { return f.Benchmark == g.Benchmark })...)
		}
		if !slices.ContainsFunc(rest, func(o goals.Goal) bool { return family(o.Benchmark) == family(g.Benchmark) }) {
			all = append(all, r.others(func(f figure) bool { return family(f.Benchmark) == family(g.Benchmark) && !hasGoal(f.Benchmark) })...)
		}
	}
	return append(all, r.others(func(f figure) bool { return !slices.Contains(of, family(f.Benchmark)) })...)
}

// promised are the goals of the families.
func promised(of []string) (some []goals.Goal) {
	for _, g := range goals.Table {
		if slices.Contains(of, family(g.Benchmark)) {
			some = append(some, g)
		}
	}
	return some
}

func hasGoal(benchmark string) bool {
	return slices.ContainsFunc(goals.Table, func(g goals.Goal) bool { return g.Benchmark == benchmark })
}

// others are the figures without goals that are wanted.
func (r record) others(wanted func(figure) bool) (all []row) {
	for _, f := range r.Figures {
		if _, ok := goals.Of(f.Benchmark, f.Unit); !ok && wanted(f) {
			all = append(all, row{f, true})
		}
	}
	return all
}

// print writes the table of the families, and below it a line on each of the two results in it.
func (r record) print(out io.Writer, of []string, accepted record) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "BENCHMARK\tUNIT\tMEDIAN\tSPREAD\tGOAL\tRESULT\tACCEPTED\tWHAT")
	counts := map[string]int{}
	for _, row := range r.rows(of) {
		old := "-"
		if f, ok := accepted.find(row.Benchmark, row.Unit); ok {
			old = number(f.Median)
		}
		goal, text := "-", "-"
		if row.Goal != nil {
			goal, text = string(row.Goal.Bound)+" "+number(row.Goal.Limit), row.Goal.Text
			counts[row.result()]++
		}
		median, spread := row.numbers()
		fmt.Fprintln(table, strings.Join([]string{row.Benchmark, row.Unit, median, spread, goal, row.result(), old, text}, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	off := counts[missed] + counts[missedFirm]
	fmt.Fprintf(out, "\n%d goals: %d met, %d missed, %d not measured\n", len(promised(of)), counts[met], off, counts[unknown])
	fmt.Fprintf(out, "measured: %s\n", r)
	if accepted.Figures != nil {
		fmt.Fprintf(out, "accepted: %s\n", accepted)
	}
	return nil
}

// The results.
const (
	met        = "met"
	missed     = "missed"
	missedFirm = "MISSED, firm"
	unknown    = "not measured"
)

func (r row) result() string {
	switch {
	case !r.measured:
		return unknown
	case r.Goal == nil:
		return "-"
	case r.Met:
		return met
	case r.Goal.Firm:
		return missedFirm
	default:
		return missed
	}
}

func (r row) numbers() (median, spread string) {
	if !r.measured {
		return "-", "-"
	}
	if r.Min == r.Max {
		return number(r.Median), "-"
	}
	return number(r.Median), number(r.Min) + ".." + number(r.Max)
}

// number has three digits, and all those before the point.
func number(f float64) string {
	if math.Abs(f) >= 100 {
		return strconv.FormatFloat(math.Round(f), 'f', -1, 64)
	}
	return strconv.FormatFloat(f, 'g', 3, 64)
}
