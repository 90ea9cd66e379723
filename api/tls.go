package api

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// keyPair is the server's certificate and key, kept in step with their files. Connections that are open go on with the one they
// have seen.
type keyPair struct {
	certFile, keyFile string
	// renew, if set, sees to it that the files hold a usable pair.
	renew func() error
	log   *slog.Logger

	mu      sync.Mutex
	loaded  [2]os.FileInfo
	failure error
	current atomic.Pointer[tls.Certificate]
}

func openKeyPair(o Options) (*keyPair, error) {
	p := &keyPair{certFile: o.CertFile, keyFile: o.KeyFile, log: o.Log}
	switch {
	case o.CertFile == "" && o.KeyFile == "" && o.SelfSignedDir != "":
		pair := selfSigned(o.SelfSignedDir)
		p.certFile, p.keyFile, p.renew = pair.certFile(), pair.keyFile(), pair.ensure
	case o.CertFile == "" || o.KeyFile == "":
		return nil, errors.New("open server certificate: give both a certificate file and a key file")
	}
	if err := p.refresh(); err != nil {
		return nil, fmt.Errorf("open server certificate: %w", err)
	}
	return p, nil
}

// certificate is for tls.Config.GetCertificate. Looking at two files costs nothing next to a handshake, and needs no watcher. A pair that
// cannot be read, perhaps because only one of the files is replaced yet, leaves the last one in place. Who comes while another looks is not
// kept waiting.
func (p *keyPair) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if p.mu.TryLock() {
		defer p.mu.Unlock()
		p.report(p.refresh())
	}
	return p.current.Load(), nil
}

// report warns of a failure to reload, but not again for each handshake.
func (p *keyPair) report(err error) {
	if err != nil && (p.failure == nil || p.failure.Error() != err.Error()) {
		p.log.Warn("server certificate not reloaded, the last one stays in use", "err", err)
	}
	p.failure = err
}

// refresh loads the pair if the files are not those loaded last.
func (p *keyPair) refresh() error {
	if current := p.current.Load(); p.renew != nil && (current == nil || expiring(current.Leaf, time.Now())) {
		if err := p.renew(); err != nil {
			return err
		}
	}
	found, err := statBoth(p.certFile, p.keyFile)
	if err != nil {
		return err
	}
	if same(found[0], p.loaded[0]) && same(found[1], p.loaded[1]) {
		return nil
	}
	pair, err := loadKeyPair(p.certFile, p.keyFile)
	if err != nil {
		return err
	}
	p.loaded = found
	p.current.Store(&pair)
	return nil
}

func loadKeyPair(certFile, keyFile string) (tls.Certificate, error) {
	certificate, _, err := readDocument(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, _, err := readDocument(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certificate.text, key.text)
}

func statBoth(certFile, keyFile string) (found [2]os.FileInfo, err error) {
	if found[0], err = os.Stat(certFile); err != nil {
		return found, err
	}
	found[1], err = os.Stat(keyFile)
	return found, err
}

func same(a, b os.FileInfo) bool {
	return b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// tlsConfig is for a server with that pair; clients are nil where nobody is asked for a certificate.
func tlsConfig(p *keyPair, clients *reloaded[authorities], required bool) *tls.Config {
	config := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: p.certificate,
	}
	if clients != nil {
		clientTLS(config, clients, required)
	}
	return config
}
