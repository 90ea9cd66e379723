package soak

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

type sizeDocument struct {
	DesiredSize, Allocated, Active, OutOfService int
}

type poolDocument struct {
	Machines []struct {
		ID, MachineState, ServiceState string
		Metadata                       struct{ Name, VM string }
	}
}

func (s *soak) rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// ask makes a request and counts it; ok means that there is an answer with one of the statuses.
func (s *soak) ask(ctx context.Context, c *client, method, path string, body any, allowed ...int) (a answer, ok bool) {
	return s.askWith(ctx, c, method, path, body, nil, allowed...)
}

func (s *soak) askWith(
	ctx context.Context, c *client, method, path string, body any, header http.Header, allowed ...int,
) (a answer, ok bool) {
	a, err := c.call(ctx, method, path, body, header)
	switch {
	case errors.Is(err, errRestarting):
		return a, false
	case err != nil:
		s.violation("%s %s: %v", method, path, err)
		return a, false
	}
	s.count(a.status)
	if !slices.Contains(allowed, a.status) {
		s.violation("%s %s answered %d: %s", method, path, a.status, a.body)
		return a, false
	}
	return a, true
}

// poll reads the size and the pool, as every client does, and has a look at what it is told.
func (s *soak) poll(ctx context.Context, rnd *rand.Rand) {
	c := s.server.client()
	defer c.http.CloseIdleConnections()
	etag := ""
	for ctx.Err() == nil {
		header := http.Header{}
		if rnd.IntN(2) == 0 {
			header.Set("Accept-Encoding", "gzip")
		}
		path := []string{"/pool", "/pool/size"}[rnd.IntN(2)]
		if path == "/pool" && etag != "" && rnd.IntN(2) == 0 {
			header.Set("If-None-Match", etag)
		}
		began := time.Now()
		a, ok := s.askWith(ctx, c, http.MethodGet, path, nil, header, 200, 304, 502)
		if ok && a.status == http.StatusOK && a.header.Get("Content-Encoding") == "" {
			s.checkRead(path, a, began)
		}
		if ok && path == "/pool" {
			etag = a.header.Get("Etag")
		}
		s.rest(ctx, time.Duration(rnd.IntN(100))*time.Millisecond)
	}
}

func (s *soak) checkRead(path string, a answer, began time.Time) {
	if path == "/pool/size" {
		var size sizeDocument
		if err := json.Unmarshal(a.body, &size); err != nil || size.OutOfService != size.Allocated-size.Active || size.Active < 0 {
			s.violation("size %s: %v", a.body, err)
		}
		return
	}
	var pool poolDocument
	if err := json.Unmarshal(a.body, &pool); err != nil {
		s.violation("pool: %v", err)
	}
	seen := map[string]bool{}
	for _, m := range pool.Machines {
		if seen[m.ID] {
			s.violation("machine %s is listed twice", m.ID)
		}
		seen[m.ID] = true
		if s.terminatedBefore(began, m.ID) && slices.Contains([]string{"REQUESTED", "PENDING", "RUNNING"}, m.MachineState) {
			s.violation("terminated machine %s is %s", m.ID, m.MachineState)
		}
	}
}

// command is the one caller who changes the pool, so that what it should be is known.
func (s *soak) command(ctx context.Context, rnd *rand.Rand) {
	c := s.server.client()
	defer c.http.CloseIdleConnections()
	for ctx.Err() == nil {
		switch rnd.IntN(4) {
		case 0, 1:
			s.resize(ctx, c, 2+rnd.IntN(9))
		case 2:
			s.terminate(ctx, c, rnd)
		default:
			s.report(ctx, c, rnd)
		}
		s.checkSize(ctx, c)
		s.rest(ctx, time.Duration(rnd.IntN(1500))*time.Millisecond)
	}
}

func (s *soak) resize(ctx context.Context, c *client, n int) bool {
	a, _ := s.ask(ctx, c, http.MethodPost, "/pool/size", map[string]int{"desiredSize": n}, 200)
	s.sized(a.status == http.StatusOK, n)
	return a.status == http.StatusOK
}

// sized notes what the size may be by now: what was acknowledged, or asked for later without an answer.
func (s *soak) sized(acknowledged bool, n int) {
	if acknowledged {
		s.sizes = nil
	}
	s.sizes = append(s.sizes, n)
}

func (s *soak) checkSize(ctx context.Context, c *client) {
	a, ok := s.ask(ctx, c, http.MethodGet, "/pool/size", nil, 200, 502)
	var size sizeDocument
	if !ok || a.status != http.StatusOK || json.Unmarshal(a.body, &size) != nil {
		return
	}
	if !slices.Contains(s.sizes, size.DesiredSize) {
		s.violation("desired size is %d, may be %v", size.DesiredSize, s.sizes)
	}
	s.sizes = []int{size.DesiredSize}
}

func (s *soak) terminate(ctx context.Context, c *client, rnd *rand.Rand) {
	id := s.member(ctx, c, rnd)
	if id == "" || len(s.sizes) != 1 {
		return
	}
	decrement := rnd.IntN(2) == 0
	body := map[string]any{"machineId": id, "decrementDesiredSize": decrement}
	a, _ := s.ask(ctx, c, http.MethodPost, "/pool/terminate", body, 200, 400, 404, 502)
	if a.status == http.StatusOK {
		s.mu.Lock()
		s.terminated[id] = time.Now()
		s.mu.Unlock()
	}
	if decrement {
		s.sized(a.status == http.StatusOK, s.sizes[0]-1)
	}
}

func (s *soak) report(ctx context.Context, c *client, rnd *rand.Rand) {
	if id := s.member(ctx, c, rnd); id != "" {
		state := []string{"BOOTING", "IN_SERVICE", "UNHEALTHY", "UNKNOWN"}[rnd.IntN(4)]
		s.ask(ctx, c, http.MethodPost, "/pool/serviceState", map[string]any{"machineId": id, "serviceState": state}, 200, 400, 404, 502)
	}
}

func (s *soak) member(ctx context.Context, c *client, rnd *rand.Rand) string {
	pool, _ := s.pool(ctx, c)
	if len(pool.Machines) == 0 {
		return ""
	}
	return pool.Machines[rnd.IntN(len(pool.Machines))].ID
}

func (s *soak) pool(ctx context.Context, c *client) (pool poolDocument, ok bool) {
	a, ok := s.ask(ctx, c, http.MethodGet, "/pool", nil, 200, 502)
	return pool, ok && a.status == http.StatusOK && json.Unmarshal(a.body, &pool) == nil
}

// mistakes are requests that must be refused, and how.
var mistakes = []struct {
	method, path string
	body         any
	header       http.Header
	status       int
}{
	{"POST", "/pool/size", []byte(`{"desiredSize": -1}`), nil, 400},
	{"POST", "/pool/size", []byte(`{"desiredSize": 1.5}`), nil, 400},
	{"POST", "/pool/size", []byte(`{`), nil, 400},
	{"POST", "/pool/size", []byte(strings.Repeat(" ", 70<<10)), nil, 413},
	{"POST", "/pool/size", []byte(`x`), http.Header{"Content-Type": {"text/plain"}}, 415},
	{"POST", "/pool/nobody/terminate", []byte(`{}`), nil, 404},
	{"POST", "/config", []byte(`{"name": "web"}`), nil, 400},
	{"GET", "/nowhere", nil, nil, 404},
	{"PUT", "/pool", nil, nil, 405},
	{"GET", "/pool", nil, http.Header{"Authorization": nil}, 401},
}

func (s *soak) err(ctx context.Context, rnd *rand.Rand) {
	c := s.server.client()
	defer c.http.CloseIdleConnections()
	for ctx.Err() == nil {
		m := mistakes[rnd.IntN(len(mistakes))]
		s.askWith(ctx, c, m.method, m.path, m.body, m.header, m.status)
		s.rest(ctx, time.Duration(rnd.IntN(300))*time.Millisecond)
	}
}

// guess is somebody without a password that is right.
func (s *soak) guess(ctx context.Context, rnd *rand.Rand) {
	c := s.server.client()
	defer c.http.CloseIdleConnections()
	for ctx.Err() == nil {
		header := http.Header{"Authorization": {[]string{"Bearer wrong", "Basic c29hazp3cm9uZw=="}[rnd.IntN(2)]}}
		s.askWith(ctx, c, http.MethodGet, "/pool", nil, header, 401, 429, 503)
		s.rest(ctx, time.Duration(500+rnd.IntN(1500))*time.Millisecond)
	}
}

// dawdle is a client who sends slowly, leaves in the middle of an answer, or never says anything.
func (s *soak) dawdle(ctx context.Context, rnd *rand.Rand) {
	for ctx.Err() == nil {
		where, _, up := s.server.now()
		if u, err := url.Parse(where); err == nil && up {
			s.dawdleAt(ctx, rnd, u.Host)
		}
		s.rest(ctx, time.Duration(rnd.IntN(200))*time.Millisecond)
	}
}

func (s *soak) dawdleAt(ctx context.Context, rnd *rand.Rand, host string) {
	dialer := tls.Dialer{Config: s.server.tls()}
	conn, err := dialer.DialContext(ctx, "tcp", host)
	if err != nil {
		return // the server is being restarted, or it would show elsewhere
	}
	defer conn.Close()
	request := fmt.Sprintf("GET /pool HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", host, s.server.token)
	switch rnd.IntN(3) {
	case 0:
		_, _ = conn.Write([]byte(request[:len(request)/2]))
		s.rest(ctx, time.Duration(rnd.IntN(3000))*time.Millisecond)
	case 1:
		_, _ = conn.Write([]byte(request))
		_, _ = conn.Read(make([]byte, 10))
	default:
		s.rest(ctx, time.Duration(rnd.IntN(1000))*time.Millisecond)
	}
}
