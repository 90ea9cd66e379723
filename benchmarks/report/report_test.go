package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"vspherepool/benchmarks/goals"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// promise replaces the goals, which change, until the test's end.
func promise(t *testing.T) {
	t.Helper()
	old := goals.Table
	t.Cleanup(func() { goals.Table = old })
	goals.Table = []goals.Goal{
		{Benchmark: "Reads/size", Unit: "x-floor", Bound: goals.AtLeast, Limit: 0.9, Text: "the size"},
		{Benchmark: "Reads/pool-10", Unit: "x-floor", Bound: goals.AtLeast, Limit: 0.95, Text: "ten members"},
		{Benchmark: "Converge/calls", Unit: "calls/machine", Bound: goals.AtMost, Limit: 4, Firm: true, Text: "the calls"},
		{Benchmark: "Converge/steady", Unit: "calls/min", Bound: goals.AtMost, Limit: 10, Firm: true, Text: "the calls at rest"},
		{Benchmark: "Costs/plan", Unit: "ns/plan", Bound: goals.AtMost, Limit: 5e6, Text: "a plan"},
	}
}

func read(t *testing.T, output string) *measured {
	t.Helper()
	m := &measured{said: func(string) {}}
	if err := m.read(strings.NewReader(output)); err != nil {
		t.Fatal(err)
	}
	return m
}

func sample(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("testdata/all.txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// dated has nothing of the machine that the test runs on.
func dated(m *measured) record {
	return record{
		Commit: "0123456789ab", Dirty: true, Date: time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC), CPU: m.cpu, Cores: 2,
		GOOS: m.goos, GOARCH: m.arch, Go: "go1.26.0", Failures: m.failures, Figures: m.figures,
	}
}

func TestTable(t *testing.T) {
	promise(t)
	accepted := record{Commit: "ba0987654321", CPU: "Old CPU", Cores: 4, Figures: []figure{
		{Benchmark: "Reads/size", Unit: "x-floor", Median: 0.91},
		{Benchmark: "Converge/steady", Unit: "calls/min", Median: 7},
	}}
	var out bytes.Buffer
	if err := dated(read(t, sample(t))).print(&out, families(), accepted); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/table.golden", out.Bytes())
}

// Who asks for a part does not hear of the rest.
func TestPart(t *testing.T) {
	promise(t)
	var out bytes.Buffer
	r := dated(read(t, "BenchmarkCosts/plan-2 1 5e6 ns/plan\nBenchmarkCosts/other-2 1 1 x\nPASS\n"))
	if err := r.print(&out, []string{"Costs"}, record{}); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	counts := strings.Contains(text, "\n1 goals: 1 met, 0 missed, 0 not measured\n")
	if strings.Contains(text, "Reads") || !strings.Contains(text, "Costs/other") || !counts {
		t.Error(text)
	}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; go test -update writes it anew:\n%s", file, got)
	}
}

func TestFigures(t *testing.T) {
	promise(t)
	r := dated(read(t, sample(t)))
	for _, c := range []struct {
		benchmark, unit  string
		median, min, max float64
		goal, met        bool
	}{
		{"Reads/size", "x-floor", 0.9321, 0.9101, 0.9511, true, true},
		{"Reads/pool-10", "x-floor", 0.8444, 0.8401, 0.8511, true, false},
		{"Reads/pool-10", "p99-ms", 112.4, 112.4, 112.4, false, false},
		{"Reads/writes", "req/s", 1234.5, 1234.5, 1234.5, false, false},
		{"Converge/calls", "calls/machine", 3.75, 3.75, 3.75, true, true},
		{"Costs/plan", "ns/plan", 4.5e6, 4.4e6, 5.1e6, true, true},
	} {
		f, ok := r.find(c.benchmark, c.unit)
		if !ok || f.Median != c.median || f.Min != c.min || f.Max != c.max || (f.Goal != nil) != c.goal || f.Met != c.met {
			t.Errorf("%s %s: %+v", c.benchmark, c.unit, f)
		}
	}
	if len(r.Figures) != 6 {
		t.Errorf("%d figures: %+v", len(r.Figures), r.Figures)
	}
	if missing := r.missing(); len(missing) != 1 || missing[0] != "Converge/steady calls/min" {
		t.Errorf("missing: %v", missing)
	}
	if err := r.verdict(); err != nil {
		t.Errorf("noisy goals only are missed, and yet: %v", err)
	}
}

func TestFailures(t *testing.T) {
	promise(t)
	const head, end = "pkg: p\nBenchmarkReads/size-2 1 1 x-floor\n", "PASS\nok  \tp\t1s\n"
	for name, c := range map[string]struct{ output, want string }{
		"a firm goal":        {"BenchmarkConverge/calls-2 1 4.1 calls/machine\n" + end, "Converge/calls: 4.1 calls/machine, and must be ≤ 4"},
		"failed at first":    {head + "--- FAIL: BenchmarkReads/pool-10\n    no\nFAIL\nFAIL\tp\t1s\n", "BenchmarkReads/pool-10 failed"},
		"failed later":       {head + "BenchmarkCosts-2   \t--- FAIL: BenchmarkCosts-2\nFAIL\nFAIL\tp\t1s\n", "BenchmarkCosts-2 failed"},
		"does not build":     {"FAIL\tvspherepool/actors [build failed]\nFAIL\n", "vspherepool/actors [build failed] failed"},
		"an unreadable line": {head + "BenchmarkCosts/plan-2  \t2026/11/23 a log line\n" + end, "unreadable go test:3: parsing iteration count"},
		"a panic":            {head + "BenchmarkCosts-2 \tpanic: test timed out\n\nFAIL\tp\t600s\n", "p\t600s failed"},
		"no number":          {"pkg: p\nBenchmarkReads/size-2 1 NaN x-floor\n" + end, "Reads/size measured NaN x-floor"},
		"cut off":            {head, "the output ends before the tests do"},
	} {
		err := dated(read(t, c.output)).verdict()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := dated(read(t, head+"BenchmarkCosts-2   \t--- FAIL: BenchmarkCosts-2\nFAIL\nFAIL\tp\t1s\n")).verdict()
	if strings.Contains(err.Error(), "unreadable") {
		t.Errorf("one failure is told twice: %v", err)
	}
	if err := dated(read(t, head+end)).verdict(); err != nil {
		t.Errorf("nothing failed, and yet: %v", err)
	}
}

func TestNoResult(t *testing.T) {
	m := &measured{said: func(string) {}}
	if err := m.read(strings.NewReader("PASS\nok  \tp\t1s\n")); err == nil {
		t.Error("no result is none")
	}
}

func TestBenchmarkName(t *testing.T) {
	promise(t)
	for full, want := range map[string]string{
		"Reads/size": "Reads/size", "Reads/size-2": "Reads/size", "Reads/pool-10-2": "Reads/pool-10", "Reads/pool-10": "Reads/pool-10",
		"Reads/pool-gzip-16": "Reads/pool-gzip", "Reads/pool-gzip": "Reads/pool-gzip", "Reads": "Reads",
	} {
		if got := benchmarkName(full); got != want {
			t.Errorf("%s: %s", full, got)
		}
	}
}

func TestNumber(t *testing.T) {
	for f, want := range map[float64]string{
		0.93214: "0.932", 1: "1", 12.345: "12.3", 99.96: "100", 112.4: "112", 999.7: "1000", 4.5e6: "4500000", 0: "0", -1234.5: "-1235",
	} {
		if got := number(f); got != want {
			t.Errorf("%g: %s", f, got)
		}
	}
}

// The lines that are no results are told as they are, so that one who waits sees what happens.
func TestProgress(t *testing.T) {
	promise(t)
	var said []string
	m := &measured{said: func(line string) { said = append(said, line) }}
	if err := m.read(strings.NewReader(sample(t))); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(said, "\n")
	for _, want := range []string{
		"Reads/size  0.932 x-floor", "Reads/pool-10  112 p99-ms  0.844 x-floor", "a remark", "ok  \tvspherepool/actors",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in\n%s", want, all)
		}
	}
	if strings.Contains(all, "cpu:") || strings.Contains(all, "x-floor-min") {
		t.Errorf("too much is in\n%s", all)
	}
}

func call(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = run(t.Context(), streams{strings.NewReader(stdin), &out, &err}, args...)
	return status, out.String(), err.String()
}

func TestRun(t *testing.T) {
	promise(t)
	dir := t.TempDir()
	last, raw, base := filepath.Join(dir, "new", "last.json"), filepath.Join(dir, "last.txt"), filepath.Join(dir, "testdata", "base.json")
	status, out, _ := call(t, sample(t), "-in", "-", "-json", last, "-raw", raw, "-baseline", base)
	if status != fine || !strings.Contains(out, "5 goals: 3 met, 1 missed, 1 not measured") {
		t.Fatalf("%d: %s", status, out)
	}
	if copied, err := os.ReadFile(raw); err != nil || string(copied) != sample(t) {
		t.Errorf("copied: %v", err)
	}
	r, err := load(last)
	if err != nil || len(r.Figures) != 6 || r.Cores < 1 || r.Go == "" || r.Date.IsZero() || r.CPU != "Test CPU @ 2.00GHz" {
		t.Errorf("%+v, %v", r, err)
	}
	if status, _, err := call(t, "", "-accept", "-json", last, "-baseline", base); status != failed || !strings.Contains(err, "/steady") {
		t.Errorf("a part of the goals: %d %s", status, err)
	}
	rest := "pkg: p\nBenchmarkConverge/steady-2 1 6 calls/min\nPASS\n"
	if status, _, err := call(t, sample(t)+rest, "-in", "-", "-json", last, "-baseline", base); status != fine {
		t.Fatalf("%d %s", status, err)
	}
	if status, out, err := call(t, "", "-accept", "-json", last, "-baseline", base); status != fine || !strings.HasPrefix(out, "accepted: ") {
		t.Errorf("%d %s %s", status, out, err)
	}
	status, out, _ = call(t, "", "-in", raw, "-baseline", base)
	if status != fine || strings.Count(out, "0.932") != 2 || !strings.Contains(out, "\naccepted: ") {
		t.Errorf("%d: %s", status, out)
	}
}

func TestAcceptRefuses(t *testing.T) {
	promise(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "last.json")
	if status, _, err := call(t, "", "-accept", "-json", file); status != failed || !strings.Contains(err, "make bench writes one") {
		t.Errorf("nothing to accept: %d %s", status, err)
	}
	bad := record{Failures: []string{"Reads failed"}}
	if err := bad.save(file); err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(dir, "base.json")
	if status, _, err := call(t, "", "-accept", "-json", file, "-baseline", base); status != failed || !strings.Contains(err, "Reads failed") {
		t.Errorf("a failure: %d %s", status, err)
	}
	if _, err := os.Stat(base); err == nil {
		t.Error("it was accepted")
	}
}

func TestMisuse(t *testing.T) {
	promise(t)
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"-accept"}, misuse, "-json"},
		{[]string{"Raeds"}, misuse, "those that have: Reads Converge Costs"},
		{[]string{"-in", "-", "Reads"}, misuse, "leave them out"},
		{[]string{"-nonsense"}, misuse, "not defined"},
		{[]string{"-help"}, fine, "Usage: go run"},
		{[]string{"-in", "/no/such/file"}, failed, "no such file"},
		{[]string{"-in", "-", "-baseline", broken}, failed, "broken.json"},
		{[]string{"-in", "-", "-raw", "/no/such/dir/file"}, failed, "copy output"},
		{[]string{"-in", "-"}, failed, "there is no result"},
	} {
		if status, _, err := call(t, "", c.args...); status != c.status || !strings.Contains(err, c.says) {
			t.Errorf("%v: %d %s", c.args, status, err)
		}
	}
}

func TestCommand(t *testing.T) {
	promise(t)
	got := strings.Join(command(options{timeout: time.Minute}), " ")
	want := "go test -run ^$ -bench ^Benchmark(Reads|Converge|Costs)$ -benchtime 1x -p 1 -timeout 1m0s ./benchmarks ./actors ./api"
	if got != want {
		t.Error(got)
	}
	if got := strings.Join(command(options{names: []string{"Costs"}}), " "); !strings.Contains(got, "^Benchmark(Costs)$") {
		t.Error(got)
	}
}

// A command that fails, or takes too long, is a failure even if its output tells nothing of it.
func TestRunTests(t *testing.T) {
	promise(t)
	for name, c := range map[string]struct {
		script, want string
		// end interrupts it when all that is read.
		end bool
	}{
		"fails":          {"cat testdata/all.txt; exit 3", "go test: exit status 3", false},
		"is interrupted": {"cat testdata/all.txt; sleep 60 & wait", "go test was ended: context canceled", true},
		"works":          {"cat testdata/all.txt", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			m := &measured{said: func(line string) {
				if c.end && strings.Contains(line, "vspherepool/api") {
					cancel()
				}
			}}
			var raw bytes.Buffer
			if err := m.runTests(ctx, os.Stderr, &raw, []string{"sh", "-c", c.script}); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(m.failures, "\n"); got != c.want {
				t.Errorf("failures: %q", got)
			}
			if raw.String() != sample(t) || len(m.figures) != 6 {
				t.Errorf("%d figures, %d bytes", len(m.figures), raw.Len())
			}
		})
	}
	m := &measured{}
	if err := m.runTests(t.Context(), os.Stderr, os.Stderr, []string{"/no/such/program"}); err == nil {
		t.Error("a program that does not exist has run")
	}
}

func FuzzRead(f *testing.F) {
	f.Add("pkg: p\nBenchmarkReads/size-2 1 1 x-floor 2 x-floor-max\nPASS\n")
	f.Add("BenchmarkA-2 \t--- FAIL: BenchmarkA-2\nFAIL\tp\t1s\nUnit x a=b\n")
	f.Fuzz(func(t *testing.T, output string) {
		m := &measured{said: func(string) {}}
		if m.read(strings.NewReader(output)) != nil {
			return
		}
		r := dated(m)
		if err := r.print(&bytes.Buffer{}, families(), r); err != nil {
			t.Error(err)
		}
		if len(r.Figures) == 0 && len(r.Failures) == 0 {
			t.Error("neither a figure nor a failure")
		}
		if _, err := json.Marshal(r); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	})
}
