package api

import (
	"errors"
	"net"

	"github.com/valyala/fasthttp"
)

// errUploads is what a client gets that sends a large body beside too many others.
var errUploads = errors.New("too many large requests arrive at once")

// upload is what has come over a connection since its last answer. Bodies are read before it is known who sends them. What every
// connection may send at once is small enough to be borne, but what is only fit for POST /config is not, so those take turns.
// Only the goroutine that serves the connection uses it.
type upload struct {
	bytes int
	// turn is whose turn it has; empty: none is taken.
	turn string
}

// note adds n bytes. It fails with errUploads if they are many and no turn is free, and with fasthttp.ErrBodyTooLarge if they are more
// than any body with all that goes around it; fasthttp counts what is in the chunks of a body, not what is between them.
func (u *upload) note(n int, c net.Conn, s *Server) error {
	u.bytes += n
	switch {
	case u.bytes > s.limits.header+2*s.limits.config:
		return fasthttp.ErrBodyTooLarge
	case u.turn != "" || u.bytes <= s.limits.header+s.limits.body:
		return nil
	}
	host := hostOf(c.RemoteAddr()).String()
	if _, err := s.uploads.take(host); err != nil {
		return errUploads
	}
	u.turn = host
	return nil
}

// end gives the turn back.
func (u *upload) end(s *Server) {
	u.bytes = 0
	if u.turn != "" {
		s.uploads.giveBack(u.turn)
		u.turn = ""
	}
}
