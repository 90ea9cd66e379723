package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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

	certificate := filepath.Join(state, "tls-cert.pem")
	server := []string{"--server=" + found[1], "--ca-file=" + certificate}
	session(t, p, server...)
	leaveAndReturn(t, p, server...)
	scrape(t, p, found[1], certificate)
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
		{"machines", `NAME .*\n(web-[0-9a-f]{8} +RUNNING +UNKNOWN +default +10\.\S+ +20.*Z +[0-9a-f]{8}\n){3}$`, 0},
		{"machines -o wide", `-4[0-9a-f]{3}-`, 0},
		{"machines -o name", `^(web-[0-9a-f]{8}\n){3}$`, 0},
		{"machines -o json", `"machineState": "RUNNING"`, 0},
		{"size -o yaml", `desiredSize: 3\n`, 0},
		{"status", `pool +web\nconfigured +true\nstarted +true\n$`, 0},
		{"freeze --reason testing", `frozen +true\nreason +.*testing.*\n`, 0},
		{"status", `frozen +.*testing`, 0},
		{"rails", `RAIL .*\n(.*\n)*churn +\d+ +0 +false +-\n`, 0},
		{"thaw", `^frozen +false\n$`, 0},
		{"config show", `  password: '\*{8}'\n(.*\n)*name: web\n`, 0},
		{"config show -o json", `^\{\n  "`, 0},
		{"config show -o name", `^web\n$`, 0},
		{"orphans", `^NAME +VM +MACHINE +STATE +AGE +REASON\n$`, 0},
		{"terminate nobody --yes", ``, exitNotFound},
		{"detach nobody", ``, exitNotFound},
		{"attach /DC0/vm/nobody", ``, exitNotFound},
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

// leaveAndReturn has a machine let go, taken in again, and terminated.
func leaveAndReturn(t *testing.T, p process, server ...string) {
	t.Helper()
	step := func(want, args string) []byte {
		t.Helper()
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), process{p.getenv, p.stdin, &stdout, &stderr}, append(strings.Fields(args), server...)...)
		if code != 0 || !regexp.MustCompile(want).MatchString(stdout.String()) {
			t.Fatalf("%s: exit code %d, standard output:\n%s\nstandard error: %s", args, code, &stdout, &stderr)
		}
		return stdout.Bytes()
	}
	step(`\n1 +1 +1\n`, "resize 1 --wait --timeout 1m")
	var pool poolDocument
	if err := json.Unmarshal(step(`RUNNING`, "machines -o json"), &pool); err != nil {
		t.Fatal(err)
	}
	running := slices.IndexFunc(pool.Machines, func(m machineDocument) bool { return m.MachineState == "RUNNING" })
	m := pool.Machines[running]
	step(`\n0 +0 +0\n`, "detach --decrement "+m.Metadata.Name)
	step(`\n1 +1 +1\n`, "attach "+m.ID)
	step(`\n0 +0 +0\n`, "terminate --decrement --yes --wait --timeout 1m "+m.ID[:shortestID])
}

// scrape reads the metrics as Prometheus would.
func scrape(t *testing.T, p process, url, certificate string) {
	t.Helper()
	c, err := newClient(&clientOptions{server: url, caFile: certificate}, p.getenv)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	text, err := c.call(t.Context(), http.MethodGet, "/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`vspherepool_machines{state="RUNNING"} 0`, `vspherepool_outage 0`, `vspherepool_started 1`, `vspherepool_rail_limit{rail="deletes"} 8`,
		`vspherepool_http_requests_total{code="2xx",method="POST",route="/pool/attach"} 1`, `go_threads `, `process_open_fds `,
	} {
		if !bytes.Contains(text, []byte("\n"+line)) {
			t.Errorf("there is no metric %s", line)
		}
	}
	if regexp.MustCompile(`vspherepool_machines_requested_total\{cause="growth"\} [0-3]\n`).Match(text) {
		t.Errorf("not all requests are counted:\n%s", text)
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
