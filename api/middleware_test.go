package api

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vspherepool/actors"
)

func TestRequestID(t *testing.T) {
	s, _ := newTestServer(t, newScripted(), defaultLimits)
	id := func(sent string) string {
		r := call{method: "GET", path: "/status", headers: map[string]string{"X-Request-Id": sent}}.run(s)
		return string(r.Header.Peek("X-Request-Id"))
	}
	for _, sane := range []string{"r1", "4f1c6b0e-0000-4000-8000-000000000001", "00-abc:def/1=", strings.Repeat("a", 128)} {
		if got := id(sane); got != sane {
			t.Errorf("%q became %q", sane, got)
		}
	}
	made := regexp.MustCompile(`^[A-Z2-7]{13}-[0-9]+$`)
	for _, bad := range []string{"", "a b", "a\"b", "é", strings.Repeat("a", 129), "<script>"} {
		if got := id(bad); !made.MatchString(got) {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

func TestPanicCostsOneRequest(t *testing.T) {
	pool := newScripted()
	pool.during = func(context.Context) { panic("boom at /secret/place") }
	s, log := newTestServer(t, pool, defaultLimits)
	response := call{method: "GET", path: "/pool"}.run(s)
	got := errorOf(t, response.Body())
	if response.StatusCode() != 500 || got.Message != errInternal.message || strings.Contains(string(response.Body()), "boom") {
		t.Errorf("%d %s", response.StatusCode(), response.Body())
	}
	checkAnswer(t, response, "GET", "internal error")
	if !strings.Contains(log.String(), "boom") || !strings.Contains(log.String(), "stack=") {
		t.Errorf("log:\n%s", log)
	}
	pool.during = nil
	if got := (call{method: "GET", path: "/pool"}).run(s).StatusCode(); got != 200 {
		t.Errorf("the next request answered %d", got)
	}
}

func TestAccessLog(t *testing.T) {
	away := &actors.Error{Kind: actors.Unavailable, Message: "away", Err: errors.New("why")}
	tests := []struct {
		call   call
		err    error
		level  string
		wanted string
	}{
		{call{method: "GET", path: "/pool"}, nil, "DEBUG", "status=200"},
		{call{method: "HEAD", path: "/pool"}, nil, "DEBUG", "status=200"},
		{call{method: "OPTIONS", path: "/pool"}, nil, "DEBUG", "status=200"},
		{call{method: "POST", path: "/start"}, nil, "INFO", "status=200"},
		{call{method: "GET", path: "/nothing"}, nil, "INFO", "status=404"},
		{call{method: "POST", path: "/pool/size", body: `{}`}, nil, "INFO", "desiredSize is missing"},
		{call{method: "POST", path: "/start"}, away, "WARN", "away: why"},
		{call{method: "GET", path: "/pool"}, errors.New("deep cause"), "WARN", "deep cause"},
	}
	for _, test := range tests {
		pool := newScripted()
		pool.err = test.err
		s, log := newTestServer(t, pool, defaultLimits)
		test.call.run(s)
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 1 || !strings.Contains(lines[0], "level="+test.level) || !strings.Contains(lines[0], test.wanted) {
			t.Errorf("%s %s: log\n%s", test.call.method, test.call.path, log)
		}
	}
}

func TestSecretsStayOutOfTheLog(t *testing.T) {
	s, log := newTestServer(t, newScripted(), defaultLimits)
	call{"POST", "/config?password=hunter2", `{"password":"hunter2`, "", map[string]string{"Authorization": "Basic hunter2"}}.run(s)
	if strings.Contains(log.String(), "hunter2") {
		t.Errorf("log:\n%s", log)
	}
}

func TestOperationsHaveADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := newScripted()
		var ended error
		pool.during = func(ctx context.Context) { <-ctx.Done(); ended = ctx.Err() }
		pool.err = &actors.Error{Kind: actors.Unavailable, Message: "vCenter is too slow"}
		s, _ := newTestServer(t, pool, defaultLimits)
		began := time.Now()
		response := call{method: "POST", path: "/pool/attach", body: `{"machineId":"a"}`}.run(s)
		if took := time.Since(began); took != 55*time.Second || !errors.Is(ended, context.DeadlineExceeded) || response.StatusCode() != 502 {
			t.Errorf("%d after %s: %v", response.StatusCode(), took, ended)
		}
	})
}
