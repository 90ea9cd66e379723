package main

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestNotify is systemd for one life of the server.
func TestNotify(t *testing.T) {
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", socket.LocalAddr().String())
	t.Setenv("WATCHDOG_USEC", "20000")
	p, stdout, stderr := sandbox(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stopped := make(chan int, 1)
	go func() { stopped <- run(ctx, p, "serve", "--simulator", "--listen=127.0.0.1:0") }()

	got := told(t, socket)
	if !strings.HasPrefix(got, "READY=1\nSTATUS=ready url=https://127.0.0.1:") || !strings.HasSuffix(got, " pool=web") {
		t.Errorf("first told %q", got)
	}
	if got := told(t, socket); got != "WATCHDOG=1" {
		t.Errorf("then told %q", got)
	}
	cancel()
	got = told(t, socket)
	for got == "WATCHDOG=1" {
		got = told(t, socket)
	}
	if got != "STOPPING=1" {
		t.Errorf("at last told %q", got)
	}
	if code := <-stopped; code != 0 || strings.Count(stdout.String(), "\n") != 1 {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
}

func told(t *testing.T, socket *net.UnixConn) string {
	t.Helper()
	if err := socket.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 4096)
	n, err := socket.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(text[:n])
}

func TestStateDirectoryOfSystemd(t *testing.T) {
	for name, row := range map[string]struct{ value, want string }{
		"one":      {"/var/lib/a", "/var/lib/a"},
		"several":  {"/var/lib/a:/var/lib/b", "/var/lib/a"},
		"relative": {"a", "/home/state/vspherepool"},
		"none":     {"", "/home/state/vspherepool"},
	} {
		getenv := func(key string) string {
			return map[string]string{"STATE_DIRECTORY": row.value, "XDG_STATE_HOME": "/home/state"}[key]
		}
		if got, err := defaultStateDir(getenv); err != nil || got != row.want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}
