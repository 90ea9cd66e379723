package vsphere

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/vmware/govmomi/vim25/soap"
)

func TestCertificateIsForItsHost(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	state := handshake(t, server)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	write := func(b []byte) {
		if err := os.WriteFile(caFile, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: state.PeerCertificates[0].Raw}))
	for host, trusted := range map[string]bool{"127.0.0.1": true, "example.com": true, "127.0.0.2": false, "vcenter.example": false} {
		err := trust{host: host, caFile: caFile}.verify(state)
		if (err == nil) != trusted || !trusted && distrust(err) == "" {
			t.Errorf("%s: %v", host, err)
		}
	}
	write([]byte("renewed, badly"))
	if err := (trust{host: "127.0.0.1", caFile: caFile}).verify(state); KindOf(err) != Misconfigured {
		t.Errorf("the file is not read again: %v", err)
	}
}

// A proxy's certificate is none of vCenter's: neither its pins nor its authority vouch for it.
func TestProxyHasItsOwnCertificate(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	state := handshake(t, server)
	pinned := trust{host: "127.0.0.1", prints: map[string]bool{plainPrint(soap.ThumbprintSHA256(state.PeerCertificates[0])): true}}
	for host, trusted := range map[string]bool{"": true, "vcenter.example": true, "proxy.example": false} {
		state.ServerName, pinned.host = host, "vCenter.example."
		if err := pinned.verify(state); (err == nil) != trusted || !trusted && distrust(err) == "" {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func handshake(t *testing.T, server *httptest.Server) tls.ConnectionState {
	t.Helper()
	conn, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState()
}

// A connection that was closed while it was idle costs nothing, and the request reaches the server once.
func TestIdleConnectionIsClosed(t *testing.T) {
	requests := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- string(body)
	}))
	defer server.Close()
	cut := &cutting{}
	client := http.Client{Transport: rewinding{&http.Transport{DialContext: cut.dial}}}
	defer client.CloseIdleConnections()
	for range 2 {
		res, err := client.Post(server.URL, "text/xml", io.MultiReader(strings.NewReader("once")))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		cut.writes.Store(true)
	}
	if len(requests) != 2 || <-requests != "once" || <-requests != "once" {
		t.Errorf("%d requests", len(requests))
	}
}

// cutting breaks the writes to its first connection when it is told to, without the reader's knowledge.
type cutting struct {
	writes atomic.Bool
	dialed atomic.Int32
}

func (c *cutting) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if c.dialed.Add(1) == 1 {
		return &cutConn{conn, c}, err
	}
	return conn, err
}

type cutConn struct {
	net.Conn
	*cutting
}

func (c *cutConn) Write(b []byte) (int, error) {
	if c.writes.Load() {
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(b)
}

// Nobody answers, or somebody else does: the error says where to look.
func TestUnreachedSaysWhereToLook(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	for name, row := range map[string]struct{ url, says string }{
		"wrong path":        {plain.URL + "/nope", "the path in url"},
		"no TLS":            {strings.Replace(plain.URL, "http://", "https://", 1) + "/sdk", "without TLS"},
		"nobody listens":    {"https://" + closed.Addr().String() + "/sdk", "the port in url"},
		"no such host name": {"https://vcenter.invalid/sdk", "the host name in url"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewConnector("test").Connect(t.Context(), "web", Connection{URL: row.url, Username: "u", Password: "p"}, Template{})
			if KindOf(err) != Unreachable || !strings.Contains(err.Error(), row.says) {
				t.Errorf("%s: %v", KindOf(err), err)
			}
		})
	}
}

// TestAnswersThatEndLateKeepTheirConnection is answered in chunks, with an end that whoever reads up to the last element does not see.
func TestAnswersThatEndLateKeepTheirConnection(t *testing.T) {
	var connections atomic.Int32
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "<answer/>")
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, "\n")
	}))
	front.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	front.Start()
	defer front.Close()
	client := http.Client{Transport: draining{rewinding{&http.Transport{}}}}
	defer client.CloseIdleConnections()
	for range 5 {
		res, err := client.Get(front.URL)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(res.Body, make([]byte, len("<answer/>"))); err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}
