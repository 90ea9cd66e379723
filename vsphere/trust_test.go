package vsphere_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/soap"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// renewable is a front of the simulator whose certificate can be renewed.
type renewable struct {
	*httptest.Server
	current atomic.Pointer[tls.Certificate]
}

func newRenewable(t *testing.T, direct vsphere.Connection) *renewable {
	t.Helper()
	target, err := url.Parse(strings.TrimSuffix(direct.URL, "/sdk"))
	must(t, err)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = transport
	f := &renewable{Server: httptest.NewUnstartedServer(proxy)}
	f.renew(t)
	f.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{*f.current.Load()}}, nil
	}}
	f.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.StartTLS()
	t.Cleanup(func() { f.Close(); transport.CloseIdleConnections() })
	return f
}

// renew changes the certificate, as vCenter's own renewal does, which restarts its services.
func (f *renewable) renew(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	spec := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "vcenter.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"vcenter.example"},
	}
	der, err := x509.CreateCertificate(rand.Reader, spec, spec, key.Public(), key)
	must(t, err)
	leaf, err := x509.ParseCertificate(der)
	must(t, err)
	f.current.Store(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf})
	if f.URL != "" {
		f.CloseClientConnections()
	}
}

func (f *renewable) authority() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.current.Load().Leaf.Raw})
}

func (f *renewable) print() string { return soap.ThumbprintSHA256(f.current.Load().Leaf) }

func TestRenewedCertificate(t *testing.T) {
	t.Parallel()
	sim, direct := served(t)
	f := newRenewable(t, direct)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(caFile, f.authority(), 0o600))
	k := vsphere.NewConnector("")
	c := vsphere.Connection{URL: f.URL, Username: simulator.User, Password: simulator.Password, CAFile: caFile}
	client, err := k.Connect(t.Context(), pool, c, sim.Template())
	must(t, err)
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	f.renew(t)
	_, _ = client.Sweep(t.Context(), nil) // may still meet the connection that was cut
	_, err = client.Sweep(t.Context(), nil)
	wantKind(t, err, vsphere.Unreachable)
	if !strings.Contains(err.Error(), f.print()) {
		t.Errorf("%q does not tell the new fingerprint", err)
	}
	must(t, os.WriteFile(caFile, f.authority(), 0o600))
	_, err = client.Sweep(t.Context(), nil)
	must(t, err)
	if _, open := sessions(t, sim); len(open) != 1 {
		t.Errorf("%d sessions", len(open))
	}

	c.CAFile, c.Thumbprints = "", []string{f.print()}
	f.renew(t)
	_, err = k.Connect(t.Context(), pool, c, sim.Template())
	wantKind(t, err, vsphere.Misconfigured)
	if !strings.Contains(err.Error(), f.print()) {
		t.Errorf("%q does not tell the new fingerprint", err)
	}
	c.Thumbprints = append(c.Thumbprints, f.print())
	pinned, err := k.Connect(t.Context(), pool, c, sim.Template())
	must(t, err)
	must(t, pinned.Close(t.Context()))
}

// tunnel is an HTTP proxy that leads everything to one address, and counts.
func tunnel(t *testing.T, to string) (address string, used *atomic.Int32) {
	t.Helper()
	used = &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != "vcenter.example:443" {
			http.Error(w, r.Host, http.StatusForbidden)
			return
		}
		used.Add(1)
		splice(w, to)
	}))
	t.Cleanup(server.Close)
	return server.URL, used
}

func splice(w http.ResponseWriter, to string) {
	far, err := net.Dial("tcp", to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	near, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		far.Close()
		return
	}
	_, _ = near.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	go func() { _, _ = io.Copy(near, bufio.NewReader(far)); near.Close() }()
	_, _ = io.Copy(far, buffered)
	far.Close()
}

const proxied = "VSPHEREPOOL_TEST_PROXIED"

// The environment's proxy is read once per process, so the client is one of its own.
func TestEnvironmentsProxy(t *testing.T) {
	if caFile := os.Getenv(proxied); caFile != "" {
		throughProxy(t, caFile)
		return
	}
	t.Parallel()
	_, direct := served(t)
	f := newRenewable(t, direct)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(caFile, f.authority(), 0o600))
	address, used := tunnel(t, f.Listener.Addr().String())
	cmd := exec.Command(os.Args[0], "-test.run=^TestEnvironmentsProxy$")
	cmd.Env = append(os.Environ(), "HTTPS_PROXY="+address, "NO_PROXY=", proxied+"="+caFile)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if used.Load() == 0 {
		t.Error("the proxy was not used")
	}
}

func throughProxy(t *testing.T, caFile string) {
	t.Helper()
	c := vsphere.Connection{URL: "https://vcenter.example/sdk", Username: simulator.User, Password: simulator.Password, CAFile: caFile}
	template := vsphere.Template{
		Template: "/DC0/vm/templates/ubuntu-24.04", Folder: "/DC0/vm/pools/web", ResourcePool: "/DC0/host/DC0_C0/Resources",
	}
	client, err := vsphere.NewConnector("").Connect(t.Context(), pool, c, template)
	must(t, err)
	must(t, client.Close(t.Context()))
	c.CAFile = ""
	_, err = vsphere.NewConnector("").Connect(t.Context(), pool, c, template)
	wantKind(t, err, vsphere.Misconfigured)
}
