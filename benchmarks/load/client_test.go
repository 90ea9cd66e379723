package load

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// adapter is a small server of the API, which remembers what it was asked.
type adapter struct {
	url string
	tls *tls.Config

	mu    sync.Mutex
	asked []string
	// broken is answered instead, unless 0.
	broken int
	conns  map[string]bool
}

func serve(t *testing.T) *adapter {
	t.Helper()
	certificate, key, err := fasthttp.GenerateTestCertificate("localhost")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &adapter{conns: map[string]bool{}}
	a.url = fmt.Sprintf("https://%s/api/", listener.Addr())
	a.tls = &tls.Config{RootCAs: roots, ServerName: "localhost"}
	server := &fasthttp.Server{Handler: a.handle, Logger: log.New(io.Discard, "", 0)}
	var served sync.WaitGroup
	served.Go(func() { _ = server.ServeTLSEmbed(listener, certificate, key) })
	t.Cleanup(func() {
		_ = server.Shutdown()
		served.Wait()
	})
	return a
}

func (a *adapter) handle(ctx *fasthttp.RequestCtx) {
	header := &ctx.Request.Header
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conns[ctx.RemoteAddr().String()] = true
	a.asked = append(a.asked, fmt.Sprintf("%s %s auth=%s encoding=%s tag=%s %s", ctx.Method(), ctx.Path(), header.Peek("Authorization"),
		header.Peek("Accept-Encoding"), header.Peek("If-None-Match"), ctx.PostBody()))
	ctx.Response.Header.Set("ETag", `"1"`)
	switch {
	case a.broken != 0:
		ctx.SetStatusCode(a.broken)
	case string(header.Peek("If-None-Match")) == `"1"`:
		ctx.SetStatusCode(fasthttp.StatusNotModified)
	case string(ctx.Method()) == "GET":
		ctx.SetBodyString(`{"machines":[]}`)
	}
}

// take is what was asked since the last time.
func (a *adapter) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := a.asked
	a.asked = nil
	return asked
}

func (a *adapter) breakWith(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.broken = status
}

func (a *adapter) client(t *testing.T, change func(*Target)) *Client {
	t.Helper()
	target := Target{URL: a.url, TLS: a.tls, Timeout: 10 * time.Second, Sizes: []int{10, 12}}
	if change != nil {
		change(&target)
	}
	c, err := NewClient(target, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestCalls(t *testing.T) {
	a := serve(t)
	c := a.client(t, func(target *Target) { target.Authorization = "Bearer x" })
	mix, err := ParseMix("size,pool,pool-gzip,pool-304,resize")
	if err != nil {
		t.Fatal(err)
	}
	calls := c.Connect(mix)()
	for i, want := range [][]string{
		{"GET /api/pool/size auth=Bearer x encoding= tag= ", "GET /api/pool/size auth=Bearer x encoding= tag= "},
		{"GET /api/pool auth=Bearer x encoding= tag= ", "GET /api/pool auth=Bearer x encoding= tag= "},
		{"GET /api/pool auth=Bearer x encoding=gzip tag= ", "GET /api/pool auth=Bearer x encoding=gzip tag= "},
		{"GET /api/pool auth=Bearer x encoding= tag= ", `GET /api/pool auth=Bearer x encoding= tag="1" `},
		{
			`POST /api/pool/size auth=Bearer x encoding= tag= {"desiredSize":10}`,
			`POST /api/pool/size auth=Bearer x encoding= tag= {"desiredSize":12}`,
		},
	} {
		first, second := calls[i](), calls[i]()
		if got := a.take(); !slices.Equal(got, want) {
			t.Errorf("%s: %q", mix[i].Operation, got)
		}
		if !first.ok() || !second.ok() || (mix[i].Operation == "pool-304") != (second.Status == 304) {
			t.Errorf("%s: %+v, %+v", mix[i].Operation, first, second)
		}
		if bytes := map[bool]int{false: 15}[mix[i].Operation == Resize]; first.Bytes != bytes {
			t.Errorf("%s: %d bytes", mix[i].Operation, first.Bytes)
		}
	}
	if err := c.Settle(); err != nil || !strings.Contains(a.take()[0], `{"desiredSize":10}`) {
		t.Errorf("settle: %v", err)
	}
}

func TestPollersKeepConnections(t *testing.T) {
	a := serve(t)
	c := a.client(t, nil)
	for _, conditional := range []bool{false, true} {
		connect := c.ConnectPoller(conditional)
		for range 3 {
			poll := connect()
			first, second := poll(), poll()
			if first.Status != 200 || (second.Status == 304) != conditional {
				t.Errorf("%+v, %+v", first, second)
			}
		}
	}
	if len(a.conns) != 6 {
		t.Errorf("%d connections", len(a.conns))
	}
}

func TestWarm(t *testing.T) {
	a := serve(t)
	if err := a.client(t, nil).Warm(4); err != nil || len(a.take()) != 4 {
		t.Errorf("warm: %v", err)
	}
	a.breakWith(401)
	var status StatusError
	if err := a.client(t, nil).Warm(1); !errors.As(err, &status) || status != 401 || !strings.HasSuffix(err.Error(), "401 Unauthorized") {
		t.Errorf("no access: %v", err)
	}
	if err := a.client(t, nil).Settle(); !errors.As(err, &status) {
		t.Errorf("no access: %v", err)
	}
	err := a.client(t, func(target *Target) { target.TLS = &tls.Config{ServerName: "localhost", RootCAs: x509.NewCertPool()} }).Warm(1)
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
		t.Errorf("unknown authority: %v", err)
	}
	if err := a.client(t, func(target *Target) { target.Sizes = nil }).Settle(); err == nil {
		t.Error("settled for nothing")
	}
}

func TestNewClient(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:8443", "http://127.0.0.1", "https://", "https://u:p@h", "https://h?x=1", "https://h\n"} {
		if _, err := NewClient(Target{URL: url}, 1); err == nil {
			t.Errorf("%q", url)
		}
	}
	c, err := NewClient(Target{URL: "https://example.org"}, 1)
	if err != nil || c.shared.Addr != "example.org:443" {
		t.Errorf("%+v, %v", c.shared, err)
	}
}

// What happens on a real connection is what the plan says.
func TestRoundTrip(t *testing.T) {
	a := serve(t)
	c := a.client(t, nil)
	mix, err := ParseMix("size=5,pool=2,pool-gzip,pool-304,resize")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Warm(4); err != nil {
		t.Fatal(err)
	}
	plan := Plan{
		Duration: 500 * time.Millisecond, Mix: mix, Workers: 4, Rate: 200, Connect: c.Connect(mix),
		Pollers: 10, PollInterval: 250 * time.Millisecond, ConnectPoller: c.ConnectPoller(true),
	}
	result := plan.Run(t.Context())
	if sent := result.Requests.Sent + result.Requests.Unsent; sent != 100 || result.Errors() != 0 {
		t.Errorf("%d were due, %d failed: %+v", sent, result.Errors(), result)
	}
	if sent := result.Polls.Sent + result.Polls.Unsent; sent != 20 {
		t.Errorf("%d polls were due", sent)
	}
	if got := int64(len(a.take())); got != 4+result.Requests.Sent+result.Polls.Sent {
		t.Errorf("%d requests came", got)
	}
	o, _ := result.Operation("size")
	if l := o.Latency; l.Min < 10*time.Microsecond || l.Max > 10*time.Second || l.P50 > l.P99 {
		t.Errorf("%+v", l)
	}
	a.breakWith(503)
	plan.Rate, plan.Pollers = 0, 0
	broken := plan.Run(t.Context())
	if o, _ := broken.Operation("pool"); o.Count == 0 || o.Errors != o.Count || o.Answers["503"] != o.Count {
		t.Errorf("%+v", o)
	}
}

func TestReason(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	_ = listener.Close()
	c, err := NewClient(Target{URL: "https://" + addr, Timeout: time.Second}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if text := reason(c.call(c.shared, operations["size"], nil)().Err); !strings.Contains(text, "refused") || strings.Contains(text, addr) {
		t.Errorf("%q", text)
	}
	for err, want := range map[error]string{
		fasthttp.ErrTimeout: "timeout", fasthttp.ErrConnectionClosed: "connection closed", errors.New("odd"): "odd",
		&net.OpError{Op: "read", Err: fmt.Errorf("i/o: %w", fasthttp.ErrTimeout)}: "timeout",
	} {
		if got := reason(err); got != want {
			t.Errorf("%v: %q", err, got)
		}
	}
}
