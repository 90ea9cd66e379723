package api

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/valyala/fasthttp"

	"vspherepool/actors"
)

// problem is an answer other than 200: what the caller reads, and what caused it.
type problem struct {
	status  int
	message string
	err     error
}

func (p *problem) Error() string {
	if p.err == nil {
		return p.message
	}
	return p.message + ": " + p.err.Error()
}

func (p *problem) Unwrap() error { return p.err }

func badRequest(message string, err error) error {
	return &problem{fasthttp.StatusBadRequest, message, err}
}

// errInternal is all that a caller learns of a defect.
var errInternal = &problem{
	status:  fasthttp.StatusInternalServerError,
	message: "internal error; the server's log has the cause under the request id",
}

// statusOf is the one place where an error kind becomes a status. API 2.0 knows no 502, so its own forms do not answer it.
func statusOf(kind actors.ErrorKind, versions version) int {
	switch kind {
	case actors.Invalid:
		return fasthttp.StatusBadRequest
	case actors.NotFound:
		return fasthttp.StatusNotFound
	case actors.Conflict:
		return fasthttp.StatusConflict
	case actors.Unavailable:
		if versions == v2 {
			return fasthttp.StatusInternalServerError
		}
		return fasthttp.StatusBadGateway
	case actors.NotStarted, actors.Internal:
		return fasthttp.StatusInternalServerError
	}
	return fasthttp.StatusInternalServerError
}

func problemOf(err error, versions version) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	var refusal *actors.Error
	if !errors.As(err, &refusal) || refusal.Kind == actors.Internal {
		return errInternal
	}
	return &problem{statusOf(refusal.Kind, versions), refusal.Message, refusal.Err}
}

// fail answers with err's problem and leaves err itself for the log. Headers that are set already, such as Allow, stay.
func fail(r *fasthttp.RequestCtx, err error, versions version) {
	v := visitOf(r)
	v.failure, v.ready = err, false
	p := problemOf(err, versions)
	detail := "request id " + requestID(r)
	if p.err != nil {
		detail = p.err.Error() + "; " + detail
	}
	// Two strings always marshal.
	body, _ := json.Marshal(struct {
		Message string `json:"message"`
		Detail  string `json:"detail"`
	}{p.message, detail})
	r.SetStatusCode(p.status)
	r.SetContentType(jsonType)
	r.SetBody(body)
}

func (s *Server) notFound(r *fasthttp.RequestCtx) {
	message := fmt.Sprintf("there is nothing at %s; the pool is at /pool", shownPath(r))
	fail(r, &problem{fasthttp.StatusNotFound, message, nil}, v5)
}

// methodNotAllowed relies on the router having set Allow.
func (s *Server) methodNotAllowed(r *fasthttp.RequestCtx) {
	message := fmt.Sprintf("%.20s is not allowed on %s; use one of %s",
		r.Method(), shownPath(r), r.Response.Header.Peek(fasthttp.HeaderAllow))
	fail(r, &problem{fasthttp.StatusMethodNotAllowed, message, nil}, v5)
}

// unreadable is fasthttp's ErrorHandler: the request could not be read, so nothing in r but its connection is to be trusted. The error's
// text may quote headers and with them credentials, so it goes nowhere.
func (s *Server) unreadable(r *fasthttp.RequestCtx, err error) {
	r.Response.Reset()
	linger(r.Conn())
	v := begin(r)
	p := s.unreadableProblem(err)
	if p.status == fasthttp.StatusServiceUnavailable {
		s.metrics.refuse(uploadRefused)
		r.Response.Header.Set(fasthttp.HeaderRetryAfter, retryAfter)
	}
	fail(r, p, v5)
	v.finish(r)
	s.metrics.other.answer(r.Response.StatusCode())
	s.logUnreadable(r)
	s.audit.noteUnreadable(r)
}

func (s *Server) unreadableProblem(err error) *problem {
	var headers *fasthttp.ErrSmallBuffer
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, errUploads):
		return &problem{fasthttp.StatusServiceUnavailable, "too many large requests arrive at once; try again in a second", nil}
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		message := fmt.Sprintf("the request body is too large; the limit is %d bytes, for POST %s %d bytes",
			s.limits.body, configPath, s.limits.config)
		return &problem{fasthttp.StatusRequestEntityTooLarge, message, nil}
	case errors.As(err, &headers):
		message := fmt.Sprintf("the request line and headers are larger than %d bytes", s.limits.header)
		return &problem{fasthttp.StatusRequestHeaderFieldsTooLarge, message, nil}
	case errors.As(err, &timeout) && timeout.Timeout():
		message := fmt.Sprintf("the request did not arrive in time: the headers have %s, the body %s", s.limits.head, s.limits.read)
		return &problem{fasthttp.StatusRequestTimeout, message, nil}
	}
	return &problem{fasthttp.StatusBadRequest, "the request is not valid HTTP/1.1; check its request line, headers and body framing", nil}
}
