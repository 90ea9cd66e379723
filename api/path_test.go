package api

import (
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCanonical(t *testing.T) {
	for path, want := range map[string]string{
		"/pool":                  "/pool",
		"/pool/":                 "/pool",
		"/pool/size/":            "/pool/size",
		"/pool/a/terminate":      "/pool/a/terminate",
		"/pool/a/b/terminate":    "/pool/a%2Fb/terminate",
		"/pool/a/b/c/d/x/":       "/pool/a%2Fb%2Fc%2Fd/x",
		"/pool/a%2Fb/terminate":  "/pool/a%2Fb/terminate",
		"/other/a/b/c":           "/other/a/b/c",
		"/pool/...":              "/pool/...",
		"/pool/%2e%2e/terminate": "/pool/%2e%2e/terminate",
	} {
		if got, ok := canonical(path); !ok || got != want {
			t.Errorf("canonical(%q) = %q %t, want %q", path, got, ok, want)
		}
	}
	for _, path := range []string{
		"", "/", "//", "*", "/*", "pool", "/pool//", "//pool", "/pool//size",
		"/./pool", "/pool/.", "/pool/..", "/../pool", "/pool/../", "/a/../pool",
	} {
		if got, ok := canonical(path); ok {
			t.Errorf("canonical(%q) = %q, want none", path, got)
		}
	}
}

// TestAnyIDRoundTrips: whatever an id is, escaped into a path it reaches the pool as it was, under the operation that was meant.
func TestAnyIDRoundTrips(t *testing.T) {
	pool := newScripted()
	s, _ := newTestServer(t, pool, defaultLimits)
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringN(1, 40, 200).Draw(t, "id")
		if id == "." || id == ".." {
			t.Skip("dots are left alone by the usual escaping, and then a path trick")
		}
		response := call{method: "POST", path: "/pool/" + url.PathEscape(id) + "/attach"}.run(s)
		if got := pool.said(); response.StatusCode() != 200 || got != "attach "+id {
			t.Fatalf("id %q: %d, asked %q", id, response.StatusCode(), got)
		}
	})
}

// FuzzPath: no request target panics, makes a 5xx, or reaches an operation that its text does not end in.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"/pool", "/pool/", "//pool", "/pool/a/attach", "/pool/a%2Fb/attach", "/pool/../size", "/pool/%zz/attach", "https://h/pool", "*",
		"/pool?x#y", "/pool#/a/attach", "http://%zz/pool", "/{id}", "/pool/{id:*}/attach", "\x00", "/pool/\xff/attach", "://", "//h/pool",
	} {
		f.Add("POST", seed)
		f.Add("GET", seed)
	}
	pool := newScripted()
	s, _ := newTestServer(f, pool, defaultLimits)
	f.Fuzz(func(t *testing.T, method, target string) {
		response := call{method: method, path: target}.run(s)
		if response.StatusCode() >= 500 {
			t.Fatalf("%q %q: %d %s", method, target, response.StatusCode(), response.Body())
		}
		if asked := pool.said(); strings.HasPrefix(asked, "attach ") && !strings.Contains(target, "/attach") {
			t.Fatalf("%q asked %q", target, asked)
		}
		if response.StatusCode() >= 400 && len(errorOf(t, response.Body()).Message) > 2000 {
			t.Fatalf("an endless message")
		}
	})
}
