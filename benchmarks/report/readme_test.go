package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"vspherepool/benchmarks/goals"
)

//go:generate go test -run ^TestPerformance$ . -update

const readme = "../../README.md"

// TestPerformance makes the README's table of the accepted result and compares.
func TestPerformance(t *testing.T) {
	accepted, err := load("../testdata/baseline.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := accepted.verdict(); err != nil {
		t.Errorf("the accepted result misses what is promised: %v", err)
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	const start, end = "<!-- performance: written by make generate -->\n", "<!-- end -->"
	before, rest, found := strings.Cut(string(text), start)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatal("the README has no part for it")
	}
	want := before + start + markdown(accepted) + end + after
	switch {
	case *update:
		if err := os.WriteFile(readme, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	case want != string(text):
		t.Error("README.md is out of date: run make generate")
	}
}

// markdown is the goals, each with what was measured.
func markdown(r record) string {
	var b strings.Builder
	b.WriteString("| what | measured | goal |\n|---|---|---|\n")
	for _, row := range r.rows(families()) {
		if row.Goal == nil {
			continue
		}
		median, spread := row.numbers()
		if spread != "-" {
			median += " (" + strings.Replace(spread, "..", " to ", 1) + ")"
		}
		fmt.Fprintf(&b, "| %s | %s | %s %s%s |\n", row.Goal.Text, median, row.Goal, row.Unit, firmly(*row.Goal))
	}
	fmt.Fprintf(&b, "\nMeasured on %s.\n", r)
	return b.String()
}

func firmly(g goals.Goal) string {
	if g.Firm {
		return ", firm"
	}
	return ""
}
