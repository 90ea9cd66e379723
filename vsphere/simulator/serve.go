package simulator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/vmware/govmomi/pbm"
	pbmsimulator "github.com/vmware/govmomi/pbm/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"

	"vspherepool/vsphere"
)

// The one account of the endpoint. They are no secret: the endpoint is for playing with, and belongs on loopback.
const (
	User     = "administrator@vsphere.local"
	Password = "simulator"
)

// Serve publishes the SOAP endpoint at host:port over TLS with a new self-signed certificate, and returns its URL. Port 0 picks one.
func (s *Simulator) Serve(listen string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gate.ctx.Err() != nil {
		return "", errors.New("serve simulator: it is closed")
	}
	if s.server != nil {
		return "", errors.New("serve simulator: it is served already")
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return "", fmt.Errorf("serve simulator: %w", err)
	}
	host := endpointHost(l.Addr())
	cert, err := selfSigned(host)
	if err != nil {
		_ = l.Close()
		return "", fmt.Errorf("make simulator certificate: %w", err)
	}
	u := &url.URL{Scheme: "https", Host: host, Path: vim25.Path}
	s.conn = vsphere.Connection{URL: u.String(), Username: User, Password: s.password, Thumbprints: []string{soap.ThumbprintSHA256(cert.Leaf)}}
	s.server = &http.Server{
		Handler:           s.handler(host),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: 10 * time.Second,
	}
	server := s.server
	s.workers.Go(func() { _ = server.ServeTLS(l, "", "") })
	return s.conn.URL, nil
}

// handler serves SOAP, vCenter's and that of the storage policies, and nothing else; vcsim's own server would add unauthenticated file
// transfer.
func (s *Simulator) handler(host string) http.Handler {
	service := s.model.Service
	service.Listen = &url.URL{Scheme: "https", Host: host, User: url.UserPassword(User, s.password)}
	service.RegisterSDK(s.model.Map(), vim25.Path+"/vimService")
	mux := http.NewServeMux()
	mux.HandleFunc(vim25.Path, service.ServeSDK)
	mux.HandleFunc(vim25.Path+"/vimService", service.ServeSDK)
	mux.HandleFunc(vim25.Path+"/vimServiceVersions.xml", service.ServiceVersions)
	service.RegisterSDK(pbmsimulator.New())
	mux.HandleFunc(pbm.Path, service.ServeSDK)
	return mux
}

// Connection is how to log in to the served endpoint, its certificate pinned by thumbprint. Zero before Serve.
func (s *Simulator) Connection() vsphere.Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn
}

func (s *Simulator) closeServer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		_ = s.server.Close()
	}
}

// endpointHost is host:port to reach a listener at: a wildcard address is replaced by loopback.
func endpointHost(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

func selfSigned(hostport string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, err
	}
	spec := certificate(hostport, serial)
	der, err := x509.CreateCertificate(rand.Reader, spec, spec, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

func certificate(hostport string, serial *big.Int) *x509.Certificate {
	now := time.Now()
	spec := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "vspherepool simulator"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		if ip := net.ParseIP(host); ip != nil {
			spec.IPAddresses = append(spec.IPAddresses, ip)
		}
	}
	return spec
}
