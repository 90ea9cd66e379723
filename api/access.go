package api

import (
	"fmt"
	"slices"

	"github.com/valyala/fasthttp"
)

// role is what a caller may do. Each includes the ones before it.
type role uint8

const (
	// nobody may do nothing.
	nobody role = iota
	// viewer reads.
	viewer
	// autoscaler sets the desired size too.
	autoscaler
	// operator decides about single machines too, and about holding still.
	operator
	// admin configures, starts and stops the pool too.
	admin
)

var roleNames = [...]string{nobody: "nobody", viewer: "viewer", autoscaler: "autoscaler", operator: "operator", admin: "admin"}

func (r role) String() string { return roleNames[r] }

func parseRole(name string) (role, bool) {
	i := slices.Index(roleNames[:], name)
	return role(max(i, 0)), i >= 0
}

// Roles are the names of the roles, the one that may least first. Each role may do what those before it may.
func Roles() []string { return slices.Clone(roleNames[:]) }

// principal is who makes a request.
type principal struct {
	// name is the user's, the token's or the certificate subject's; empty without authentication.
	name string
	role role
	// by is what proved it: "password", "token", "certificate", or "none" where nothing is asked for.
	by string
	// certificate is the subject of the client certificate that came with a password or token.
	certificate string
}

// authenticator tells who makes a request. It fails with a *problem of status 401 or 429, having set the headers that go with it.
type authenticator interface {
	identify(r *fasthttp.RequestCtx) (principal, error)
}

// open is for a server on loopback without authentication: whoever reaches it may do anything.
type open struct{}

func (open) identify(*fasthttp.RequestCtx) (principal, error) {
	return principal{role: admin, by: "none"}, nil
}

// caller is who makes the request, as far as it is known yet.
func caller(r *fasthttp.RequestCtx) principal { return visitOf(r).caller }

// permit refuses a caller whose role is too small for a route.
func permit(r *fasthttp.RequestCtx, needed role) error {
	who := caller(r)
	if who.role >= needed {
		return nil
	}
	return &problem{fasthttp.StatusForbidden, fmt.Sprintf("this takes the role %s; %q has the role %s", needed, who.name, who.role), nil}
}
