package api

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// maxChains bounds the client certificates that are known to be good.
const maxChains = 1 << 10

// authorities are who may sign client certificates, as of one content of their file.
type authorities struct {
	pool *x509.CertPool

	mu sync.Mutex
	// expiries are those of the chains that were found to be good.
	expiries *lru[[sha256.Size]byte, time.Time]
}

func openAuthorities(name string, log *slog.Logger) (*reloaded[authorities], error) {
	f, err := openReloaded(name, log, loadAuthorities)
	if err != nil {
		return nil, fmt.Errorf("read client authorities: %w", err)
	}
	return f, nil
}

func loadAuthorities(d document) (*authorities, error) {
	a := &authorities{pool: x509.NewCertPool(), expiries: newLRU[[sha256.Size]byte, time.Time](maxChains)}
	if !a.pool.AppendCertsFromPEM(d.text) {
		return nil, fmt.Errorf("%s has no certificate in PEM", d.name)
	}
	return a, nil
}

// verify checks for each request what TLS has checked when the connection was made: since then the client's authority may have been
// removed, and the certificate may have expired. The signatures are checked once for each content of the file.
func (a *authorities) verify(sent []*x509.Certificate, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	id := digest(sent)
	if expires := a.expiries.get(id); expires != nil && now.Before(*expires) {
		return nil
	}
	expires, err := a.follow(sent, now)
	if err == nil {
		*a.expiries.touch(id) = expires
	}
	return err
}

func digest(sent []*x509.Certificate) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, c := range sent {
		h.Write(c.Raw)
	}
	h.Sum(sum[:0])
	return sum
}

// follow checks the signatures up to an authority, and returns until when they hold.
func (a *authorities) follow(sent []*x509.Certificate, now time.Time) (expires time.Time, err error) {
	options := x509.VerifyOptions{
		Roots: a.pool, Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range sent[1:] {
		options.Intermediates.AddCert(c)
	}
	chains, err := sent[0].Verify(options)
	for _, chain := range chains {
		if until := soonest(chain); until.After(expires) {
			expires = until
		}
	}
	return expires, err
}

// soonest is when the first certificate of a chain expires.
func soonest(certificates []*x509.Certificate) time.Time {
	until := certificates[0].NotAfter
	for _, c := range certificates[1:] {
		if c.NotAfter.Before(until) {
			until = c.NotAfter
		}
	}
	return until
}

// clientTLS has each handshake ask for certificates of the authorities that the file names now. Sessions are not resumed, as a resumed
// one would show certificates that were checked when it began.
func clientTLS(config *tls.Config, clients *reloaded[authorities], required bool) {
	config.SessionTicketsDisabled = true
	config.ClientAuth = tls.VerifyClientCertIfGiven
	if required {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		fresh := config.Clone()
		fresh.ClientCAs = clients.at(time.Now()).pool
		return fresh, nil
	}
}
