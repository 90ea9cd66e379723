package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"

	"vspherepool/benchmarks/goals"
)

// figure is what one benchmark says in one unit.
type figure struct {
	Benchmark string  `json:"benchmark"`
	Unit      string  `json:"unit"`
	Median    float64 `json:"median"`
	// Min and Max are the samples' spread.
	Min float64 `json:"min"`
	Max float64 `json:"max"`
	// Goal is absent from figures that only inform.
	Goal *goals.Goal `json:"goal,omitempty"`
	Met  bool        `json:"met,omitempty"`
}

// measured is what go test has printed.
type measured struct {
	// said gets a line for each result, and the lines that are none.
	said            func(string)
	goos, arch, cpu string
	failures        []string
	figures         []figure
}

// read takes all of the output in, until its end.
func (m *measured) read(in io.Reader) error {
	log := &testLog{said: m.said}
	results := benchfmt.NewReader(io.TeeReader(in, log), "go test")
	for results.Scan() {
		switch r := results.Result().(type) {
		case *benchfmt.Result:
			m.add(r)
		case *benchfmt.SyntaxError:
			if !log.failed[r.Line] {
				m.failures = append(m.failures, "unreadable "+r.Error())
			}
		}
	}
	if err := results.Err(); err != nil {
		return fmt.Errorf("read benchmarks: %w", err)
	}
	m.failures = append(m.failures, log.failures...)
	switch {
	case log.open:
		m.failures = append(m.failures, "the output ends before the tests do")
	case len(m.figures) == 0 && len(m.failures) == 0:
		return errors.New("read benchmarks: there is no result")
	}
	return nil
}

func (m *measured) add(r *benchfmt.Result) {
	m.goos, m.arch, m.cpu = r.GetConfig("goos"), r.GetConfig("goarch"), r.GetConfig("cpu")
	name := benchmarkName(string(r.Name))
	values := map[string]float64{}
	line := []string{name}
	for _, v := range r.Values {
		unit, value := v.Unit, v.Value
		if v.OrigUnit != "" {
			unit, value = v.OrigUnit, v.OrigValue // as the goals have it: ns, not s
		}
		if math.IsNaN(value) || math.IsInf(value, 0) {
			m.failures = append(m.failures, fmt.Sprintf("%s measured %g %s", name, value, unit))
			continue
		}
		values[unit] = value
	}
	for _, unit := range slices.Sorted(maps.Keys(values)) {
		if f, ok := newFigure(name, unit, values); ok {
			m.figures = append(m.figures, f)
			line = append(line, number(f.Median)+" "+unit)
		}
	}
	m.said(strings.Join(line, "  "))
}

// newFigure is one of a benchmark's values, unless that is part of another's spread, or the time of all the repetitions.
func newFigure(benchmark, unit string, values map[string]float64) (figure, bool) {
	f := figure{Benchmark: benchmark, Unit: unit, Median: values[unit], Min: values[unit], Max: values[unit]}
	if goal, ok := goals.Of(benchmark, unit); ok {
		f.Goal, f.Met = &goal, goal.Met(f.Median)
	} else if spread(unit) || unit == "ns/op" {
		return f, false
	}
	if least, ok := values[unit+goals.SpreadMin]; ok {
		f.Min = least
	}
	if most, ok := values[unit+goals.SpreadMax]; ok {
		f.Max = most
	}
	return f, true
}

func spread(unit string) bool {
	return strings.HasSuffix(unit, goals.SpreadMin) || strings.HasSuffix(unit, goals.SpreadMax)
}

// benchmarkName leaves out the number of processors, which go test adds unless it is one.
func benchmarkName(full string) string {
	dash := strings.LastIndexByte(full, '-')
	if dash < 0 || strings.Trim(full[dash+1:], "0123456789") != "" {
		return full
	}
	if slices.ContainsFunc(goals.Table, func(g goals.Goal) bool { return g.Benchmark == full }) {
		return full
	}
	return full[:dash]
}
