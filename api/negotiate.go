package api

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"
)

// coding is a content coding by its registered name.
type coding string

const (
	identity  coding = "identity"
	gzipped   coding = "gzip"
	zstandard coding = "zstd"
)

// joined is a list header's value, all its lines as one.
func joined(r *fasthttp.RequestCtx, name string) string {
	lines := r.Request.Header.PeekAll(name)
	if len(lines) == 0 {
		return ""
	}
	return string(bytes.Join(lines, []byte(", ")))
}

// negotiate picks the coding with the highest quality out of an Accept-Encoding header; among equals the smaller result. What is not
// named is not used, but for gzip in place of "*". A client that wants nothing on offer gets the plain text (RFC 9110, 12.5.3).
func negotiate(accept string) coding {
	if accept == "" {
		return identity
	}
	wanted := qualities(accept)
	best, quality := identity, 0.0
	if q, ok := wanted[identity]; ok {
		quality = q
	}
	for _, c := range []coding{gzipped, zstandard} {
		q, ok := wanted[c]
		if !ok && c == gzipped {
			q = wanted["*"]
		}
		if q > 0 && q >= quality {
			best, quality = c, q
		}
	}
	return best
}

// qualities reads "gzip;q=0.5, *;q=0". A quality that is not a number counts as 0.
func qualities(accept string) map[coding]float64 {
	wanted := make(map[coding]float64)
	for item := range strings.SplitSeq(accept, ",") {
		name, parameters, _ := strings.Cut(item, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if name != "" {
			wanted[coding(name)] = qualityOf(parameters)
		}
	}
	return wanted
}

func qualityOf(parameters string) float64 {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(parameter, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil || q < 0 || q > 1 {
				return 0
			}
			return q
		}
	}
	return 1
}

// holds says whether an If-None-Match header lists the tag, or is "*". The comparison is weak, as RFC 9110 (13.1.2) wants it.
func holds(ifNoneMatch, tag string) bool {
	rest := strings.TrimSpace(ifNoneMatch)
	if rest == "*" {
		return true
	}
	for rest != "" {
		rest = strings.TrimPrefix(strings.TrimLeft(rest, ", \t"), "W/")
		if strings.HasPrefix(rest, tag) {
			return true
		}
		_, after, opened := strings.Cut(rest, `"`)
		_, after, closed := strings.Cut(after, `"`)
		if !opened || !closed {
			return false
		}
		rest = after
	}
	return false
}
