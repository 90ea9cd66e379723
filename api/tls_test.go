package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pairIn makes a certificate and key in a new directory.
func pairIn(t *testing.T) selfSigned {
	t.Helper()
	d := selfSigned(t.TempDir())
	if err := d.ensure(); err != nil {
		t.Fatal(err)
	}
	return d
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// serial is that of the certificate a new connection sees.
func (run *running) serial(t *testing.T) string {
	t.Helper()
	c, err := tls.Dial("tcp", run.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// TestReloadWaitsForNobody puts named pipes in the places of files: nothing waits for who may write into them, and a file
// that comes back counts.
func TestReloadWaitsForNobody(t *testing.T) {
	pair := pairIn(t)
	p, err := openKeyPair(Options{CertFile: pair.certFile(), KeyFile: pair.keyFile(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	before, _ := p.certificate(nil)
	users := usersFile(t, "a:$x509:admin")
	accounts, err := openUsers(users, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{pair.certFile(), pair.keyFile(), users} {
		if err := errors.Join(os.Remove(name), syscall.Mkfifo(name, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if after, err := p.certificate(nil); after != before || err != nil {
		t.Errorf("%v, %v", after, err)
	}
	if accounts.at(time.Now()).subjects["a"] == nil {
		t.Error("a pipe took the users away")
	}
	writeUsers(t, users, "b:$x509:admin")
	if accounts.at(time.Now().Add(time.Minute)).subjects["b"] == nil {
		t.Error("the users' file that came back is not read")
	}
}

func TestCertificateIsReloaded(t *testing.T) {
	a, b := pairIn(t), pairIn(t)
	log := &safeBuffer{}
	s, err := NewServer(Options{
		Service: newScripted(), Log: slog.New(slog.NewTextHandler(log, nil)), CertFile: a.certFile(), KeyFile: a.keyFile(),
	})
	if err != nil {
		t.Fatal(err)
	}
	run := serve(t, s)
	if s.CertificateFile() != a.certFile() {
		t.Errorf("certificate file %s", s.CertificateFile())
	}
	get := func() {
		response, err := run.client.Get("https://" + run.addr + "/status")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body) // so that the connection is used again
		_ = response.Body.Close()
	}
	get()
	before := run.serial(t)

	copyFile(t, b.certFile(), a.certFile())
	for range 2 {
		if run.serial(t) != before {
			t.Error("half a pair was served")
		}
	}
	if got := strings.Count(log.String(), "not reloaded"); got != 1 {
		t.Errorf("%d warnings of the half pair:\n%s", got, log)
	}
	copyFile(t, b.keyFile(), a.keyFile())
	after := run.serial(t)
	if after == before {
		t.Error("the new pair is not served")
	}
	get() // over the old connection: a new one would not trust the new certificate
	if err := os.Remove(a.certFile()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if run.serial(t) != after {
			t.Error("a missing file took the certificate away")
		}
	}
	if got := strings.Count(log.String(), "not reloaded"); got != 2 {
		t.Errorf("%d warnings in all:\n%s", got, log)
	}
}

func TestClientCertificateIsRequired(t *testing.T) {
	ours, file := authority(t)
	foreign, _ := authority(t)
	s, err := NewServer(Options{
		Service: newScripted(), Log: slog.New(slog.DiscardHandler), SelfSignedDir: t.TempDir(), ClientCAFile: file,
	})
	if err != nil {
		t.Fatal(err)
	}
	run := serve(t, s)
	get := func(certs ...tls.Certificate) error {
		trust := run.trust.Clone()
		trust.Certificates = certs
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: trust}}
		defer client.CloseIdleConnections()
		response, err := client.Get("https://" + run.addr + "/status")
		if err == nil {
			err = response.Body.Close()
		}
		return err
	}
	if err := get(); err == nil {
		t.Error("taken without a certificate")
	}
	if err := get(issued(t, foreign)); err == nil {
		t.Error("taken with a foreign certificate")
	}
	if err := get(issued(t, ours)); err != nil {
		t.Errorf("refused with a certificate of the authority: %v", err)
	}
}

func clientPair(t *testing.T, d selfSigned) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(d.certFile(), d.keyFile())
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestOldProtocolsAreRefused(t *testing.T) {
	server, _ := newTestServer(t, newScripted(), defaultLimits)
	run := serve(t, server)
	for version, allowed := range map[uint16]bool{
		tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true,
	} {
		trust := run.trust.Clone()
		trust.MinVersion, trust.MaxVersion = version, version
		c, err := tls.Dial("tcp", run.addr, trust)
		if (err == nil) != allowed {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			_ = c.Close()
		}
	}
}

func TestSelfSigned(t *testing.T) {
	server, _ := newTestServer(t, newScripted(), defaultLimits)
	run := serve(t, server)
	_, port, _ := net.SplitHostPort(run.addr)
	response, err := run.client.Get("https://localhost:" + port + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()

	leaf := server.pair.current.Load().Leaf
	for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
		if err := leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if leaf.VerifyHostname("example.com") == nil {
		t.Error("good for any host")
	}
	info, err := os.Stat(server.pair.keyFile)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v %v", info.Mode(), err)
	}
}

func TestSelfSignedIsKeptWhileUsable(t *testing.T) {
	d := pairIn(t)
	serial := func() string { return clientPair(t, d).Leaf.SerialNumber.String() }
	first := serial()
	if err := d.ensure(); err != nil || serial() != first {
		t.Errorf("made again for nothing: %v", err)
	}
	for name, damage := range map[string]func(){
		"key gone":    func() { _ = os.Remove(d.keyFile()) },
		"cert empty":  func() { _ = os.WriteFile(d.certFile(), nil, 0o600) },
		"other's key": func() { copyFile(t, pairIn(t).keyFile(), d.keyFile()) },
		"almost over": func() { writeAged(t, d, selfSignedValidity-selfSignedMargin+time.Hour) },
		"over":        func() { writeAged(t, d, 2*selfSignedValidity) },
		"not yet":     func() { writeAged(t, d, -48*time.Hour) },
	} {
		damage()
		before, _ := os.ReadFile(d.certFile())
		if err := d.ensure(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		after, _ := os.ReadFile(d.certFile())
		if string(before) == string(after) || !d.usable(time.Now()) {
			t.Errorf("%s: not made again", name)
		}
	}
}

// writeAged puts a pair of a given age in place.
func writeAged(t *testing.T, d selfSigned, age time.Duration) {
	t.Helper()
	cert, key, err := makeSelfSigned(time.Now().Add(-age))
	if err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(d.certFile(), cert, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(d.keyFile(), key, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSelfSignedIsRenewedWhileServing(t *testing.T) {
	server, _ := newTestServer(t, newScripted(), defaultLimits)
	run := serve(t, server)
	dir := selfSigned(filepath.Dir(server.CertificateFile()))
	writeAged(t, dir, selfSignedValidity)
	aged := clientPair(t, dir).Leaf.SerialNumber.String()
	run.serial(t) // takes note of the aged pair
	if got := run.serial(t); got == aged || !dir.usable(time.Now()) {
		t.Error("the aged certificate is still served")
	}
}

func TestBadOptions(t *testing.T) {
	d := pairIn(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("no pem"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"nothing":            {},
		"no key":             {CertFile: d.certFile(), SelfSignedDir: t.TempDir()},
		"no certificate":     {KeyFile: d.keyFile(), SelfSignedDir: t.TempDir()},
		"missing file":       {CertFile: file + "x", KeyFile: d.keyFile()},
		"not a certificate":  {CertFile: file, KeyFile: d.keyFile()},
		"directory is file":  {SelfSignedDir: file},
		"authorities absent": {SelfSignedDir: t.TempDir(), ClientCAFile: file + "x"},
		"authorities empty":  {SelfSignedDir: t.TempDir(), ClientCAFile: file},
	} {
		o.Service, o.Log = newScripted(), slog.New(slog.DiscardHandler)
		if _, err := NewServer(o); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}

// authority makes a certificate authority and its PEM file.
func authority(t *testing.T) (ca tls.Certificate, file string) {
	t.Helper()
	template, err := selfSignedTemplate(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	template.ExtKeyUsage = nil
	ca = sign(t, template, nil)
	file = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate[0]})
	if err := os.WriteFile(file, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return ca, file
}

// issued is a client certificate that the authority has signed.
func issued(t *testing.T, ca tls.Certificate) tls.Certificate {
	t.Helper()
	template, err := selfSignedTemplate(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	template.Subject.CommonName = "client"
	template.IsCA, template.KeyUsage = false, x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return sign(t, template, &ca)
}

// sign makes a certificate, self-signed if there is no authority.
func sign(t testing.TB, template *x509.Certificate, ca *tls.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := template, any(key)
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}
