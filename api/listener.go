package api

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// acceptPause is between two attempts to accept while the system is out of something.
	acceptPause = 50 * time.Millisecond
	// lingerTime and lingerBytes bound what is read of a refused request after the answer.
	lingerTime  = 2 * time.Second
	lingerBytes = 16 << 20
)

// listener outlives shortages: fasthttp takes any failure to accept for the end.
type listener struct {
	net.Listener
	close func() error
}

func newListener(ln net.Listener) *listener {
	return &listener{ln, sync.OnceValue(ln.Close)}
}

// Close may be called again: a shutdown closes the listener, and fasthttp does so too.
func (l *listener) Close() error { return l.close() }

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err == nil {
			return &conn{Conn: c}, nil
		}
		if !transient(err) {
			return nil, err
		}
		time.Sleep(acceptPause)
	}
}

func transient(err error) bool {
	for _, shortage := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, shortage) {
			return true
		}
	}
	return false
}

// conn is a connection below TLS that can be closed without losing the last answer. When unread data is pending, close(2) resets the
// connection, and the client loses the 413 it was sent while it was still sending.
type conn struct {
	net.Conn
	lingering atomic.Bool
}

// Close closes at once, or after the client has heard the answer if [linger] asked for it.
func (c *conn) Close() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && c.lingering.Swap(false) {
		c.drain(half.CloseWrite())
	}
	return c.Conn.Close()
}

func (c *conn) drain(err error) {
	if err == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
	}
}

// linger has a served connection closed gently.
func linger(served net.Conn) {
	if over, ok := served.(interface{ NetConn() net.Conn }); ok {
		if c, ok := over.NetConn().(*conn); ok {
			c.lingering.Store(true)
		}
	}
}

// newcomers are the connections that have not sent anything yet. A shutdown need not wait for them, and fasthttp would.
type newcomers struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// note is fasthttp's ConnState hook.
func (n *newcomers) note(c net.Conn, state fasthttp.ConnState) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if state == fasthttp.StateNew {
		n.conns[c] = struct{}{}
		return
	}
	delete(n.conns, c)
}

func (n *newcomers) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		_ = c.Close()
	}
}
