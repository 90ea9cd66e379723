package api

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"vspherepool/actors"
)

func TestErrorKinds(t *testing.T) {
	cause := errors.New("clone vm: (NoPermission)")
	tests := []struct {
		err                  error
		status, statusByPath int
		message, detail      string
	}{
		{&actors.Error{Kind: actors.Invalid, Message: "too big"}, 400, 400, "too big", "request id r1"},
		{&actors.Error{Kind: actors.NotFound, Message: "unrecognized machine: x"}, 404, 404, "unrecognized machine: x", "request id r1"},
		{&actors.Error{Kind: actors.Conflict, Message: "another"}, 409, 409, "another", "request id r1"},
		{&actors.Error{Kind: actors.NotStarted, Message: "not started"}, 500, 500, "not started", "request id r1"},
		{&actors.Error{Kind: actors.Unavailable, Message: "no vCenter", Err: cause}, 502, 500, "no vCenter", cause.Error() + "; request id r1"},
		{fmt.Errorf("ask: %w", &actors.Error{Kind: actors.Invalid, Message: "m", Err: cause}), 400, 400, "m", cause.Error() + "; request id r1"},
		{&actors.Error{Kind: actors.Internal, Message: "disk /secret", Err: cause}, 500, 500, errInternal.message, "request id r1"},
		{&actors.Error{Kind: 99, Message: "new kind", Err: cause}, 500, 500, "new kind", cause.Error() + "; request id r1"},
		{cause, 500, 500, errInternal.message, "request id r1"},
	}
	for _, test := range tests {
		t.Run(test.err.Error(), func(t *testing.T) {
			pool := newScripted()
			pool.err = test.err
			s, log := newTestServer(t, pool, defaultLimits)
			for path, status := range map[string]int{"/pool/attach": test.status, "/pool/a/attach": test.statusByPath} {
				c := call{"POST", path, `{"machineId":"a"}`, "", map[string]string{"X-Request-Id": "r1"}}
				response := c.run(s)
				got := errorOf(t, response.Body())
				if response.StatusCode() != status || got.Message != test.message || got.Detail != test.detail {
					t.Errorf("%s: %d %+v, want %d %q %q", path, response.StatusCode(), got, status, test.message, test.detail)
				}
			}
			if !strings.Contains(log.String(), test.err.Error()) {
				t.Errorf("the cause is not in the log:\n%s", log)
			}
		})
	}
}

func TestEveryOperationReportsItsFailure(t *testing.T) {
	pool := newScripted()
	pool.err = &actors.Error{Kind: actors.NotStarted, Message: "the pool is not started"}
	s, _ := newTestServer(t, pool, defaultLimits)
	const body = `{"machineId":"a","desiredSize":1,"frozen":true,"serviceState":"BOOTING","membershipStatus":{"active":true,"evictable":true}}`
	for _, route := range routes {
		if route.path == "/metrics" {
			continue // it doesn't fail with the pool
		}
		response := call{route.method, route.path, body, "", nil}.run(s)
		if response.StatusCode() != 500 || errorOf(t, response.Body()).Message != "the pool is not started" {
			t.Errorf("%s %s: %d %s", route.method, route.path, response.StatusCode(), response.Body())
		}
		if len(response.Header.Peek("ETag")) > 0 || string(response.Header.Peek("Cache-Control")) != "no-store" {
			t.Errorf("%s %s: a failure may be cached", route.method, route.path)
		}
	}
}
