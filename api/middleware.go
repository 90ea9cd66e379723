package api

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/valyala/fasthttp"
)

// userKey names what travels with a request.
type userKey int

const (
	requestIDKey userKey = iota
	// failureKey is the error behind an answer that is not a success.
	failureKey
	// trafficKey is where the request is counted.
	trafficKey
	// callerKey is the principal.
	callerKey
	// deedKey is what the audit log tells of the request.
	deedKey
)

const requestIDHeader = "X-Request-Id"

var saneRequestID = regexp.MustCompile(`^[A-Za-z0-9._:/+=@-]{1,128}$`)

// handle is the way of every readable request.
func (s *Server) handle(r *fasthttp.RequestCtx) {
	began := time.Now()
	assignRequestID(r)
	s.guarded(r)
	if s.base.Err() != nil { // a shutdown that could not wait; fasthttp has forgotten it by now
		r.SetConnectionClose()
	}
	secure(r)
	dur := time.Since(began)
	s.metrics.count(r, dur)
	s.audit.note(r, began, dur)
	s.logRequest(r, dur)
	s.answered(r.Conn())
}

// guarded keeps a panic to its request; fasthttp would let it end the process.
func (s *Server) guarded(r *fasthttp.RequestCtx) {
	defer func() {
		if cause := recover(); cause != nil {
			s.log.Error("request handler panicked", "request", requestID(r), "reason", fmt.Sprint(cause), "stack", string(debug.Stack()))
			id := requestID(r)
			r.Response.Reset()
			r.Response.Header.Set(requestIDHeader, id)
			fail(r, errPanic, v5)
		}
	}()
	if err := s.acceptable(r); err != nil {
		fail(r, err, v5)
		return
	}
	s.dispatch(r)
}

var errPanic = errors.New("request handler panicked")

// assignRequestID takes over a caller's id if it can do no harm in a log, and makes one otherwise.
func assignRequestID(r *fasthttp.RequestCtx) {
	id := string(r.Request.Header.Peek(requestIDHeader))
	if !saneRequestID.MatchString(id) {
		id = rand.Text()
	}
	r.SetUserValue(requestIDKey, id)
	r.Response.Header.Set(requestIDHeader, id)
}

func requestID(r *fasthttp.RequestCtx) string {
	id, _ := r.UserValue(requestIDKey).(string)
	return id
}

// secure sets the headers that every answer has. Nothing here is for a browser to run, frame, guess at or keep.
func secure(r *fasthttp.RequestCtx) {
	header := &r.Response.Header
	header.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	header.Set(fasthttp.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
	header.Set(fasthttp.HeaderStrictTransportSecurity, "max-age=31536000")
	header.Set(fasthttp.HeaderReferrerPolicy, "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	if len(header.Peek(fasthttp.HeaderCacheControl)) == 0 || r.Response.StatusCode() >= fasthttp.StatusBadRequest {
		header.Set(fasthttp.HeaderCacheControl, "no-store")
	}
}

// logRequest writes the one line of a request: refusals and mutations for the operator, our own failures as warnings, and reads only
// for debugging, because there are so many.
func (s *Server) logRequest(r *fasthttp.RequestCtx, dur time.Duration) {
	level := slog.LevelInfo
	switch status := r.Response.StatusCode(); {
	case status >= fasthttp.StatusInternalServerError:
		level = slog.LevelWarn
	case status < fasthttp.StatusBadRequest && !r.IsPost():
		level = slog.LevelDebug
	}
	if !s.log.Enabled(s.base, level) {
		return
	}
	attrs := []any{
		"op", fmt.Sprintf("%.20s %.200s", r.Method(), r.URI().PathOriginal()),
		"status", r.Response.StatusCode(), "request", requestID(r), "peer", r.RemoteAddr().String(), "dur", dur,
	}
	if err, ok := r.UserValue(failureKey).(error); ok {
		attrs = append(attrs, "err", err)
	}
	s.log.Log(s.base, level, "request", attrs...)
}

func (s *Server) logUnreadable(r *fasthttp.RequestCtx) {
	s.log.Info("unreadable request", "status", r.Response.StatusCode(), "request", requestID(r), "peer", r.RemoteAddr().String(),
		"reason", r.UserValue(failureKey))
}

// shownPath is the path as sent, quoted, in a length fit for a message.
func shownPath(r *fasthttp.RequestCtx) string {
	return fmt.Sprintf("%.200q", r.URI().PathOriginal())
}

// printer is the log of fasthttp, which only writes about connections that broke.
type printer struct{ log *slog.Logger }

// Printf is fasthttp.Logger.
func (p printer) Printf(format string, args ...any) {
	p.log.Debug("connection failed", "reason", fmt.Sprintf(format, args...))
}
