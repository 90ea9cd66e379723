package api

import (
	"encoding/json"
	"errors"
	"path"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"vspherepool/actors"
)

// What a line of the audit log has room for, in characters, so that no caller decides how long it gets.
const (
	longestName   = 128
	longestPath   = 200
	longestReason = 500
	mostPaths     = 50
)

// facts are a few named values, in the words of the API's documents.
type facts map[string]any

// deed is what a request asks for and what it changed, as far as its handler gets to know.
type deed struct {
	route         string
	machine       string
	arguments     facts
	before, after facts
	paths         []string
	// acts says that a success changes something even where before and after are the same.
	acts bool
}

// about notes what the request turned out to ask for, once it is decoded.
func about(r *fasthttp.RequestCtx, machine string, arguments facts) *deed {
	d := &visitOf(r).deed
	d.machine, d.arguments = machine, arguments
	return d
}

// became notes what a request changed.
func became[T any](d *deed, name string, c actors.Changed[T]) {
	d.before, d.after = facts{name: c.Before}, facts{name: c.After}
}

// resized notes a change of the desired size.
func resized(d *deed, c actors.Changed[int]) {
	d.before, d.after = sizeFacts(c.Before), sizeFacts(c.After)
}

func sizeFacts(size int) facts {
	if size == actors.Unsized {
		return facts{"desiredSize": nil}
	}
	return facts{"desiredSize": size}
}

// entry is one line of the audit log.
type entry struct {
	Time    time.Time `json:"time"`
	Request string    `json:"request,omitempty"`
	Who     *who      `json:"who,omitempty"`
	// Claimed is the user whom a refused login was for.
	Claimed string `json:"claimed,omitempty"`
	// From is the address of the connection: what headers say of it, anybody can write.
	From      string `json:"from"`
	Method    string `json:"method,omitempty"`
	Route     string `json:"route,omitempty"`
	Operation string `json:"operation,omitempty"`
	// Path is what was asked for where that is no route.
	Path      string   `json:"path,omitempty"`
	Machine   string   `json:"machineId,omitempty"`
	Arguments facts    `json:"arguments,omitempty"`
	Before    facts    `json:"before,omitempty"`
	After     facts    `json:"after,omitempty"`
	Changed   []string `json:"changed,omitempty"`
	Status    int      `json:"status,omitempty"`
	Reason    string   `json:"reason,omitempty"`
	Millis    float64  `json:"durationMs,omitempty"`
	// Repeated counts the entries like this one since Since that have no line of their own; Time is that of the last of them.
	Repeated int `json:"repeated,omitempty"`
	// Suppressed counts the refusals since Since that were too many to be written.
	Suppressed int       `json:"suppressed,omitempty"`
	Since      time.Time `json:"since,omitzero"`

	// host is whom From belongs to, see [hostOf]; acts says that the request changed something.
	host string
	acts bool
}

// who is a principal as the log shows it.
type who struct {
	Name string `json:"name,omitempty"`
	Role string `json:"role"`
	By   string `json:"by"`
	// Certificate is the subject of the one that came along with a password or token.
	Certificate string `json:"certificate,omitempty"`
}

// audited says whether a request belongs into the audit log: all that change something or would, and all that the caller was not allowed.
func audited(r *fasthttp.RequestCtx) bool {
	switch r.Response.StatusCode() {
	case fasthttp.StatusUnauthorized, fasthttp.StatusForbidden, fasthttp.StatusTooManyRequests:
		return true
	}
	return r.IsPost() || !r.IsGet() && !r.IsHead() && r.Response.StatusCode() >= fasthttp.StatusBadRequest
}

// entryOf is the line of a request that has its answer.
func entryOf(r *fasthttp.RequestCtx, began time.Time, dur time.Duration) entry {
	d, status := &visitOf(r).deed, r.Response.StatusCode()
	e := entryFrom(r, began)
	e.Method, e.Route, e.Status, e.Millis = clip(string(r.Method()), longestName), d.route, status, millis(dur)
	if who, known := principalOf(r); known {
		e.Who = &who
	}
	if d.route == "" {
		e.Path = clip(string(r.URI().PathOriginal()), longestPath)
		return e
	}
	e.Operation, e.Machine, e.Arguments = path.Base(d.route), clip(d.machine, longestPath), d.arguments
	if status >= fasthttp.StatusBadRequest {
		return e
	}
	e.Before, e.After, e.acts = d.before, d.after, d.acts || !alike(d.before, d.after)
	for _, p := range d.paths[:min(len(d.paths), mostPaths)] {
		e.Changed = append(e.Changed, clip(p, longestPath))
	}
	return e
}

// entryFrom is what is known of a request of which only the connection can be trusted.
func entryFrom(r *fasthttp.RequestCtx, began time.Time) entry {
	e := entry{
		Time: began.UTC().Truncate(time.Millisecond), Request: requestID(r), From: r.RemoteAddr().String(), Status: r.Response.StatusCode(),
		host: hostName(hostOf(r.RemoteAddr())),
	}
	if err := visitOf(r).failure; err != nil {
		e.Reason = clip(problemOf(err, v5).message, longestReason)
		if c, ok := errors.AsType[*claim](err); ok {
			e.Claimed = clip(c.name, longestName)
		}
	}
	return e
}

func principalOf(r *fasthttp.RequestCtx) (who, bool) {
	p := caller(r)
	return who{clip(p.name, longestName), p.role.String(), p.by, clip(p.certificate, longestName)}, visitOf(r).known
}

func (e entry) refused() bool { return e.Status >= fasthttp.StatusBadRequest }

// line is the entry as it is written. What JSON has no words for cannot get into it.
func (e entry) line() []byte {
	line, err := json.Marshal(e)
	if err != nil { // arguments are made of texts, numbers and booleans
		line, _ = json.Marshal(map[string]string{"request": e.Request, "reason": err.Error()})
	}
	return line
}

// subject is whom and what an entry is about; the entries of one subject follow upon each other.
func (e entry) subject() string {
	return digestOf(entry{Who: e.Who, Claimed: e.Claimed, From: e.host, Method: e.Method, Route: e.Route, Path: e.Path, Machine: e.Machine})
}

// content is all that tells an entry from another one of its subject.
func (e entry) content() string {
	return digestOf(entry{Arguments: e.Arguments, Before: e.Before, After: e.After, Status: e.Status, Reason: e.Reason})
}

func digestOf(e entry) string { return string(e.line()) }

func alike(a, b facts) bool { return digestOf(entry{Before: a}) == digestOf(entry{Before: b}) }

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// clip cuts a text that is too long to a number of characters.
func clip(text string, longest int) string {
	if utf8.RuneCountInString(text) <= longest {
		return text
	}
	return string([]rune(text)[:longest-1]) + "…"
}
