package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"vspherepool/benchmarks/goals"
)

// record is a result with where it is from: figures of other machines, or of other commits, are to be compared with care.
type record struct {
	Commit string `json:"commit"`
	// Dirty is a tree with changes that Commit does not have.
	Dirty    bool      `json:"dirty"`
	Date     time.Time `json:"date"`
	CPU      string    `json:"cpu"`
	Cores    int       `json:"cores"`
	GOOS     string    `json:"goos"`
	GOARCH   string    `json:"goarch"`
	Go       string    `json:"go"`
	Failures []string  `json:"failures,omitempty"`
	Figures  []figure  `json:"figures"`
}

// record says where the figures are from: the machine and the tree that the report runs in.
func (m *measured) record(ctx context.Context, date time.Time) record {
	r := record{
		Date: date.UTC().Truncate(time.Second), CPU: m.cpu, Cores: runtime.NumCPU(), GOOS: m.goos, GOARCH: m.arch, Go: runtime.Version(),
		Failures: m.failures, Figures: m.figures,
	}
	r.Commit = git(ctx, "rev-parse", "--short=12", "HEAD")
	r.Dirty = git(ctx, "status", "--porcelain") != ""
	return r
}

// git is empty where there is no repository: a result without its commit is still one.
func git(ctx context.Context, args ...string) string {
	out, err := exec.CommandContext(context.WithoutCancel(ctx), "git", args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func (r record) String() string {
	commit := r.Commit
	if commit == "" {
		commit = "no commit"
	}
	if r.Dirty {
		commit += " with changes"
	}
	return fmt.Sprintf("%s, %s, %s, %d cores, %s/%s, %s", commit, r.Date.Format(time.RFC3339), r.CPU, r.Cores, r.GOOS, r.GOARCH, r.Go)
}

// find looks for a figure.
func (r record) find(benchmark, unit string) (figure, bool) {
	for _, f := range r.Figures {
		if f.Benchmark == benchmark && f.Unit == unit {
			return f, true
		}
	}
	return figure{}, false
}

// missing are the goals that nothing was measured for.
func (r record) missing() (names []string) {
	for _, g := range goals.Table {
		if _, ok := r.find(g.Benchmark, g.Unit); !ok {
			names = append(names, g.Benchmark+" "+g.Unit)
		}
	}
	return names
}

// verdict is an error that tells of all failures and of the firm goals that were missed.
func (r record) verdict() error {
	var all []error
	for _, failure := range r.Failures {
		all = append(all, errors.New(failure))
	}
	for _, f := range r.Figures {
		if f.Goal != nil && f.Goal.Firm && !f.Met {
			all = append(all, fmt.Errorf("%s: %s %s, and must be %s", f.Benchmark, number(f.Median), f.Unit, f.Goal))
		}
	}
	return errors.Join(all...)
}

// load returns an error that is os.ErrNotExist where nothing was saved.
func load(file string) (record, error) {
	var r record
	text, err := os.ReadFile(file)
	if err != nil {
		return r, fmt.Errorf("read result: %w", err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("read result: %s: %w", file, err)
	}
	return r, nil
}

func (r record) save(file string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}
