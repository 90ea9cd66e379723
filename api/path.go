package api

import (
	"bytes"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
)

// canonical is the path that the router matches, or false for one that must not match anything. It drops one trailing slash, and
// escapes the slashes inside of a machine id, because clients of API 2.0 put ids into the path as they are: everything between
// /pool/ and the last segment is the id. Empty, "." and ".." segments are refused rather than resolved.
func canonical(path string) (string, bool) {
	if !strings.HasPrefix(path, "/") || path == "/*" { // the router answers "/*" for all routes together
		return "", false
	}
	segments := strings.Split(strings.TrimSuffix(path[1:], "/"), "/")
	for _, segment := range segments {
		if segment == "" || segment == "." || segment == ".." {
			return "", false
		}
	}
	if last := len(segments) - 1; last > 2 && segments[0] == "pool" {
		return "/pool/" + strings.Join(segments[1:last], "%2F") + "/" + segments[last], true
	}
	return "/" + strings.Join(segments, "/"), true
}

// schemeless says whether a request target is a "//host/path", of which fasthttp would take the path alone when there is no Host.
func schemeless(target []byte) bool {
	return bytes.HasPrefix(target, []byte("//"))
}

// pathID is the machine id in the path, percent-decoded once; false if the route has none.
func pathID(r *fasthttp.RequestCtx) (id string, ok bool, err error) {
	segment, ok := r.UserValue("id").(string)
	if !ok {
		return "", false, nil
	}
	id, err = url.PathUnescape(segment)
	if err != nil {
		return "", true, badRequest("the machine id in the path has a broken percent escape; write a literal % as %25", err)
	}
	if !utf8.ValidString(id) {
		return "", true, badRequest("the machine id in the path is not valid UTF-8", nil)
	}
	return id, true, nil
}
