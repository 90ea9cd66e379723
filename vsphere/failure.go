package vsphere

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/vim25/soap"
)

// Error is a failed vSphere call.
type Error struct {
	// Op says what was being done: "clone vm".
	Op string
	// Object names what it was done to: a name, path or reference.
	Object string
	Kind   Kind
	// Fault is the SOAP fault's type, for example "NoPermission"; empty when there was none.
	Fault string
	// Task is the vCenter task that failed; empty if it was the call.
	Task Task
	// Hint tells a person what to do about it; may be empty.
	Hint string
	// Err is the cause, for the log.
	Err error
}

// Error is "clone vm web-1: cause (NoPermission, task-77): hint".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Object != "" {
		b.WriteString(" " + e.Object)
	}
	if e.Err != nil {
		b.WriteString(": " + said(e.Err))
	}
	if source := e.source(b.String()); source != "" {
		b.WriteString(" (" + source + ")")
	}
	if e.Hint != "" {
		b.WriteString(": " + e.Hint)
	}
	return withoutSecrets(b.String())
}

// source names fault type and task, as far as the text does not yet: with them the failure is found in vCenter's own lists and logs.
func (e *Error) source(text string) string {
	var names []string
	for _, name := range []string{e.Fault, string(e.Task)} {
		if name != "" && !strings.Contains(text, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of the first [Error] in err's chain, Unknown without one.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Unknown
}

// wrap makes err an [Error] of the given operation; nil stays nil, and an Error stays what it is. What carries no SOAP fault never
// got an answer that counts: the network, HTTP, a time limit or the caller's context ended the call.
func wrap(op, object string, err error) error {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*Error](err); ok {
		named := *known
		named.Op, named.Object = cmp.Or(known.Op, op), cmp.Or(known.Object, object)
		return &named
	}
	e := &Error{Op: op, Object: object, Kind: Unreachable, Hint: cmp.Or(distrust(err), unreached(err)), Task: taskOf(err), Err: err}
	switch f := faultOf(err); {
	case f != nil:
		e.Kind, e.Fault, e.Hint = kindOf(f), nameOf(f), hint(f, labelsIn(err))
	case bareFault(err):
		e.Kind = Unknown
	case throttled(err):
		e.Kind, e.Hint = TooMany, tooManyRemedy
	}
	return e
}

// throttled says whether the call was refused because there are too many, by vCenter's own gateway or a proxy before it. Of such an
// answer govmomi keeps the HTTP status line only.
func throttled(err error) bool {
	e, ok := errors.AsType[*url.Error](err)
	return ok && e.Err != nil && strings.HasPrefix(e.Err.Error(), strconv.Itoa(http.StatusTooManyRequests)+" ")
}

// bareFault says whether err is a fault without a type: one that vCenter did not give, or of a newer version than we know.
func bareFault(err error) bool {
	if _, ended := errors.AsType[taskFault](err); ended {
		return true
	}
	for ; err != nil; err = errors.Unwrap(err) {
		if soap.IsSoapFault(err) {
			return true
		}
	}
	return false
}

// taskFault is the error that a task ended with.
type taskFault struct {
	error
	id Task
}

func (f taskFault) Unwrap() error { return f.error }

func taskOf(err error) Task {
	if f, ok := errors.AsType[taskFault](err); ok {
		return f.id
	}
	return ""
}

// deepest bounds how many causes beneath a fault are looked at; vCenter nests two or three.
const deepest = 5

// said is what vCenter says of a failure in its own, localized words, those of the causes beneath it included: the outermost is often
// no more than "a general system error occurred".
func said(err error) string {
	f := faultOf(err)
	if f == nil {
		return err.Error()
	}
	words := []string{strings.TrimPrefix(err.Error(), "ServerFaultCode: ")}
	for range deepest {
		m := f.GetMethodFault()
		for _, message := range m.FaultMessage {
			words = append(words, message.Message)
		}
		if m.FaultCause == nil {
			break
		}
		words = append(words, m.FaultCause.LocalizedMessage)
		if f = m.FaultCause.Fault; f == nil {
			break
		}
	}
	return cmp.Or(phrases("; ", words...), nameOf(faultOf(err)))
}

// phrases joins sentences to one, leaving out what is empty or said already.
func phrases(between string, texts ...string) string {
	var out []string
	for _, text := range texts {
		text = strings.TrimRight(strings.TrimSpace(text), ".")
		if text != "" && !slices.ContainsFunc(out, func(said string) bool { return strings.Contains(said, text) }) {
			out = append(out, text)
		}
	}
	return strings.Join(out, between)
}
