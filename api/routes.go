package api

import (
	"context"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"
)

// version is a set of API versions.
type version uint8

const (
	v2 version = 1 << iota
	v5
)

// route is one operation. Paths with {id} are the forms of API 2.0 (the one for the membership status came with 3.0); what neither
// version knows behaves as 5.0 does.
type route struct {
	method   string
	path     string
	versions version
	// needs is the least role that may.
	needs  role
	handle func(*endpoints, context.Context, *fasthttp.RequestCtx) error
}

var routes = []route{
	{fasthttp.MethodGet, "/pool", v2 | v5, viewer, (*endpoints).getPool},
	{fasthttp.MethodGet, "/pool/size", v2 | v5, viewer, (*endpoints).getSize},
	{fasthttp.MethodPost, "/pool/size", v2 | v5, autoscaler, (*endpoints).setSize},

	{fasthttp.MethodPost, "/pool/{id}/terminate", v2, operator, (*endpoints).terminate},
	{fasthttp.MethodPost, "/pool/{id}/detach", v2, operator, (*endpoints).detach},
	{fasthttp.MethodPost, "/pool/{id}/attach", v2, operator, (*endpoints).attachByPath},
	{fasthttp.MethodPost, "/pool/{id}/serviceState", v2, operator, (*endpoints).setServiceStateByPath},
	{fasthttp.MethodPost, "/pool/{id}/membershipStatus", v2, operator, (*endpoints).setMembership},

	{fasthttp.MethodPost, "/pool/terminate", v5, operator, (*endpoints).terminate},
	{fasthttp.MethodPost, "/pool/detach", v5, operator, (*endpoints).detach},
	{fasthttp.MethodPost, "/pool/attach", v5, operator, (*endpoints).attach},
	{fasthttp.MethodPost, "/pool/serviceState", v5, operator, (*endpoints).setServiceState},
	{fasthttp.MethodPost, "/pool/membershipStatus", v5, operator, (*endpoints).setMembership},

	{fasthttp.MethodGet, "/pool/freeze", v5, viewer, (*endpoints).getFreeze},
	{fasthttp.MethodPost, "/pool/freeze", v5, operator, (*endpoints).setFreeze},
	{fasthttp.MethodGet, "/pool/orphans", v5, viewer, (*endpoints).getOrphans},

	{fasthttp.MethodGet, configPath, v5, viewer, (*endpoints).getConfig},
	{fasthttp.MethodPost, configPath, v5, admin, (*endpoints).setConfig},
	{fasthttp.MethodPost, "/start", v5, admin, (*endpoints).start},
	{fasthttp.MethodPost, "/stop", v5, admin, (*endpoints).stop},
	{fasthttp.MethodGet, "/status", v5, viewer, (*endpoints).getStatus},
	{fasthttp.MethodGet, "/metrics", v5, viewer, (*endpoints).getMetrics},
}

// configPath is apart because its bodies may be larger.
const configPath = "/config"

func (s *Server) newRouter() *router.Router {
	r := router.New()
	r.RedirectTrailingSlash = false
	r.RedirectFixedPath = false
	r.NotFound = s.notFound
	r.MethodNotAllowed = s.methodNotAllowed
	for _, o := range routes {
		handler := s.endpoint(o)
		r.Handle(o.method, o.path, handler)
		if o.method == fasthttp.MethodGet {
			r.Handle(fasthttp.MethodHead, o.path, handler)
			s.plain[o.path] = handler
		}
	}
	return r
}

// endpoint runs a route with a deadline, and turns its error into an answer.
func (s *Server) endpoint(o route) fasthttp.RequestHandler {
	traffic := s.metrics.traffic(o.method, o.path)
	handle, class := s.inTurn(o), classOf(o)
	return func(r *fasthttp.RequestCtx) {
		v := visitOf(r)
		v.traffic, v.deed.route = traffic, o.path
		v.deed.machine, _ = r.UserValue("id").(string) // that of the path
		ctx, cancel := s.context(r, v, class)
		defer cancel()
		err := permit(r, o.needs)
		if err == nil {
			err = handle(ctx, r)
		}
		if err != nil {
			fail(r, err, o.versions)
		}
	}
}

// context ends when an operation has taken too long, or the server can't wait for it. A read knows its time, and nobody waits with it for
// its end: a timer for each would cost as much as the rest of it.
func (s *Server) context(r *fasthttp.RequestCtx, v *visit, c class) (context.Context, context.CancelFunc) {
	until := r.Time().Add(s.limits.request)
	if c != reads {
		return context.WithDeadline(s.base, until)
	}
	v.brief = brief{s.base, until}
	return &v.brief, func() {}
}

// dispatch asks who is there before it looks at what is wanted, so that strangers learn nothing, not even which paths exist.
func (s *Server) dispatch(r *fasthttp.RequestCtx) {
	who, err := s.auth.identify(r)
	if err != nil {
		fail(r, err, v5)
		return
	}
	v := visitOf(r)
	v.caller, v.known = who, true
	if crossSite(r) {
		s.metrics.refuse(originRefused)
		fail(r, errOrigin, v5)
		return
	}
	if read := s.plain[string(r.Request.Header.RequestURI())]; read != nil && r.IsGet() {
		read(r)
		return
	}
	if !locate(r) {
		s.notFound(r)
		return
	}
	s.router.Handler(r)
}

// locate sets the path for the router; false: there can't be anything.
func locate(r *fasthttp.RequestCtx) bool {
	original := string(r.URI().PathOriginal())
	path, ok := canonical(original)
	if !ok || schemeless(r.Request.Header.RequestURI()) {
		return false
	}
	if path != original {
		r.URI().SetPath(path)
	}
	return true
}
