package api

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/fasthttp/router"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
)

// Options are what a server needs.
type Options struct {
	Service Service
	Log     *slog.Logger
	// CertFile and KeyFile are the server certificate, with its chain, and its key, in PEM. They are read again when they change.
	CertFile, KeyFile string
	// ClientCAFile, if set, makes the server require client certificates that one of the authorities in this PEM file has signed. It is
	// read again when it changes, for open connections too.
	ClientCAFile string
	// ClientCertOptional lets users of UsersFile in without such a certificate.
	ClientCertOptional bool
	// ClientRole is one of [Roles]: that of certificates whose subject UsersFile does not name. Empty is nobody; without a UsersFile, admin.
	ClientRole string
	// UsersFile, if set, is a file of [Users], who have to log in. It is read again when it changes. Without it and ClientCAFile whoever
	// reaches the server may do anything.
	UsersFile string
	// SelfSignedDir is where a certificate for localhost is made and kept when CertFile is empty.
	SelfSignedDir string
	// Audit is told of all changes, and of what was refused; nil: the Log is. Whoever made it closes it after the server.
	Audit *Audit
	// Metrics are shown at /metrics, and the server adds its own to them; nil: its own only.
	Metrics *prometheus.Registry
}

// limits bound what a client can hold open.
type limits struct {
	// request is how long an operation may take; clients give up after 60 seconds.
	request time.Duration
	// handshake is for TLS; head for the wait for a first request, and for each request from its first byte to the end of its headers;
	// read for the body after them; write for each answer; idle between requests. Each runs from its beginning and is not extended by
	// what arrives meanwhile.
	handshake, head, read, write, idle time.Duration
	// header, body and config are bytes: request line with headers, any body, the body of POST /config.
	header, body, config int
	// conns is for all clients together, perIP for those of one address; see [crowd].
	conns, perIP int
	// uploads are the bodies that may arrive at once, and from one address, of those that are too large for anything but POST /config; see
	// [upload].
	uploads crowding
	// reads, writes and slow bound the operations in flight; see [class].
	reads, writes, slow crowding
}

// crowding is how many operations may be in flight of all clients together, and of each; 0: of each as many as of all.
type crowding struct{ total, each int }

var defaultLimits = limits{
	request:   55 * time.Second,
	handshake: 10 * time.Second,
	head:      10 * time.Second,
	read:      20 * time.Second,
	write:     30 * time.Second,
	idle:      2 * time.Minute,
	header:    8 << 10,
	body:      64 << 10,
	config:    1 << 20,
	// Real clients have a few connections each. These are as many as cost some 150 MB when all of them wait, each with its buffers.
	conns:   4096,
	perIP:   1024,
	uploads: crowding{16, 4},
	// A read takes microseconds, so that the limit is for a pool that has stopped answering; a client is bounded by its connections.
	reads: crowding{total: 2048},
	// A write takes a few milliseconds, and one that is refused may be a resize in an emergency.
	writes: crowding{512, 256},
	// These can hang for as long as vCenter does, and each keeps a request in memory.
	slow: crowding{256, 64},
}

// spare are the file descriptors that are left to everything else: the journal, vCenter, certificates, the log.
const spare = 128

// within are the limits for a process that may have only so many file descriptors: connections never take the last ones, and those of one
// address never more than half.
func (l limits) within(descriptors int) limits {
	l.conns = max(1, min(l.conns, descriptors-spare))
	l.perIP = max(1, min(l.perIP, l.conns/2))
	return l
}

// Server is the HTTPS server of one pool.
type Server struct {
	log       *slog.Logger
	limits    limits
	endpoints endpoints
	metrics   *metrics
	audit     *Audit
	auth      authenticator
	router    *router.Router
	// plain are the reads by what most requests for them say, so that those need no router.
	plain   map[string]fasthttp.RequestHandler
	pair    *keyPair
	tls     *tls.Config
	fast    *fasthttp.Server
	crowd   *crowd
	uploads *turns
	turns   map[class]*turns

	// base is over when a shutdown has run out of patience.
	base   context.Context
	cancel context.CancelFunc

	mu       sync.Mutex
	stopped  bool
	listener *listener
}

// NewServer prepares a server. It fails when the certificate, its key or the client authorities cannot be read or made.
func NewServer(o Options) (*Server, error) {
	l := defaultLimits
	if n, known := descriptors(); known {
		l = l.within(n)
	}
	return newServer(o, l)
}

func newServer(o Options, l limits) (*Server, error) {
	pair, err := openKeyPair(o)
	if err != nil {
		return nil, err
	}
	auth, clients, err := newAuthenticator(o)
	if err != nil {
		return nil, err
	}
	registry := cmp.Or(o.Metrics, prometheus.NewRegistry())
	audit := cmp.Or(o.Audit, NewAudit(o.Log))
	metrics, err := newMetrics(registry)
	if err != nil {
		return nil, err
	}
	if err := registry.Register(audit.collector()); err != nil {
		return nil, fmt.Errorf("register metric of the audit log: %w", err)
	}
	s := &Server{
		log: o.Log, limits: l, endpoints: endpoints{service: o.Service, metrics: registry}, metrics: metrics, audit: audit, auth: auth,
		pair: pair, tls: tlsConfig(pair, clients, !o.ClientCertOptional),
	}
	s.crowd = newCrowd(l, metrics)
	s.uploads = &turns{limit: l.uploads, by: make(map[string]int)}
	s.turns = newTurns(l)
	s.base, s.cancel = context.WithCancel(context.Background())
	s.plain = make(map[string]fasthttp.RequestHandler)
	s.router = s.newRouter()
	s.fast = s.newFastServer()
	return s, nil
}

// newFastServer leaves all times but that for a body to the connections; see [patient] and noteState.
func (s *Server) newFastServer() *fasthttp.Server {
	return &fasthttp.Server{
		Handler:            s.handle,
		ErrorHandler:       s.unreadable,
		HeaderReceived:     s.bodyLimit,
		ConnState:          s.noteState,
		Logger:             printer{s.log},
		ReadBufferSize:     s.limits.header,
		MaxRequestBodySize: s.limits.body,
		CloseOnShutdown:    true,
		// Parsing a form would read past the body limit into temporary files.
		DisablePreParseMultipartForm: true,
		SecureErrorLogMessage:        true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
	}
}

// bodiless is fasthttp's content length of a request that tells of no body.
const bodiless = -2

// bodyLimit is fasthttp's HeaderReceived hook. The time for the body begins now, if there is one.
func (s *Server) bodyLimit(header *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if length := header.ContentLength(); (header.IsGet() || header.IsHead()) && (length == 0 || length == bodiless) {
		return fasthttp.RequestConfig{}
	}
	limit := s.limits.body
	uri := fasthttp.AcquireURI()
	defer fasthttp.ReleaseURI(uri)
	if header.IsPost() && uri.Parse(header.Host(), header.RequestURI()) == nil {
		if path, ok := canonical(string(uri.PathOriginal())); ok && path == configPath {
			limit = s.limits.config
		}
	}
	return fasthttp.RequestConfig{MaxRequestBodySize: limit, ReadTimeout: s.limits.read}
}

// Serve answers requests on ln, over TLS, until [Server.Shutdown], and closes ln. It returns nil after a shutdown, and otherwise why no
// more connections could be accepted.
func (s *Server) Serve(ln net.Listener) error {
	l := newListener(ln, s.crowd)
	if !s.take(l) {
		return l.Close()
	}
	return s.fast.Serve(&securedListener{l, s})
}

// take notes the listener, so that a shutdown finds it even before fasthttp does. It returns false if the shutdown was first.
func (s *Server) take(l *listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener = l
	return !s.stopped
}

// Shutdown stops taking requests and waits for the running ones. When ctx is over it cancels them and returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.cancel()
	s.refuse()
	return s.fast.ShutdownWithContext(ctx)
}

func (s *Server) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	if s.listener != nil {
		_ = s.listener.Close()
	}
	s.crowd.dismiss()
}

// CertificateFile names a PEM file that a client can trust this server by, as with curl's --cacert.
func (s *Server) CertificateFile() string {
	return s.pair.certFile
}
