package api

import (
	"crypto/rand"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"

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
	// ready says that the answer has all its headers.
	ready bool
}

// userKey names what travels with a request.
type userKey int

const visitKey userKey = iota

// visits are used again and again: their number is that of the requests in flight.
var visits = sync.Pool{New: func() any { return &visit{} }}

// begin gives a request its visit.
func begin(r *fasthttp.RequestCtx) *visit {
	v, _ := visits.Get().(*visit) // the pool makes no others
	r.SetUserValue(visitKey, v)
	v.id = appendID(v.id[:0], r.Request.Header.Peek(requestIDHeader))
	return v
}

// end takes the visit back. Nobody may know it any more.
func (v *visit) end(r *fasthttp.RequestCtx) {
	r.RemoveUserValue(visitKey)
	*v = visit{id: v.id}
	visits.Put(v)
}

// visitOf is the request's visit; a request that nobody began has an empty one.
func visitOf(r *fasthttp.RequestCtx) *visit {
	if v, ok := r.UserValue(visitKey).(*visit); ok {
		return v
	}
	return &visit{}
}

const requestIDHeader = "X-Request-Id"

var saneRequestID = regexp.MustCompile(`^[A-Za-z0-9._:/+=@-]{1,128}$`)

// Ids tell requests apart, those of other processes too; nobody has to be kept from guessing them.
var (
	processID = rand.Text() + "-"
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
