package api

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/valyala/fasthttp"
)

// handle is the way of every readable request.
func (s *Server) handle(r *fasthttp.RequestCtx) {
	began := r.Time()
	v := begin(r)
	s.guarded(r)
	if s.base.Err() != nil { // a shutdown that could not wait; fasthttp has forgotten it by now
		r.SetConnectionClose()
	}
	v.finish(r)
	dur := time.Since(began)
	s.metrics.count(r, v, dur)
	s.audit.note(r, began, dur)
	s.logRequest(r, dur)
	forgetBody(r)
	s.answered(r, began.Add(dur))
}

// keptBody is how large a buffer may be that waits for a connection's next request.
const keptBody = 4 << 10

// forgetBody keeps connections from holding on to the memory of their largest requests.
func forgetBody(r *fasthttp.RequestCtx) {
	if len(r.Request.Body()) > keptBody {
		r.Request.SwapBody(nil)
	}
}

// guarded keeps a panic to its request; fasthttp would let it end the process.
func (s *Server) guarded(r *fasthttp.RequestCtx) {
	defer func() {
		if cause := recover(); cause != nil {
			s.log.Error("request handler panicked", "request", requestID(r), "reason", fmt.Sprint(cause), "stack", string(debug.Stack()))
			r.Response.Reset()
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

// finish sets the headers that every answer has.
func (v *visit) finish(r *fasthttp.RequestCtx) {
	header := &r.Response.Header
	header.SetCanonical(requestIDKey, v.id)
	if v.ready {
		return
	}
	secure(header)
	if len(header.Peek(fasthttp.HeaderCacheControl)) == 0 || r.Response.StatusCode() >= fasthttp.StatusBadRequest {
		header.Set(fasthttp.HeaderCacheControl, "no-store")
	}
}

// secure leaves a browser nothing to run, frame or guess at.
func secure(header *fasthttp.ResponseHeader) {
	header.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	header.Set(fasthttp.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
	header.Set(fasthttp.HeaderStrictTransportSecurity, "max-age=31536000")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
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
	if err := visitOf(r).failure; err != nil {
		attrs = append(attrs, "err", err)
	}
	s.log.Log(s.base, level, "request", attrs...)
}

func (s *Server) logUnreadable(r *fasthttp.RequestCtx) {
	s.log.Info("unreadable request", "status", r.Response.StatusCode(), "request", requestID(r), "peer", r.RemoteAddr().String(),
		"reason", visitOf(r).failure)
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
