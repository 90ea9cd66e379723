package vsphere

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
)

// callTimeout bounds every single call. vCenter answers within seconds when it answers; its long work happens in tasks.
const callTimeout = time.Minute

// idleConnections are kept for the calls to come: as many as are made at the same time when a pool is busy. Go's default of two would have
// most calls then pay for a TLS handshake.
const idleConnections = 100

// dial prepares a client and reads the service content, which needs no login.
func dial(ctx context.Context, c Connection, agent string) (*vim25.Client, error) {
	client, err := endpoint(c, agent)
	if err != nil {
		return nil, err
	}
	vc, err := vim25.NewClient(ctx, client)
	if err != nil {
		client.CloseIdleConnections()
	}
	if distrust(err) != "" {
		err = &Error{Kind: Misconfigured, Err: err, Hint: distrust(err)}
	}
	return vc, err
}

// endpoint is how to call the vCenter: directly, or through the proxy that HTTPS_PROXY and NO_PROXY name.
func endpoint(c Connection, agent string) (*soap.Client, error) {
	u, err := soap.ParseURL(c.URL)
	if err != nil || u == nil || u.Host == "" {
		return nil, misconfigured("url", "it is not a URL", "it must look like https://vcenter.example/sdk")
	}
	if _, secret := u.User.Password(); secret && u.User.String() != ":" {
		return nil, misconfigured("url", "it holds a user name or a password", "set username and passwordFile instead: a URL is shown to many")
	}
	trusted, err := newTrust(c, u)
	if err != nil {
		return nil, err
	}
	client := soap.NewClient(u, false)
	client.Timeout = callTimeout
	client.UserAgent = agent
	transport := client.DefaultTransport()
	transport.MaxIdleConnsPerHost = idleConnections
	transport.DialTLSContext = nil // govmomi's knows one thumbprint per host and does not honour contexts
	transport.TLSClientConfig = trusted.config()
	client.Transport = draining{rewinding{transport}}
	return client, nil
}

// draining reads answers to their ends. govmomi stops at the last element, and what follows it, if only the end of a chunked answer, would
// cost the connection: each of the larger answers another TLS handshake.
type draining struct{ rewinding }

// leftover bounds what is read after an answer's last element.
const leftover = 4096

// RoundTrip implements [http.RoundTripper].
func (d draining) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := d.rewinding.RoundTrip(req)
	if err == nil {
		res.Body = drained{res.Body}
	}
	return res, err
}

type drained struct{ io.ReadCloser }

// Close implements [io.Closer].
func (d drained) Close() error {
	_, _ = io.CopyN(io.Discard, d.ReadCloser, leftover)
	return d.ReadCloser.Close()
}

// rewinding lets the transport begin anew with a request of which not one byte was sent, because vCenter had closed the idle connection
// a moment before. govmomi's requests cannot be read twice, so that each such connection would look like an outage.
type rewinding struct{ *http.Transport }

// RoundTrip implements [http.RoundTripper].
func (r rewinding) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body == nil || req.GetBody != nil {
		return r.Transport.RoundTrip(req)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	again := req.WithContext(req.Context())
	again.ContentLength = int64(len(body))
	again.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	again.Body, _ = again.GetBody()
	return r.Transport.RoundTrip(again)
}

// trust decides which certificate is vCenter's.
type trust struct {
	host     string
	caFile   string
	prints   map[string]bool
	insecure bool
}

func newTrust(c Connection, u *url.URL) (trust, error) {
	t := trust{host: u.Hostname(), caFile: c.CAFile, insecure: c.InsecureSkipVerify, prints: map[string]bool{}}
	for i, text := range c.Thumbprints {
		plain := plainPrint(text)
		if b, err := hex.DecodeString(plain); err != nil || len(b) != 20 && len(b) != 32 {
			return t, misconfigured("", fmt.Sprintf("thumbprint %d is neither SHA-1 nor SHA-256", i+1),
				"write 20 or 32 bytes in hexadecimal, colons optional")
		}
		t.prints[plain] = true
	}
	_, err := t.roots()
	return t, err
}

// ValidThumbprint says whether a text is a SHA-1 or SHA-256 fingerprint in hexadecimal, with or without colons.
func ValidThumbprint(text string) bool {
	b, err := hex.DecodeString(plainPrint(text))
	return err == nil && (len(b) == sha1.Size || len(b) == sha256.Size)
}

func plainPrint(s string) string {
	return strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(s))
}

// config leaves the whole verification to verify, which knows thumbprints and reads the roots anew.
func (t trust) config() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true,
		VerifyConnection:   t.verify,
	}
}

// verify accepts a certificate that is pinned, or that chains to the roots and is for vCenter's host. A proxy that is itself reached by
// TLS shows its own first, which has to satisfy the system; neither the pins nor the roots are meant for it.
func (t trust) verify(state tls.ConnectionState) error {
	if name := state.ServerName; name != "" && !strings.EqualFold(name, strings.TrimRight(t.host, ".")) {
		return chains(state, name, nil)
	}
	leaf := state.PeerCertificates[0]
	if t.insecure || t.prints[plainPrint(soap.ThumbprintSHA256(leaf))] || t.prints[plainPrint(soap.ThumbprintSHA1(leaf))] {
		return nil
	}
	roots, err := t.roots()
	if err != nil {
		return err
	}
	return chains(state, t.host, roots)
}

// chains says whether the certificate shown is the host's and chains to the roots; nil stands for the system's.
func chains(state tls.ConnectionState, host string, roots *x509.CertPool) error {
	between := x509.NewCertPool()
	for _, certificate := range state.PeerCertificates[1:] {
		between.AddCert(certificate)
	}
	options := x509.VerifyOptions{Roots: roots, DNSName: host, Intermediates: between}
	if _, err := state.PeerCertificates[0].Verify(options); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
	}
	return nil
}

// roots are read at each handshake, so that a renewed authority needs no restart; nil stands for the system's.
func (t trust) roots() (*x509.CertPool, error) {
	if t.caFile == "" {
		return nil, nil
	}
	pem, err := readFile(t.caFile)
	if err == nil {
		pool := x509.NewCertPool()
		if pool.AppendCertsFromPEM(pem) {
			return pool, nil
		}
		err = errors.New("no certificate in it")
	}
	return nil, &Error{Kind: Misconfigured, Object: t.caFile, Err: err, Hint: "caFile must hold PEM certificates"}
}
