package api

import (
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"
)

var errOrigin = &problem{fasthttp.StatusForbidden, "a browser made this request on behalf of another site, which is not allowed; " +
	"send it from a program, or from this server's own address", nil}

// crossSite says whether a request that may change something was made by a browser on behalf of another site. Browsers send passwords
// that they remember and client certificates along with such requests by themselves, and a form on any page can make one. They also say
// so: in Sec-Fetch-Site since 2023, in Origin before. Other programs send neither. The rules are those of net/http.CrossOriginProtection.
func crossSite(r *fasthttp.RequestCtx) bool {
	if r.IsGet() || r.IsHead() || r.IsOptions() {
		return false
	}
	switch joined(r, "Sec-Fetch-Site") {
	case "":
	case "same-origin", "none":
		return false
	default:
		return true
	}
	origin := joined(r, fasthttp.HeaderOrigin)
	if origin == "" {
		return false
	}
	from, err := url.Parse(origin)
	return err != nil || !strings.EqualFold(from.Host, string(r.Request.Header.Host()))
}
