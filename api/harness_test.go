package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"vspherepool/actors"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The clock of the Date header, one per process, and the cleaner of a stopped server, which ends at its next look.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	)
}

var testView = actors.View{
	Epoch:    "e1",
	Version:  7,
	Observed: time.Date(2026, 11, 22, 14, 50, 0, 123_456_789, time.FixedZone("CET", 3600)),
	Machines: []*actors.Machine{
		{
			ID: "4f1c6b0e-0000-4000-8000-000000000001", State: actors.Running,
			Membership: actors.Membership{Active: true, Evictable: true}, Service: actors.InService,
			Region: "DC0", Size: "2cpu-4096MiB",
			Requested: time.Date(2026, 11, 22, 13, 40, 0, 0, time.UTC), Launched: time.Date(2026, 11, 22, 13, 41, 0, 0, time.UTC),
			PublicIPs: []string{"203.0.113.9"}, PrivateIPs: []string{"10.0.0.4", "10.0.0.5"},
			Metadata: actors.Metadata{Name: "web-7f3k2q", VM: "vm-42", Host: "host-1", Datastore: "ds-1"},
		},
		{ID: "4f1c6b0e-0000-4000-8000-000000000002", State: actors.Requested, Membership: actors.Membership{Active: true}},
		{
			ID: "4f1c6b0e-0000-4000-8000-000000000003", State: actors.Rejected, Service: "BROKEN",
			Metadata: actors.Metadata{Error: "clone vm: no space left", Reason: "launch failed"},
		},
	},
}

// scripted is a pool that answers what it is told to and notes what it is asked.
type scripted struct {
	view   actors.View
	size   actors.Size
	status actors.Status
	config []byte
	freeze actors.Freeze
	strays []actors.Stray
	err    error
	// What the single machine that it knows has.
	service    actors.Service
	membership actors.Membership
	revision   actors.Revision
	// during, if set, runs inside of every call.
	during func(context.Context)

	mu    sync.Mutex
	calls []string
}

func newScripted() *scripted {
	return &scripted{
		view:   testView,
		size:   actors.Size{Observed: testView.Observed, Desired: 3, Requested: 5, Allocated: 4, Active: 3},
		status: actors.Status{Started: true, Configured: true, Pool: "web"},
		config: []byte(`{"name":"web"}`),
	}
}

func (p *scripted) note(ctx context.Context, format string, args ...any) error {
	p.mu.Lock()
	p.calls = append(p.calls, fmt.Sprintf(format, args...))
	p.mu.Unlock()
	if p.during != nil {
		p.during(ctx)
	}
	return p.err
}

// alter makes a change as a pool does that has no refusal on its lips.
func alter[T any](p *scripted, of *T, to T) actors.Changed[T] {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return actors.Changed[T]{}
	}
	change := actors.Changed[T]{Before: *of, After: to}
	*of = to
	return change
}

func (p *scripted) lower(decrement bool) actors.Changed[int] {
	size := p.requested()
	if decrement {
		size--
	}
	return alter(p, &p.size.Requested, size)
}

func (p *scripted) requested() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size.Requested
}

func (p *scripted) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var last string
	if n := len(p.calls); n > 0 {
		last = p.calls[n-1]
	}
	p.calls = nil
	return last
}

func (p *scripted) View(ctx context.Context) (actors.View, error) { return p.view, p.note(ctx, "view") }

func (p *scripted) Size(ctx context.Context) (actors.Size, error) { return p.size, p.note(ctx, "size") }

func (p *scripted) Resize(ctx context.Context, n int) (actors.Changed[int], error) {
	return alter(p, &p.size.Requested, n), p.note(ctx, "resize %d", n)
}

func (p *scripted) Terminate(ctx context.Context, id string, decrement bool) (actors.Changed[int], error) {
	return p.lower(decrement), p.note(ctx, "terminate %s %t", id, decrement)
}

func (p *scripted) Detach(ctx context.Context, id string, decrement bool) (actors.Changed[int], error) {
	return p.lower(decrement), p.note(ctx, "detach %s %t", id, decrement)
}

func (p *scripted) Attach(ctx context.Context, id string) (actors.Changed[int], error) {
	return alter(p, &p.size.Requested, p.requested()+1), p.note(ctx, "attach %s", id)
}

func (p *scripted) SetServiceState(
	ctx context.Context, id string, state actors.ServiceState, hold bool,
) (actors.Changed[actors.Service], error) {
	after := actors.Service{State: state, Held: hold && state == actors.OutOfService}
	return alter(p, &p.service, after), p.note(ctx, "service %s %s hold=%t", id, state, hold)
}

func (p *scripted) SetMembership(ctx context.Context, id string, m actors.Membership) (actors.Changed[actors.Membership], error) {
	return alter(p, &p.membership, m), p.note(ctx, "membership %s active=%t evictable=%t", id, m.Active, m.Evictable)
}

func (p *scripted) Config(ctx context.Context) ([]byte, error) {
	return p.config, p.note(ctx, "config")
}

func (p *scripted) Configure(ctx context.Context, document []byte) (actors.Reconfigured, error) {
	revision := alter(p, &p.revision, actors.Revision(fmt.Sprint(len(document))))
	var paths []string
	if revision.Before != revision.After {
		paths = []string{"name"}
	}
	return actors.Reconfigured{Changed: revision, Paths: paths}, p.note(ctx, "configure %s", document)
}

func (p *scripted) Start(ctx context.Context) (actors.Changed[bool], error) {
	return alter(p, &p.status.Started, true), p.note(ctx, "start")
}

func (p *scripted) Stop(ctx context.Context) (actors.Changed[bool], error) {
	return alter(p, &p.status.Started, false), p.note(ctx, "stop")
}

func (p *scripted) Status(ctx context.Context) (actors.Status, error) {
	return p.status, p.note(ctx, "status")
}

// safeBuffer is a log that may be written to from many goroutines.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// newTestServer is a server that is not listening, with its log.
func newTestServer(t testing.TB, pool Service, l limits) (*Server, *safeBuffer) {
	t.Helper()
	log := &safeBuffer{}
	s, err := newServer(Options{
		Service:       pool,
		Log:           slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		SelfSignedDir: t.TempDir(),
		Audit:         NewAudit(slog.New(slog.DiscardHandler)),
	}, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.cancel)
	return s, log
}

// call is a request for a handler, without a connection. The body's type is JSON unless said otherwise; "-" is none.
type call struct {
	method, path, body, contentType string
	headers                         map[string]string
}

func (c call) run(s *Server) *fasthttp.Response {
	var request fasthttp.Request
	request.Header.SetMethod(c.method)
	request.Header.SetHost("pool.example")
	request.Header.SetRequestURI(c.path)
	request.SetBodyString(c.body)
	switch {
	case c.contentType == "" && c.body != "":
		request.Header.SetContentType(jsonType)
	case c.contentType != "-":
		request.Header.SetContentType(c.contentType)
	}
	for name, value := range c.headers {
		request.Header.Set(name, value)
	}
	var r fasthttp.RequestCtx
	r.Init(&request, nil, nil)
	s.handle(&r)
	response := &fasthttp.Response{}
	r.Response.CopyTo(response)
	return response
}

type errorDoc struct{ Message, Detail string }

func errorOf(t testing.TB, body []byte) errorDoc {
	t.Helper()
	var fields map[string]string
	if err := json.Unmarshal(body, &fields); err != nil {
		t.Fatalf("error body is not a JSON object of strings: %v: %q", err, body)
	}
	if len(fields) != 2 || fields["message"] == "" || fields["detail"] == "" {
		t.Fatalf("error body must have message and detail: %s", body)
	}
	return errorDoc{fields["message"], fields["detail"]}
}

var update = os.Getenv("UPDATE_GOLDEN") != ""

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (UPDATE_GOLDEN=1 rewrites it)\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

func (p *scripted) Freeze(ctx context.Context, reason string) (actors.Changed[bool], error) {
	return alter(p, &p.freeze.Manual, true), p.note(ctx, "freeze %s", reason)
}

func (p *scripted) Thaw(ctx context.Context, takeOver bool) (actors.Changed[bool], error) {
	return alter(p, &p.freeze.Manual, false), p.note(ctx, "thaw takeOver=%t", takeOver)
}

func (p *scripted) Frozen(ctx context.Context) (actors.Freeze, error) {
	return p.freeze, p.note(ctx, "frozen")
}

func (p *scripted) Orphans(ctx context.Context) ([]actors.Stray, error) {
	return p.strays, p.note(ctx, "orphans")
}
