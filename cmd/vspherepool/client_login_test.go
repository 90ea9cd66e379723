package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCredentials is about what of flags, files and environment a request carries.
func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	password, token := file("password", "p:w \r\n"), file("token", "t1\n")
	for name, test := range map[string]struct {
		args string
		env  map[string]string
		// header is what arrives, or says is part of the error.
		header, says string
	}{
		"none":               {"", nil, "", ""},
		"token file":         {"--token-file " + token, nil, "Bearer t1", ""},
		"token variable":     {"", map[string]string{"VSPHEREPOOL_TOKEN": "t2"}, "Bearer t2", ""},
		"file wins":          {"--token-file " + token, map[string]string{"VSPHEREPOOL_TOKEN": "t2"}, "Bearer t1", ""},
		"file by variable":   {"", map[string]string{"VSPHEREPOOL_TOKEN_FILE": token}, "Bearer t1", ""},
		"password file":      {"--user bob --password-file " + password, nil, "Basic Ym9iOnA6dyA=", ""},
		"password variable":  {"--user bob", map[string]string{"VSPHEREPOOL_PASSWORD": "x"}, "Basic Ym9iOng=", ""},
		"user, stray token":  {"--user bob", map[string]string{"VSPHEREPOOL_PASSWORD": "x", "VSPHEREPOOL_TOKEN": "t"}, "Basic Ym9iOng=", ""},
		"all by variables":   {"", map[string]string{"VSPHEREPOOL_USER": "bob", "VSPHEREPOOL_PASSWORD_FILE": password}, "Basic Ym9iOnA6dyA=", ""},
		"no password":        {"--user bob", nil, "", "VSPHEREPOOL_PASSWORD"},
		"password of nobody": {"--password-file " + password, nil, "", "needs --user"},
		"user and token":     {"--user bob --token-file " + token, nil, "", "--token-file and --user"},
		"empty file":         {"--token-file " + file("empty", "\n"), nil, "", "exactly one line"},
		"two lines":          {"--token-file " + file("two", "a\nb\n"), nil, "", "exactly one line"},
		"no file":            {"--token-file /nowhere/token", nil, "", "read credentials"},
		"password by flag":   {"--password x", nil, "", "unknown flag"},
		"token by flag":      {"--token x", nil, "", "unknown flag"},
		"user in URL":        {"--server https://bob:hunter2@127.0.0.1:1", nil, "", "without a user"},
	} {
		t.Run(name, func(t *testing.T) {
			arrived := "nothing"
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				arrived = r.Header.Get("Authorization")
				_, _ = io.WriteString(w, `{"started": true}`)
			}))
			defer server.Close()
			p, stdout, stderr := sandbox(t, test.env)
			trusted := filepath.Join(t.TempDir(), "cert.pem")
			writeCertificate(t, trusted, server)
			args := append([]string{"status", "--server", server.URL, "--ca-file", trusted}, strings.Fields(test.args)...)
			code := run(t.Context(), p, args...)
			switch {
			case test.says == "" && (code != 0 || arrived != test.header):
				t.Errorf("exit code %d, %q arrived: %s", code, arrived, stderr)
			case test.says != "" && (code == 0 || arrived != "nothing" || !strings.Contains(stderr.String(), test.says)):
				t.Errorf("exit code %d, %q arrived: %s", code, arrived, stderr)
			}
			if said := stdout.String() + stderr.String(); strings.Contains(said, "hunter2") || strings.Contains(said, "Ym9i") {
				t.Errorf("credentials were printed: %s", said)
			}
		})
	}
}

// TestCredentialsStayHere says that a redirect is an error, and nobody else hears of the credentials.
func TestCredentialsStayHere(t *testing.T) {
	asked := 0
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer other.Close()
	for _, target := range []string{other.URL + "/status", "/elsewhere"} {
		first := 0
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			first++
			http.Redirect(w, r, target, http.StatusTemporaryRedirect)
		}))
		trusted := filepath.Join(t.TempDir(), "cert.pem")
		writeCertificate(t, trusted, server)
		p, _, stderr := sandbox(t, map[string]string{"VSPHEREPOOL_TOKEN": "t"})
		code := run(t.Context(), p, "resize", "3", "--server", server.URL, "--ca-file", trusted)
		if code != exitError || first != 1 || asked != 0 || !strings.Contains(stderr.String(), "Temporary Redirect") {
			t.Errorf("exit code %d after %d and %d requests: %s", code, first, asked, stderr)
		}
		server.Close()
	}
}

// TestServeUsers logs in to a server with the commands, while its users change.
func TestServeUsers(t *testing.T) {
	p, _, _ := sandbox(t, nil)
	dir := t.TempDir()
	users, state := filepath.Join(dir, "users"), filepath.Join(dir, "state")
	command := func(env map[string]string, stdin string, args ...string) (code int, stdout, stderr string) {
		t.Helper()
		p, out, complaints := sandbox(t, env)
		p.stdin = strings.NewReader(stdin)
		code = run(t.Context(), p, args...)
		return code, out.String(), complaints.String()
	}
	if code, _, said := command(nil, "secret\n", "user", "add", users, "alice"); code != 0 {
		t.Fatal(said)
	}
	code, token, said := command(nil, "", "user", "add", users, "ci", "--token", "--role=autoscaler")
	if code != 0 {
		t.Fatal(said)
	}
	out, in := io.Pipe()
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stopped := make(chan int, 1)
	go func() {
		defer in.Close()
		server := process{p.getenv, p.stdin, in, &log}
		stopped <- run(ctx, server, "serve", "--simulator", "--listen=127.0.0.1:0", "--users="+users, "--state-dir="+state)
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	url := regexp.MustCompile(`https://[0-9.:]+`).FindString(line)
	if err != nil || url == "" {
		t.Fatalf("ready line %q, %v", line, err)
	}
	alice := map[string]string{"VSPHEREPOOL_USER": "alice", "VSPHEREPOOL_PASSWORD": "secret"}
	ci := map[string]string{"VSPHEREPOOL_TOKEN": strings.TrimSpace(token)}
	for _, step := range []struct {
		env  map[string]string
		args string
		code int
		says string
	}{
		{nil, "size", exitNotAllowed, "--token-file"},
		{map[string]string{"VSPHEREPOOL_TOKEN": "guess"}, "size", exitNotAllowed, "Unauthorized"},
		{alice, "size", 0, ""},
		{alice, "resize 1", exitNotAllowed, "this takes the role autoscaler"},
		{ci, "resize 1", 0, ""},
		{ci, "terminate --yes x", exitNotFound, ""},
		{ci, "freeze --reason x", exitNotAllowed, "this takes the role operator"},
	} {
		args := append(strings.Fields(step.args), "--server="+url, "--ca-file="+filepath.Join(state, "tls-cert.pem"))
		code, _, said := command(step.env, "", args...)
		if code != step.code || !strings.Contains(said, step.says) {
			t.Errorf("%s: exit code %d: %s", step.args, code, said)
		}
	}
	cancel()
	if code := <-stopped; code != 0 {
		t.Errorf("exit code %d: %s", code, &log)
	}
	for _, secret := range []string{"secret", strings.TrimSpace(token), "guess"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}
