package main

import (
	"bytes"
	"slices"
	"strings"
)

// testLog watches the lines of go test that are no results.
type testLog struct {
	said     func(string)
	rest     []byte
	line     int
	failures []string
	// failed are the lines that tell of a failure.
	failed map[int]bool
	// open is a package whose tests have begun and not ended.
	open bool
}

func (l *testLog) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		end := bytes.IndexByte(l.rest, '\n')
		if end < 0 {
			return len(p), nil
		}
		l.line++
		l.see(string(bytes.TrimSuffix(l.rest[:end], []byte("\r"))))
		l.rest = l.rest[end+1:]
	}
}

func (l *testLog) see(line string) {
	_, failure, found := strings.Cut(line, "--- FAIL: ")
	switch {
	case found:
		l.fail(failure + " failed")
	case strings.HasPrefix(line, "FAIL\t"):
		l.fail(line[len("FAIL\t"):] + " failed")
		l.open = false
	case strings.HasPrefix(line, "pkg: "):
		l.open = true
	case line == "PASS" || line == "FAIL":
		l.open = false
	}
	if found || !resultLike(line) {
		l.said(line)
	}
}

func (l *testLog) fail(what string) {
	if l.failed == nil {
		l.failed = map[int]bool{}
	}
	l.failed[l.line] = true
	l.failures = append(l.failures, what)
}

// resultLike lines are told in another form, or say only where the benchmarks run.
func resultLike(line string) bool {
	word, _, _ := strings.Cut(line, " ")
	return strings.HasPrefix(line, "Benchmark") || slices.Contains([]string{"goos:", "goarch:", "cpu:", "pkg:", "PASS", "FAIL"}, word)
}
