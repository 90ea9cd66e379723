package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain tolerates what fasthttp never ends (the clock of its Date headers), and what ends only later (the cleaner of a worker pool
// sleeps for ten seconds before it looks whether its pool was stopped; the actor system counts late messages for a second).
func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		main()
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/asynkron/protoactor-go/actor.NewDeadLetter.NewThrottle.func4.1"))
}

// sandbox is a process whose environment is a map and whose state is a temporary directory.
func sandbox(t *testing.T, env map[string]string) (p process, stdout, stderr *bytes.Buffer) {
	t.Helper()
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	state := t.TempDir()
	getenv := func(name string) string {
		if name == "XDG_STATE_HOME" {
			return state
		}
		return env[name]
	}
	return process{getenv, strings.NewReader(""), stdout, stderr}, stdout, stderr
}

func TestExitCodes(t *testing.T) {
	invalid := t.TempDir() + "/invalid.yaml"
	if err := os.WriteFile(invalid, []byte("name: web\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		args, env string
		code      int
		// says is part of what is written to standard error.
		says string
	}{
		"version":             {"version", "", 0, ""},
		"help":                {"", "", 0, ""},
		"completion":          {"completion bash", "", 0, ""},
		"schema":              {"config schema", "", 0, ""},
		"unknown command":     {"resise 3", "", exitUsage, "unknown command"},
		"unknown subcommand":  {"config chek", "", exitUsage, "unknown command"},
		"unknown flag":        {"serve --sim", "", exitUsage, "unknown flag"},
		"too many arguments":  {"status now", "", exitUsage, ""},
		"bad duration":        {"serve --simulator-boot-delay 3", "", exitUsage, "--simulator-boot-delay"},
		"negative duration":   {"serve --simulator-boot-delay -3s", "", exitUsage, "must not be negative"},
		"bad environment":     {"serve", "VSPHEREPOOL_LOG_LEVEL=loud", exitUsage, "VSPHEREPOOL_LOG_LEVEL must be one of"},
		"flag wins":           {"serve --log-level info --listen nowhere", "VSPHEREPOOL_LOG_LEVEL=loud", exitUsage, "--listen must be"},
		"open to the world":   {"serve --listen 0.0.0.0:0", "", exitUsage, "--client-ca"},
		"world without users": {"serve --listen 0.0.0.0:0", "", exitUsage, "--users"},
		"world, self-signed":  {"serve --listen 0.0.0.0:0 --client-ca ca.pem", "", exitUsage, "--tls-cert"},
		"world, users only":   {"serve --listen [::]:0 --users users", "", exitUsage, "--tls-cert"},
		"odd client auth":     {"serve --client-auth maybe", "", exitUsage, "must be require or request"},
		"optional, no users":  {"serve --client-ca ca.pem --client-auth request", "", exitUsage, "needs both"},
		"optional, no CA":     {"serve --users users --client-auth request", "", exitUsage, "needs both"},
		"odd client role":     {"serve --client-ca ca.pem --client-role king", "", exitUsage, "must be one of nobody"},
		"role without CA":     {"serve --client-role viewer", "", exitUsage, "needs --client-ca"},
		"no such users":       {"serve --listen 127.0.0.1:0 --users /nowhere/users", "", exitError, "/nowhere/users"},
		"half a key pair":     {"serve --tls-cert cert.pem", "", exitUsage, "--tls-key"},
		"open simulator":      {"serve --simulator --simulator-listen 0.0.0.0:0", "", exitUsage, "loopback"},
		"simulator is off":    {"serve --simulator-listen 127.0.0.1:0", "", exitUsage, "needs --simulator"},
		"no such config":      {"serve --listen 127.0.0.1:0 --config /nowhere.yaml", "", exitError, "read configuration"},
		"invalid config":      {"serve --listen 127.0.0.1:0 --config " + invalid, "", exitError, "cloudApiSettings.url: is required"},
		"no such certificate": {"serve --listen 127.0.0.1:0 --tls-cert /no.pem --tls-key /no.pem", "", exitError, "/no.pem"},
		"check finds":         {"config check " + invalid, "", exitError, invalid + ": provisioningTemplate.folder: is required\n"},
		"check nothing":       {"config check /nowhere.yaml", "", exitError, "nowhere"},
		"not a size":          {"resize three", "", exitUsage, "three"},
		"negative size":       {"resize -- -3", "", exitUsage, "0 or more"},
		"bad output":          {"size -o xml", "", exitUsage, "--output must be one of"},
		"plain http":          {"size --server http://127.0.0.1", "", exitUsage, "--server must be"},
		"no server":           {"size", "VSPHEREPOOL_SERVER=https://127.0.0.1:1", exitError, "is the server running?"},
		"key by environment":  {"size --cert /no.pem", "VSPHEREPOOL_KEY=/no.key", exitError, "/no.pem"},
		"no authority":        {"size --ca-file /no.pem", "", exitError, "/no.pem"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			key, value, _ := strings.Cut(test.env, "=")
			p, _, stderr := sandbox(t, map[string]string{key: value})
			code := run(t.Context(), p, strings.Fields(test.args)...)
			if code != test.code || !strings.Contains(stderr.String(), test.says) {
				t.Errorf("exit code %d, want %d; standard error: %s", code, test.code, stderr)
			}
		})
	}
}

func TestConfigCheck(t *testing.T) {
	p, stdout, stderr := sandbox(t, nil)
	p.stdin = strings.NewReader(`{"name": "web", "desiredsize": 3,
		"cloudApiSettings": {"url": "https://vc/sdk", "username": "u", "password": "p"},
		"provisioningTemplate": {"template": "t", "folder": "f"}}`)
	if code := run(context.Background(), p, "config", "check", "-"); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if stdout.String() != "- is valid\n" || stderr.String() != "-: warning: desiredsize is not a known key and is ignored\n" {
		t.Errorf("standard output %q, standard error %q", stdout, stderr)
	}
}
