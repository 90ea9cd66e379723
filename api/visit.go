package api

import (
	"context"
	"crypto/rand"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// visit is what travels with a request.
type visit struct {
	// id is the request's in the log, and in the answer.
	id []byte
	// traffic is where the request is counted; nil until its route is known.
	traffic *traffic
	// caller is who makes it, once that is known.
	caller principal
	known  bool
	// deed is what the audit log tells of it.
	deed deed
	// failure is the error behind an answer that is not a success.
	failure error
	// conditional and choosy requests have an If-None-Match and an Accept-Encoding.
	conditional, choosy bool
	// ready says that the answer has all its headers.
	ready bool
	// brief is the context of a read.
	brief brief
}

// brief is a context for what is over in no time: it tells its deadline, and ends with the server.
type brief struct {
	context.Context
	until time.Time
}

// Deadline is context.Context's.
func (b *brief) Deadline() (time.Time, bool) { return b.until, true }

// begin gives a request its visit, which is its connection's: a connection has one request at a time.
func begin(r *fasthttp.RequestCtx) *visit {
	c, ok := r.Conn().(*secured)
	if !ok { // a request without a connection
		r.SetUserValue(visitKey, &visit{})
	} else {
		c.visit = visit{id: c.visit.id}
	}
	v := visitOf(r)
	v.note(&r.Request.Header)
	return v
}

// note looks at all headers once, rather than for each by itself.
func (v *visit) note(header *fasthttp.RequestHeader) {
	var id []byte
	for name, value := range header.All() {
		switch string(name) {
		case requestIDHeader:
			if id == nil {
				id = value
			}
		case fasthttp.HeaderIfNoneMatch:
			v.conditional = true
		case fasthttp.HeaderAcceptEncoding:
			v.choosy = true
		}
	}
	v.id = appendID(v.id[:0], id)
}

// visitKey is where a request without a connection has its visit.
const visitKey = "visit"

// visitOf is the request's visit; that of a request that nobody began is empty.
func visitOf(r *fasthttp.RequestCtx) *visit {
	if c, ok := r.Conn().(*secured); ok {
		return &c.visit
	}
	if v, ok := r.UserValue(visitKey).(*visit); ok {
		return v
	}
	return &visit{}
}

const requestIDHeader = "X-Request-Id"

var requestIDKey = []byte(requestIDHeader)

var saneRequestID = regexp.MustCompile(`^[A-Za-z0-9._:/+=@-]{1,128}$`)

// Ids tell requests apart, those of other processes too; nobody has to be kept from guessing them.
var (
	processID = rand.Text()[:13] + "-" // 65 bits
	requests  atomic.Uint64
)

// appendID takes over a caller's id if it can do no harm in a log, and makes one otherwise.
func appendID(to, given []byte) []byte {
	if len(given) > 0 && saneRequestID.Match(given) {
		return append(to, given...)
	}
	return strconv.AppendUint(append(to, processID...), requests.Add(1), 10)
}

func requestID(r *fasthttp.RequestCtx) string { return string(visitOf(r).id) }
