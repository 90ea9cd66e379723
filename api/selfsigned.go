package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	// selfSignedValidity is the most that current clients accept of a server certificate (398 days), rounded down.
	selfSignedValidity = 365 * 24 * time.Hour
	// selfSignedMargin is how long before its end a certificate is replaced.
	selfSignedMargin = 30 * 24 * time.Hour
	// clockSkew is how far a client's clock may be behind.
	clockSkew = time.Hour
)

// selfSigned is the directory of a certificate for localhost, for those who have none yet.
type selfSigned string

func (d selfSigned) certFile() string { return filepath.Join(string(d), "tls-cert.pem") }
func (d selfSigned) keyFile() string  { return filepath.Join(string(d), "tls-key.pem") }

// ensure makes a new pair unless there is a usable one.
func (d selfSigned) ensure() error {
	now := time.Now()
	if d.usable(now) {
		return nil
	}
	cert, key, err := makeSelfSigned(now)
	if err != nil {
		return fmt.Errorf("make self-signed certificate: %w", err)
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return fmt.Errorf("keep self-signed certificate: %w", err)
	}
	if err := replaceFile(d.keyFile(), key, 0o600); err != nil {
		return fmt.Errorf("keep self-signed key: %w", err)
	}
	if err := replaceFile(d.certFile(), cert, 0o644); err != nil {
		return fmt.Errorf("keep self-signed certificate: %w", err)
	}
	return nil
}

func (d selfSigned) usable(now time.Time) bool {
	pair, err := tls.LoadX509KeyPair(d.certFile(), d.keyFile())
	if err != nil {
		return false
	}
	return !expiring(pair.Leaf, now)
}

// expiring says whether a self-signed certificate is to be replaced; one from the future is no better than an old one.
func expiring(leaf *x509.Certificate, now time.Time) bool {
	return now.Before(leaf.NotBefore) || now.Add(selfSignedMargin).After(leaf.NotAfter)
}

func makeSelfSigned(now time.Time) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template, err := selfSignedTemplate(now)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	return cert, key, nil
}

// selfSignedTemplate is a certificate that is its own authority, which is what strict clients (Python 3.13 on) want to trust by file.
func selfSignedTemplate(now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "vspherepool self-signed"},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(selfSignedValidity),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}, nil
}

// replaceFile swaps a file's content in one step; it never has other permissions than asked for.
func replaceFile(name string, content []byte, mode os.FileMode) error {
	temporary := name + ".new"
	if err := os.Remove(temporary); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := os.WriteFile(temporary, content, mode); err != nil {
		return err
	}
	return os.Rename(temporary, name)
}
