package api

import "errors"

// errUploads is what a client gets that sends a large body beside too many others.
var errUploads = errors.New("too many large requests arrive at once")

// upload is what has come over a connection since its last answer. Bodies are read before it is known who sends them. What every
// connection may send at once is small enough to be borne, but what is only fit for POST /config is not, so those take turns.
// Only the goroutine that serves the connection uses it.
type upload struct {
	bytes int
	large bool
}

// note adds n bytes. It returns false if they are too many, and no turn is free.
func (u *upload) note(n int, s *Server) bool {
	u.bytes += n
	if u.large || u.bytes <= s.limits.header+s.limits.body {
		return true
	}
	select {
	case s.uploads <- struct{}{}:
		u.large = true
		return true
	default:
		return false
	}
}

// end gives the turn back.
func (u *upload) end(s *Server) {
	u.bytes = 0
	if u.large {
		u.large = false
		<-s.uploads
	}
}
