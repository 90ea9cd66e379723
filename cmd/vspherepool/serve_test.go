package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var readyLine = regexp.MustCompile(`^vspherepool ready url=(https://127\.0\.0\.1:\d+) pool=web simulator=https://127\.0\.0\.1:\d+/sdk$`)

// TestServe is a newcomer's session: serve on the simulator, look, resize, look again, stop.
func TestServe(t *testing.T) {
	p, _, _ := sandbox(t, nil)
	state := filepath.Join(t.TempDir(), "state")
	out, in := io.Pipe()
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stopped := make(chan int, 1)
	go func() {
		defer in.Close()
		server := process{p.getenv, p.stdin, in, &log}
		stopped <- run(ctx, server, "serve", "--simulator", "--listen=127.0.0.1:0", "--simulator-listen=127.0.0.1:0",
			"--simulator-clone-delay=20ms", "--simulator-boot-delay=20ms", "--state-dir="+state)
	}()
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("no ready line; exit code %d, log: %s", <-stopped, &log)
	}
	found := readyLine.FindStringSubmatch(lines.Text())
	if found == nil {
		t.Fatalf("ready line is %q", lines.Text())
	}

	session(t, p, "--server="+found[1], "--ca-file="+filepath.Join(state, "tls-cert.pem"))
	secondServer(t, state)

	cancel()
	if lines.Scan() {
		t.Errorf("second line on standard output: %q", lines.Text())
	}
	if code := <-stopped; code != 0 {
		t.Errorf("exit code %d, log: %s", code, &log)
	}
	if info, err := os.Stat(state); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("state directory is %v, %v", info, err)
	}
}

func session(t *testing.T, p process, server ...string) {
	t.Helper()
	for _, step := range []struct {
		args, want string
		code       int
	}{
		{"resize 3 --wait --timeout 1m", `DESIRED +ALLOCATED +ACTIVE\n3 +3 +3\n`, 0},
		{"machines", `NAME .*\n(web-[0-9a-f]{8} +RUNNING +UNKNOWN +default +10\.\S+ +20.*Z\n){3}$`, 0},
		{"machines -o name", `^(web-[0-9a-f]{8}\n){3}$`, 0},
		{"machines -o json", `"machineState": "RUNNING"`, 0},
		{"size -o yaml", `desiredSize: 3\n`, 0},
		{"status", `pool +web\nconfigured +true\nstarted +true\n`, 0},
		{"resize 0 --wait --timeout 1m", `0 +0 +0\n`, 0},
		{"resize 1 --wait --timeout 1ns", ``, exitTimeout},
	} {
		var stdout, stderr bytes.Buffer
		args := append(strings.Fields(step.args), server...)
		code := run(t.Context(), process{p.getenv, p.stdin, &stdout, &stderr}, args...)
		if code != step.code || !regexp.MustCompile(step.want).MatchString(stdout.String()) {
			t.Errorf("%s: exit code %d, standard output:\n%s\nstandard error: %s", step.args, code, &stdout, &stderr)
		}
	}
}

// secondServer finds the state directory locked, and takes down what it has begun.
func secondServer(t *testing.T, state string) {
	t.Helper()
	p, stdout, stderr := sandbox(t, nil)
	if code := run(t.Context(), p, "serve", "--simulator", "--listen=127.0.0.1:0", "--state-dir="+state); code != exitError {
		t.Errorf("exit code of a second server is %d: %s%s", code, stdout, stderr)
	}
}

func TestServeUnconfigured(t *testing.T) {
	p, _, stderr := sandbox(t, nil)
	out, in := io.Pipe()
	p.stdout = in
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stopped := make(chan int, 1)
	go func() {
		defer in.Close()
		stopped <- run(ctx, p, "serve", "--listen=127.0.0.1:0")
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.Contains(line, "pool=") {
		t.Errorf("ready line is %q, %v", line, err)
	}
	cancel()
	if code := <-stopped; code != 0 {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
