package api

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// acceptPause is between two attempts to accept while the system is out of something.
	acceptPause = 50 * time.Millisecond
	// lingerTime and lingerBytes bound what is read of a refused request after the answer.
	lingerTime  = 2 * time.Second
	lingerBytes = 16 << 20
)

// listener accepts connections as far as there is room, and outlives shortages: fasthttp takes any failure to accept for the end.
//
// fasthttp has limits of its own. They stay unused, because they know nothing of who is idle, and refuse newcomers only.
type listener struct {
	net.Listener
	crowd *crowd
	close func() error
}

func newListener(ln net.Listener, w *crowd) *listener {
	return &listener{ln, w, sync.OnceValue(ln.Close)}
}

// Close may be called again: a shutdown closes the listener, and fasthttp does so too.
func (l *listener) Close() error { return l.close() }

// Accept waits for the next connection that there is room for, and closes those that there is none for. It never waits for a client.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.accept()
		if err != nil {
			return nil, err
		}
		if l.crowd.enter(c) {
			return c, nil
		}
		l.crowd.metrics.refuse(connectionRefused)
		_ = c.Conn.Close()
	}
}

func (l *listener) accept() (*conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err == nil {
			return &conn{patient: newPatient(c), crowd: l.crowd}, nil
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
	*patient
	crowd     *crowd
	place     place
	lingering atomic.Bool
}

// Close closes at once, or after the client has heard the answer if [linger] asked for it.
func (c *conn) Close() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && c.lingering.Swap(false) {
		c.crowd.rest(c)
		c.drain(half.CloseWrite())
	}
	c.crowd.leave(c)
	return c.Conn.Close()
}

func (c *conn) drain(err error) {
	if err == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, c, lingerBytes)
	}
}

// linger has a served connection closed gently.
func linger(served net.Conn) {
	if c, ok := served.(*secured); ok {
		c.raw.lingering.Store(true)
	}
}
