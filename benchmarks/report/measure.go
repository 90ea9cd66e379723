package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// packages are where benchmarks with goals are.
var packages = []string{"./benchmarks", "./actors", "./api"}

// measure runs go test, or reads what it has printed; stamp is how a line of progress begins.
func measure(ctx context.Context, s streams, o options, stamp func(string) string) (*measured, error) {
	raw := io.Discard
	if o.raw != "" {
		file, err := os.Create(o.raw)
		if err != nil {
			return nil, fmt.Errorf("copy output: %w", err)
		}
		defer file.Close()
		raw = file
	}
	m := &measured{said: func(line string) { fmt.Fprintln(s.err, stamp(line)) }}
	switch o.in {
	case "":
		ctx, cancel := context.WithTimeout(ctx, o.timeout)
		defer cancel()
		return m, m.runTests(ctx, s.err, raw, command(o))
	case "-":
		return m, m.read(io.TeeReader(s.in, raw))
	}
	file, err := os.Open(o.in)
	if err != nil {
		return nil, fmt.Errorf("read benchmarks: %w", err)
	}
	defer file.Close()
	return m, m.read(io.TeeReader(file, raw))
}

// command is the go command with its arguments. Each benchmark repeats itself as often as it needs to, so it is asked for once.
func command(o options) []string {
	return append([]string{
		"go", "test", "-run", "^$", "-bench", "^Benchmark(" + strings.Join(o.families(), "|") + ")$",
		"-benchtime", "1x", "-p", "1", "-timeout", o.timeout.String(),
	}, packages...)
}

// runTests ends with all the processes that it has started.
func (m *measured) runTests(ctx context.Context, stderr, raw io.Writer, args []string) error {
	tests := exec.CommandContext(ctx, args[0], args[1:]...)
	tests.Stderr = stderr
	tests.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	tests.Cancel = func() error { return syscall.Kill(-tests.Process.Pid, syscall.SIGTERM) }
	out, err := tests.StdoutPipe()
	if err != nil {
		return fmt.Errorf("run go test: %w", err)
	}
	if err := tests.Start(); err != nil {
		return fmt.Errorf("run go test: %w", err)
	}
	broken := m.read(io.TeeReader(out, raw))
	err = tests.Wait()
	switch {
	case ctx.Err() != nil:
		m.failures = append(m.failures, "go test was ended: "+context.Cause(ctx).Error())
	case err != nil && len(m.failures) == 0: // or else its output says more
		m.failures = append(m.failures, "go test: "+err.Error())
	}
	return broken
}
