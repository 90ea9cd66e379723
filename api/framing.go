package api

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

var (
	errGone    = &problem{fasthttp.StatusServiceUnavailable, "the connection had to make room for others; try again", nil}
	errFraming = &problem{fasthttp.StatusBadRequest, "the request's headers can be read in more than one way; send HTTP/1.1, each header " +
		"on one line that ends with CR and LF, and either Content-Length or Transfer-Encoding: chunked", nil}
)

// acceptable turns requests away before anybody asks who sends them or what for.
func (s *Server) acceptable(r *fasthttp.RequestCtx) error {
	switch {
	case !s.busy(r.Conn()):
		return errGone
	case !framed(&r.Request.Header):
		s.metrics.refuse(framingRefused)
		r.SetConnectionClose()
		linger(r.Conn())
		return errFraming
	}
	return nil
}

// framed says whether everybody who reads a request's headers sees it end at the same place. fasthttp is lenient with lines that end with
// LF alone, continued lines and lengths given twice over. A proxy in front that reads them in another way would take one client's
// request for two, or let the second one pass unseen (RFC 9112, 2.2, 5.2 and 6.3).
func framed(h *fasthttp.RequestHeader) bool {
	if protocol := h.Protocol(); !bytes.Equal(protocol, http11) && !bytes.Equal(protocol, http10) {
		return false
	}
	lengths := 0
	for rest := h.RawHeaders(); len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			end = len(rest)
		}
		line := rest[:end]
		rest = rest[end:]
		if len(line) == 2 && line[0] == '\r' { // the end
			break
		}
		name, value, found := bytes.Cut(line, colon)
		if !found || !token(name) || bytes.IndexByte(value, '\r') != len(value)-2 {
			return false
		}
		lengths += lengthsIn(name, value)
	}
	return lengths <= 1
}

// lengthsIn is how many lengths of the body a header gives: two are more than a request can have, and stand for one that is not known.
func lengthsIn(name, value []byte) int {
	switch {
	case bytes.EqualFold(name, contentLength):
		return 1
	case !bytes.EqualFold(name, transferEncoding):
		return 0
	case bytes.EqualFold(bytes.TrimSpace(value), chunked):
		return 1
	}
	return 2
}

var (
	http10           = []byte("HTTP/1.0")
	http11           = []byte("HTTP/1.1")
	colon            = []byte(":")
	contentLength    = []byte(fasthttp.HeaderContentLength)
	chunked          = []byte("chunked")
	transferEncoding = []byte(fasthttp.HeaderTransferEncoding)
)

// token says whether a header's name has neither blanks nor anything before which somebody might stop reading it; fasthttp has checked
// the rest.
func token(name []byte) bool {
	for _, b := range name {
		if b <= ' ' || b > '~' {
			return false
		}
	}
	return len(name) > 0
}
