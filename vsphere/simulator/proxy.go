package simulator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"

	"vspherepool/vsphere"
)

// Proxy stands between clients and a vCenter's SOAP endpoint, and makes the trouble that it is told to. It counts the calls that reach
// it. For tests: nothing that it passes on is hidden from it.
type Proxy struct {
	backend string
	certs   tls.Config
	// address stays the same when the port is closed for a while.
	address string
	forward *http.Client
	life    context.Context
	end     context.CancelFunc
	work    sync.WaitGroup

	mu      sync.Mutex
	random  *rand.Rand
	trouble Trouble
	// over is closed when the trouble changes.
	over      chan struct{}
	server    *http.Server
	calls     map[string]int
	sessions  map[string]bool // by cookie; false: forgotten
	injecting map[int]int     // how often an injection was used
}

// NewProxy serves https on a free port of loopback and passes calls on to the backend, the URL of an SDK endpoint whose certificate it
// does not check. Random choices follow the seed, as far as calls come in the same order. Close must be called in the end.
func NewProxy(backend string, seed uint64) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serve proxy: %w", err)
	}
	cert, err := selfSigned(l.Addr().String())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make proxy certificate: %w", err), l.Close())
	}
	p := &Proxy{
		backend:   backend,
		certs:     tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		address:   l.Addr().String(),
		forward:   &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true}},
		random:    rand.New(rand.NewPCG(seed, 0)),
		over:      make(chan struct{}),
		calls:     map[string]int{},
		sessions:  map[string]bool{},
		injecting: map[int]int{},
	}
	p.life, p.end = context.WithCancel(context.Background())
	p.serve(l)
	return p, nil
}

// Connection is how to log in through the proxy to a vCenter that knows the simulator's account.
func (p *Proxy) Connection() vsphere.Connection {
	return vsphere.Connection{
		URL: "https://" + p.address + vim25.Path, Username: User, Password: Password,
		Thumbprints: []string{soap.ThumbprintSHA256(p.certs.Certificates[0].Leaf)},
	}
}

// Make puts a trouble in the place of the one before; the zero Trouble is none. Calls that hang are cut off.
func (p *Proxy) Make(t Trouble) error {
	p.mu.Lock()
	closed := p.trouble.Refuse
	p.trouble = t
	close(p.over)
	p.over = make(chan struct{})
	p.injecting = map[int]int{}
	server := p.server
	p.mu.Unlock()
	switch {
	case t.Refuse:
		return server.Close()
	case closed:
		return p.reopen()
	}
	return nil
}

// DropSessions makes vCenter forget all sessions, as a restart or an administrator does.
func (p *Proxy) DropSessions() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for cookie := range p.sessions {
		p.sessions[cookie] = false
	}
}

// Calls counts the calls that arrived since Reset, whatever became of them, by method. Reads are told apart by the type of the object
// that they begin at, and of several: "RetrievePropertiesEx Task", "RetrievePropertiesEx Tasks".
func (p *Proxy) Calls() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.calls)
}

// Reset begins to count anew.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.calls)
}

// Close ends the endpoint and all calls.
func (p *Proxy) Close() {
	p.end()
	p.mu.Lock()
	server := p.server
	p.mu.Unlock()
	_ = server.Close()
	p.work.Wait()
	p.forward.CloseIdleConnections()
}

func (p *Proxy) serve(l net.Listener) {
	server := &http.Server{
		Handler:           p,
		TLSConfig:         p.certs.Clone(),
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){}, // a cut HTTP/2 stream would not be a cut connection
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		ReadHeaderTimeout: 10 * time.Second,
	}
	p.mu.Lock()
	p.server = server
	p.mu.Unlock()
	p.work.Go(func() { _ = server.ServeTLS(l, "", "") })
}

// reopen listens at the old address again. Somebody may hold the port for a moment: a client's own outgoing connection, for example.
func (p *Proxy) reopen() error {
	var l net.Listener
	var err error
	for range 50 {
		if l, err = net.Listen("tcp", p.address); err == nil {
			p.serve(l)
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("serve proxy again: %w", err)
}

// ServeHTTP handles one call.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.work.Add(1)
	defer p.work.Done()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	c := parseCall(body)
	t, over := p.arrived(c)
	if p.answeredEarly(w, r, t, over) || p.answeredFault(w, c, t) {
		return
	}
	a, err := p.pass(r, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	a.body = t.rewritten(c, a.body)
	p.hold(r.Context(), t)
	p.reply(w, a, t)
}

func (p *Proxy) arrived(c call) (Trouble, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[c.label()]++
	return p.trouble, p.over
}

// answer is vCenter's.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// pass asks vCenter. It goes on with a call whose caller has left, as a vCenter does.
func (p *Proxy) pass(r *http.Request, body []byte) (answer, error) {
	request, err := p.request(r, body)
	if err != nil {
		return answer{}, err
	}
	response, err := p.forward.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	p.learn(response)
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, text}, err
}
