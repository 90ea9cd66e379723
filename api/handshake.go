package api

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

// securedListener puts TLS on connections. No byte is exchanged while accepting: the handshake is left to who serves the connection.
type securedListener struct {
	*listener
	server *Server
}

// Accept waits for the next connection.
func (l *securedListener) Accept() (net.Conn, error) {
	c, err := l.listener.Accept()
	if err != nil {
		return nil, err
	}
	raw, _ := c.(*conn) // the listener makes no others
	return &secured{Conn: tls.Server(raw, l.server.tls), raw: raw, server: l.server}, nil
}

// secured is a connection with TLS.
type secured struct {
	*tls.Conn
	raw    *conn
	server *Server
	// failed says that there will be no TLS here.
	failed bool
	// begun says that a request has, and is not answered yet.
	begun  bool
	upload upload
	visit  visit
}

// notTLS is for those who say http:// where https:// is needed. They cannot read anything else.
const notTLS = "HTTP/1.0 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" +
	`{"message":"this is an HTTPS server, and the request came as plain HTTP; use https:// in the address","detail":"no TLS handshake"}` + "\n"

// Handshake gives TLS a time of its own.
func (c *secured) Handshake() error {
	err := c.SetDeadline(time.Now().Add(c.server.limits.handshake))
	if err == nil {
		err = c.Conn.Handshake()
	}
	c.raw.expect(c.server.limits.head, c.server.limits.write)
	if err != nil {
		c.failed = true
		c.server.metrics.refuse(handshakeFailed)
		explain(c.raw, err)
	}
	return err
}

// explain answers those whose first bytes are a request in plain text.
func explain(raw *conn, err error) {
	var record tls.RecordHeaderError
	if !errors.As(err, &record) || record.Conn == nil || !legible(record.RecordHeader[:]) {
		return
	}
	if _, err := io.WriteString(raw, notTLS); err == nil {
		raw.lingering.Store(true)
	}
}

func legible(start []byte) bool {
	for _, b := range start {
		if b < ' ' || b > '~' {
			return false
		}
	}
	return true
}

// Read reads what the client sends. After a failed handshake there is nothing to read, and nobody to tell: fasthttp ignores the failure,
// and would answer it with a 400 that cannot be sent. Nor would a client that has asked nothing know what a 408 is the answer to.
func (c *secured) Read(b []byte) (int, error) {
	if c.failed {
		return 0, io.EOF
	}
	n, err := c.Conn.Read(b)
	if err != nil && n == 0 && !c.begun {
		return 0, io.EOF
	}
	if excess := c.upload.note(n, c, c.server); excess != nil {
		return 0, excess
	}
	return n, err
}

// noteState is fasthttp's ConnState hook.
func (s *Server) noteState(served net.Conn, state fasthttp.ConnState) {
	c, ok := served.(*secured)
	switch {
	case !ok:
	case state == fasthttp.StateActive:
		// The first byte is here. Who sends the rest along with it needs no time, and nobody writes before the answer but a "100 Continue".
		c.begun = true
		c.raw.expect(s.limits.head, s.limits.read+s.limits.write)
	case state == fasthttp.StateIdle:
		c.begun = false
		c.raw.nextWrite.Store(int64(s.limits.write)) // TLS may have to write for itself
		c.upload.end(s)
	case state == fasthttp.StateClosed:
		c.upload.end(s)
	}
}

// answered says that the handler is done, and that from now on it is the client who is waited for. fasthttp sends an answer at once if its
// handler has set the deadline for that, and otherwise may keep it until it has read the next request.
func (s *Server) answered(r *fasthttp.RequestCtx, now time.Time) {
	if c, ok := r.Conn().(*secured); ok {
		s.crowd.rest(c.raw)
		// A connection that takes no deadline has been closed, as the answer will find.
		_ = r.SetWriteDeadline(now.Add(s.limits.write))
		_ = c.SetReadDeadline(now.Add(s.limits.idle))
	}
}

// busy says that a whole request has come over a connection, and whether it is still there. Tests have none.
func (s *Server) busy(served net.Conn) bool {
	c, ok := served.(*secured)
	return !ok || s.crowd.busy(c.raw)
}
