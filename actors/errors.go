package actors

import (
	"errors"
	"fmt"
)

// ErrorKind classifies why the pool refused or failed a request.
type ErrorKind int

// The kinds of refusal.
const (
	// Internal: a defect, or the journal cannot be written.
	Internal ErrorKind = iota
	// Invalid: the request asks for something that cannot be; nothing changed.
	Invalid
	// NotFound: no such member (for attach: no such VM; for the configuration: none set).
	NotFound
	// NotStarted: the pool is stopped or unconfigured.
	NotStarted
	// Unavailable: vCenter failed the request or cannot be read; nothing changed that the caller would have to know of.
	Unavailable
	// Conflict: another request of the kind is under way; nothing changed, and trying again in a moment helps.
	Conflict
)

// Error is a refused or failed request.
type Error struct {
	Kind ErrorKind
	// Message says what was wrong and what to do, for the caller.
	Message string
	// Err is the cause; its text goes into the answer's detail.
	Err error
}

// Error is "message: cause".
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of the first [Error] in err's chain, Internal without one.
func KindOf(err error) ErrorKind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

func refuse(kind ErrorKind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}
