package api

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is for what has to happen sooner; no passing test waits for it.
const patience = 20 * time.Second

// running is a server that listens on loopback, and how to reach it.
type running struct {
	*Server
	addr   string
	trust  *tls.Config
	client *http.Client
	served chan error
}

func serve(t *testing.T, s *Server) *running {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, s, ln)
}

func serveOn(t *testing.T, s *Server, ln net.Listener) *running {
	t.Helper()
	pem, err := os.ReadFile(s.CertificateFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	trust := &tls.Config{RootCAs: roots}
	run := &running{s, ln.Addr().String(), trust, &http.Client{Transport: &http.Transport{TLSClientConfig: trust}}, make(chan error, 1)}
	go func() { run.served <- s.Serve(ln) }()
	t.Cleanup(func() {
		run.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-run.served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return run
}

func (run *running) dial(t *testing.T) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", run.addr, run.trust)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// answers reads the answers to everything that was sent, until the server closes.
func answers(t *testing.T, in io.Reader) (statuses []int, last []byte) {
	t.Helper()
	r := bufio.NewReader(in)
	for {
		response, err := http.ReadResponse(r, nil)
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return statuses, last
		}
		if err != nil {
			t.Fatalf("after %v: %v", statuses, err)
		}
		statuses = append(statuses, response.StatusCode)
		if last, err = io.ReadAll(response.Body); err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
}

func TestProtocol(t *testing.T) {
	pool := newScripted()
	server, _ := newTestServer(t, pool, defaultLimits)
	run := serve(t, server)
	chunk := func(n int) string { return fmt.Sprintf("%x\r\n%s\r\n", n, strings.Repeat(" ", n)) }
	const size = "11\r\n{\"desiredSize\":3}\r\n0\r\n\r\n"
	tests := []struct{ name, sent, statuses, asked string }{
		{"plain", "GET /pool HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "[200]", "view"},
		{
			"keep-alive", "GET /pool HTTP/1.1\r\nHost: h\r\n\r\nGET /status HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
			"[200 200]", "status",
		},
		{"HTTP/1.0", "GET /pool HTTP/1.0\r\n\r\n", "[200]", "view"},
		{"HTTP/1.0 trick", "GET //h/pool HTTP/1.0\r\n\r\n", "[404]", ""},
		{"HEAD", "HEAD /status HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "[200]", "status"},
		{
			"chunked",
			"POST /pool/size HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nX-Forwarded-For:\r\nConnection: close\r\n\r\n" + size,
			"[200]", "resize 3",
		},
		{
			"chunked, trailer",
			"POST /start HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\nX-T: 1\r\n\r\n",
			"[200]", "start",
		},
		{
			"chunked, empty", "POST /pool/size HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
			"[400]", "",
		},
		{
			"continue",
			"POST /pool/size HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 17\r\nConnection: close\r\n\r\n{\"desiredSize\":4}",
			"[100 200]", "resize 4",
		},
		{
			"odd expectation", "POST /start HTTP/1.1\r\nHost: h\r\nExpect: wonders\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
			"[200]", "start",
		},
		{"no length", "POST /start HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "[200]", "start"},
		{"no host", "GET /pool HTTP/1.1\r\n\r\n", "[400]", ""},
		{"bad host", "GET /pool HTTP/1.1\r\nHost: %zz[\r\n\r\n", "[400]", ""},
		{"two hosts", "GET /pool HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "[400]", ""},
		{"garbage", "\x16\x03\x01 no http\r\n\r\n", "[400]", ""},
		{
			"pipelined garbage",
			"GET /pool HTTP/1.1\r\nHost: h\r\n\r\nPOST /start HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\nBOO\r\n\r\n",
			"[200 200 400]", "start",
		},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "[400]", ""},
		{"no version", "GET /pool\r\nHost: h\r\n\r\n", "[400]", ""},
		{"odd version", "GET /pool HTTP/x\r\nHost: h\r\n\r\n", "[400]", ""},
		{"bad header", "GET /pool HTTP/1.1\r\nHost: h\r\nX-A: \x00\r\n\r\n", "[400]", ""},
		{"no colon", "GET /pool HTTP/1.1\r\nHost: h\r\nnonsense\r\n\r\n", "[400]", ""},
		{"control in path", "GET /pool\x01 HTTP/1.1\r\nHost: h\r\n\r\n", "[400]", ""},
		{"large header", "GET /pool HTTP/1.1\r\nHost: h\r\nX-A: " + strings.Repeat("a", 20<<10) + "\r\n\r\n", "[431]", ""},
		{"long path", "GET /" + strings.Repeat("a", 20<<10) + " HTTP/1.1\r\nHost: h\r\n\r\n", "[431]", ""},
		{"unknown coding", "POST /start HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", "[400]", ""},
		{"chunked in 1.0", "POST /start HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "[400]", ""},
		{"two lengths", "POST /start HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "[400]", ""},
		{"bad length", "POST /start HTTP/1.1\r\nHost: h\r\nContent-Length: abc\r\n\r\n", "[400]", ""},
		{"negative length", "POST /start HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", "[400]", ""},
		{"huge length", "POST /start HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n", "[400]", ""},
		{"bad chunk", "POST /pool/size HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "[400]", ""},
		{"length over limit", "POST /pool/size HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n", "[413]", ""},
		{"length far over limit", "POST /pool/size HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999999\r\n\r\n", "[413]", ""},
		{
			"chunks over limit", "POST /pool/size HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(40_000) + chunk(40_000),
			"[413]", "",
		},
		{
			"announced over limit", "POST /pool/size HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 65537\r\n\r\n",
			"[100 413]", "",
		},
		{"GET over limit", "GET /pool HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n", "[413]", ""},
		{
			"form over limit",
			"POST /pool/size HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 65537\r\n\r\n",
			"[413]", "",
		},
		{"config over limit", "POST /config HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n", "[413]", ""},
		{"not quite config", "POST /config/x HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n", "[413]", ""},
		{
			"at the limit", "POST /pool/size HTTP/1.1\r\nHost: h\r\nContent-Length: 65536\r\nConnection: close\r\n\r\n{\"desiredSize\":3}" +
				strings.Repeat(" ", 65536-17), "[200]", "resize 3",
		},
		{
			"large config", "POST /config/?x HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\nConnection: close\r\n\r\n{}" +
				strings.Repeat(" ", 1048576-2), "[200]", "configure {}" + strings.Repeat(" ", 1048576-2),
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := run.dial(t)
			go func() { _, _ = io.WriteString(c, test.sent) }()
			if strings.HasPrefix(test.sent, "HEAD") {
				checkHead(t, c)
				pool.said()
				return
			}
			statuses, last := answers(t, c)
			if got := fmt.Sprint(statuses); got != test.statuses {
				t.Errorf("%s, want %s: %s", got, test.statuses, last)
			}
			if asked := pool.said(); asked != test.asked {
				t.Errorf("asked %.100q, want %.100q", asked, test.asked)
			}
			if statuses[len(statuses)-1] >= 400 {
				errorOf(t, last)
			}
		})
	}
}

func checkHead(t *testing.T, c net.Conn) {
	t.Helper()
	got, err := io.ReadAll(c)
	head, body, _ := strings.Cut(string(got), "\r\n\r\n")
	if err != nil || body != "" || strings.Contains(head, "Content-Length: 0") || !strings.Contains(head, "Content-Length: ") {
		t.Errorf("%v: %q", err, got)
	}
}

// TestRefusalIsHeardOverTheBody: a client that goes on sending a body that is too large still gets its 413, not a reset.
func TestRefusalIsHeardOverTheBody(t *testing.T) {
	server, log := newTestServer(t, newScripted(), defaultLimits)
	run := serve(t, server)
	for i := range 20 {
		c := run.dial(t)
		go func() {
			_, _ = io.WriteString(c, "POST /pool/size HTTP/1.1\r\nHost: h\r\nContent-Length: 4000000\r\n\r\n"+strings.Repeat("x", 4_000_000))
		}()
		if statuses, _ := answers(t, c); fmt.Sprint(statuses) != "[413]" {
			t.Fatalf("attempt %d: %v", i, statuses)
		}
	}
	if strings.Contains(log.String(), "xxx") {
		t.Error("the body is in the log")
	}
}

func TestOneFailureIsNotTheNextRequests(t *testing.T) {
	server, log := newTestServer(t, newScripted(), defaultLimits)
	c := serve(t, server).dial(t)
	_, err := io.WriteString(c, "POST /pool/size HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"+
		"POST /stop HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	statuses, _ := answers(t, c)
	if fmt.Sprint(statuses) != "[400 200]" || strings.Count(log.String(), "desiredSize is missing") != 1 {
		t.Errorf("%v\n%s", statuses, log)
	}
}

func TestSlowClientsAreCutOff(t *testing.T) {
	short := defaultLimits
	const soon = 100 * time.Millisecond
	short.handshake, short.head, short.read, short.idle = soon, soon, soon, soon
	server, _ := newTestServer(t, newScripted(), short)
	run := serve(t, server)
	for name, sent := range map[string]string{
		"half a line": "GET /po", "half the headers": "GET /pool HTTP/1.1\r\nHost: h\r\n",
		"half a body":  "POST /pool/size HTTP/1.1\r\nHost: h\r\nContent-Length: 17\r\n\r\n{\"des",
		"half a chunk": "POST /pool/size HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n{\"des",
	} {
		t.Run(name, func(t *testing.T) {
			c := run.dial(t)
			if _, err := io.WriteString(c, sent); err != nil {
				t.Fatal(err)
			}
			statuses, last := answers(t, c)
			if len(statuses) != 1 || statuses[0] != 408 && statuses[0] != 400 {
				t.Errorf("%v %s", statuses, last)
			}
			errorOf(t, last)
		})
	}
	t.Run("idle", func(t *testing.T) {
		c := run.dial(t)
		if _, err := io.WriteString(c, "GET /pool HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if statuses, _ := answers(t, c); fmt.Sprint(statuses) != "[200]" {
			t.Errorf("%v", statuses)
		}
	})
	t.Run("silent", func(t *testing.T) {
		if statuses, _ := answers(t, run.dial(t)); len(statuses) > 0 {
			t.Errorf("%v to nothing", statuses)
		}
	})
	t.Run("no handshake", func(t *testing.T) {
		c, err := net.Dial("tcp", run.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("not closed: %v", err)
		}
	})
}

// gate is a pool whose resize reports that it has begun and then waits.
func gate(pool *scripted) (began <-chan struct{}, release chan<- struct{}) {
	b, r := make(chan struct{}, 1), make(chan struct{})
	pool.during = func(ctx context.Context) {
		b <- struct{}{}
		select {
		case <-r:
		case <-ctx.Done():
		}
	}
	return b, r
}

func TestShutdownLetsARunningRequestFinish(t *testing.T) {
	pool := newScripted()
	began, release := gate(pool)
	server, _ := newTestServer(t, pool, defaultLimits)
	run := serve(t, server)
	busy := run.dial(t)
	if _, err := io.WriteString(busy, "POST /start HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-began
	down := make(chan error, 1)
	go func() { down <- run.Shutdown(context.Background()) }()
	run.served <- <-run.served // Serve has returned, so nothing is taken any more.
	if c, err := net.Dial("tcp", run.addr); err == nil {
		_ = c.Close()
		t.Error("a connection was taken after the shutdown")
	}
	close(release)
	if statuses, _ := answers(t, busy); fmt.Sprint(statuses) != "[200]" {
		t.Errorf("the running request got %v", statuses)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}

func TestShutdownIsBounded(t *testing.T) {
	pool := newScripted()
	began, _ := gate(pool)
	server, _ := newTestServer(t, pool, defaultLimits)
	run := serve(t, server)
	busy := run.dial(t)
	if _, err := io.WriteString(busy, "POST /start HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-began
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := run.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
	if statuses, _ := answers(t, busy); fmt.Sprint(statuses) != "[200]" {
		t.Errorf("the cancelled request got %v", statuses)
	}
}

func TestShutdownDoesNotWaitForTheSilent(t *testing.T) {
	server, _ := newTestServer(t, newScripted(), defaultLimits)
	run := serve(t, server)
	mute, err := net.Dial("tcp", run.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mute.Close() }()
	run.dial(t)
	idle := run.dial(t)
	if _, err := io.WriteString(idle, "GET /pool HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := http.ReadResponse(bufio.NewReader(idle), nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	if err := run.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func TestShutdownBeforeServe(t *testing.T) {
	server, _ := newTestServer(t, newScripted(), defaultLimits)
	if err := server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	run := serve(t, server)
	if err := <-run.served; err != nil {
		t.Errorf("serve: %v", err)
	}
	run.served <- nil
}

// poor is a listener that is out of file descriptors for a while.
type poor struct {
	net.Listener
	failures int
}

func (p *poor) Accept() (net.Conn, error) {
	if p.failures--; p.failures >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return p.Listener.Accept()
}

func TestServeOutlivesAShortage(t *testing.T) {
	server, _ := newTestServer(t, newScripted(), defaultLimits)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	run := serveOn(t, server, &poor{ln, 3})
	response, err := run.client.Get("https://" + run.addr + "/pool")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
}

func TestServeReportsABrokenListener(t *testing.T) {
	server, _ := newTestServer(t, newScripted(), defaultLimits)
	if err := server.Serve(broken{}); err == nil || !strings.Contains(err.Error(), "no network") {
		t.Errorf("serve: %v", err)
	}
}

type broken struct{}

func (broken) Accept() (net.Conn, error) { return nil, errors.New("no network") }
func (broken) Close() error              { return nil }
func (broken) Addr() net.Addr            { return &net.TCPAddr{} }
