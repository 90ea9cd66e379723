package vsphere_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// served is a simulator behind a real listener.
func served(t *testing.T) (*simulator.Simulator, vsphere.Connection) {
	t.Helper()
	sim := newSimulator(t, simulator.Options{})
	if _, err := sim.Serve("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	return sim, sim.Connection()
}

func connect(t *testing.T, sim *simulator.Simulator, c vsphere.Connection) *vsphere.Client {
	t.Helper()
	client, err := vsphere.Restless().Connect(t.Context(), pool, c, sim.Template())
	must(t, err)
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	return client
}

// sessions are those that real clients have open, by key.
func sessions(t *testing.T, sim *simulator.Simulator) (*session.Manager, []types.UserSession) {
	t.Helper()
	vc, err := sim.Client(t.Context())
	must(t, err)
	var manager mo.SessionManager
	m := session.NewManager(vc)
	must(t, mo.RetrieveProperties(t.Context(), vc, vc.ServiceContent.PropertyCollector, m.Reference(), &manager))
	var ours []types.UserSession
	for _, s := range manager.SessionList {
		if strings.HasPrefix(s.UserAgent, "vspherepool") {
			ours = append(ours, s)
		}
	}
	return m, ours
}

func terminate(t *testing.T, sim *simulator.Simulator) {
	t.Helper()
	m, open := sessions(t, sim)
	var keys []string
	for _, s := range open {
		keys = append(keys, s.Key)
	}
	must(t, m.TerminateSession(t.Context(), keys))
}

func TestSessionIsRenewed(t *testing.T) {
	t.Parallel()
	sim, connection := served(t)
	client := connect(t, sim, connection)
	ctx := t.Context()
	_, err := client.Hints(ctx)
	must(t, err)
	terminate(t, sim)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, err := client.Sweep(ctx, nil); err != nil {
				t.Error(err)
			}
			if _, err := client.Clones(ctx, ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, open := sessions(t, sim); len(open) != 1 {
		t.Errorf("%d sessions", len(open))
	}
	terminate(t, sim)
	placed := order("web-1")
	task, err := client.Clone(ctx, placed)
	must(t, err)
	terminate(t, sim)
	made, err := client.Await(ctx, task)
	must(t, err)
	for range 2 {
		_, err = client.Hints(ctx)
		must(t, err)
	}
	must(t, client.PowerOn(ctx, vsphere.Ownership{Ref: made.Ref, Machine: placed.ID}))
	if refs, err := client.Hints(ctx); err != nil || len(refs) != 1 {
		t.Errorf("%v, %v", refs, err)
	}
	must(t, client.Close(ctx))
	if _, open := sessions(t, sim); len(open) != 0 {
		t.Errorf("%d sessions after close", len(open))
	}
	_, err = client.Sweep(ctx, nil)
	wantKind(t, err, vsphere.Unreachable)
	must(t, client.Close(ctx))
}

func TestPasswordFile(t *testing.T) {
	t.Parallel()
	sim, connection := served(t)
	file := filepath.Join(t.TempDir(), "password")
	write := func(s string) { must(t, os.WriteFile(file, []byte(s), 0o600)) }
	connection.PasswordFile, connection.Password = file, ""
	k := vsphere.Restless()
	_, err := k.Connect(t.Context(), pool, connection, sim.Template())
	wantKind(t, err, vsphere.Misconfigured)
	write("wrong\n")
	_, err = k.Connect(t.Context(), pool, connection, sim.Template())
	wantKind(t, err, vsphere.BadLogin)
	if strings.Contains(err.Error(), "wrong") {
		t.Errorf("%q tells the password", err)
	}
	write(simulator.Password + "\n")
	k = vsphere.Restless() // a third refusal would have to wait for a minute
	client, err := k.Connect(t.Context(), pool, connection, sim.Template())
	must(t, err)
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	write("rotated")
	terminate(t, sim)
	_, err = client.Sweep(t.Context(), nil)
	wantKind(t, err, vsphere.BadLogin)
	write(simulator.Password)
	_, err = client.Sweep(t.Context(), nil)
	must(t, err)
}

func TestTrust(t *testing.T) {
	t.Parallel()
	sim, pinned := served(t)
	sha256 := pinned.Thumbprints[0]
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(caFile, certificateOf(t, pinned.URL), 0o600))
	for name, row := range map[string]struct {
		edit func(*vsphere.Connection)
		says string
	}{
		"pinned": {func(*vsphere.Connection) {}, ""},
		"one of several pins": {func(c *vsphere.Connection) {
			c.Thumbprints = []string{strings.Repeat("00", 20), strings.ToLower(sha256)}
		}, ""},
		"pin without colons":   {func(c *vsphere.Connection) { c.Thumbprints = []string{strings.ReplaceAll(sha256, ":", "")} }, ""},
		"authority":            {func(c *vsphere.Connection) { c.Thumbprints, c.CAFile = nil, caFile }, ""},
		"unverified":           {func(c *vsphere.Connection) { c.Thumbprints, c.InsecureSkipVerify = nil, true }, ""},
		"untrusted":            {func(c *vsphere.Connection) { c.Thumbprints = nil }, sha256},
		"another's pin":        {func(c *vsphere.Connection) { c.Thumbprints = []string{strings.Repeat("00", 32)} }, sha256},
		"malformed pin":        {func(c *vsphere.Connection) { c.Thumbprints = []string{"00:11"} }, "hexadecimal"},
		"no such authority":    {func(c *vsphere.Connection) { c.CAFile = caFile + "x" }, "caFile"},
		"authority is no PEM":  {func(c *vsphere.Connection) { c.CAFile = os.Args[0] }, "caFile"},
		"address is not a URL": {func(c *vsphere.Connection) { c.URL = "" }, "url"},
		"password in the address": {func(c *vsphere.Connection) {
			c.URL = strings.Replace(c.URL, "https://", "https://pool:hunter2@", 1)
		}, "passwordFile"},
		"address without scheme": {func(c *vsphere.Connection) { c.URL = strings.TrimPrefix(c.URL, "https://") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := pinned
			row.edit(&c)
			client, err := vsphere.NewConnector("").Connect(t.Context(), pool, c, sim.Template())
			if row.says == "" {
				must(t, err)
				must(t, client.Close(t.Context()))
				return
			}
			wantKind(t, err, vsphere.Misconfigured)
			if !strings.Contains(err.Error(), row.says) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q does not say %q", err, row.says)
			}
		})
	}
}

func certificateOf(t *testing.T, u string) []byte {
	t.Helper()
	return pemOf(t, strings.TrimSuffix(strings.TrimPrefix(u, "https://"), "/sdk"))
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	c := vsphere.Connection{URL: "https://" + l.Addr().String(), Username: "pool", Password: "secret"}
	_, err = vsphere.NewConnector("").Connect(t.Context(), pool, c, vsphere.Template{})
	wantKind(t, err, vsphere.Unreachable)
}

func TestPlainHTTPAndServerErrors(t *testing.T) {
	t.Parallel()
	sim, connection := served(t)
	target, err := url.Parse(strings.TrimSuffix(connection.URL, "/sdk"))
	must(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	transport := soap.NewClient(target, true).DefaultTransport()
	proxy.Transport = transport
	var down atomic.Int32
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status := int(down.Load()); status != 0 {
			w.WriteHeader(status)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { front.Close(); transport.CloseIdleConnections() })
	client := connect(t, sim, vsphere.Connection{URL: front.URL + "/sdk", Username: simulator.User, Password: simulator.Password})
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusInternalServerError} {
		down.Store(int32(status))
		_, err = client.Sweep(t.Context(), nil)
		wantKind(t, err, vsphere.Unreachable)
	}
	down.Store(0)
	_, err = client.Sweep(t.Context(), nil)
	must(t, err)
}
