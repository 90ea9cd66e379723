package api

import (
	"strings"
	"testing"
)

func TestBrowsersActForNoOtherSite(t *testing.T) {
	const mine = "https://pool.example"
	tests := []struct {
		name, method string
		headers      map[string]string
		status       int
	}{
		{"program", "POST", nil, 200},
		{"same origin", "POST", map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": mine}, 200},
		{"by the user", "POST", map[string]string{"Sec-Fetch-Site": "none"}, 200},
		{"other site", "POST", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"other site that lies about its origin", "POST", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": mine}, 403},
		{"sister site", "POST", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		{"anything new", "POST", map[string]string{"Sec-Fetch-Site": "near-site"}, 403},
		{"old browser, same origin", "POST", map[string]string{"Origin": "https://POOL.example"}, 200},
		{"old browser, other site", "POST", map[string]string{"Origin": "https://evil.example"}, 403},
		{"old browser, other port", "POST", map[string]string{"Origin": "https://pool.example:8443"}, 403},
		{"sandboxed page", "POST", map[string]string{"Origin": "null"}, 403},
		{"broken origin", "POST", map[string]string{"Origin": "https://%zz"}, 403},
		{"read", "GET", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 405},
	}
	for _, test := range tests {
		pool := newScripted()
		s, _ := newTestServer(t, pool, defaultLimits)
		response := call{test.method, "/start", "", "", test.headers}.run(s)
		if response.StatusCode() != test.status || (pool.said() == "start") != (test.status == 200) {
			t.Errorf("%s: %d, want %d", test.name, response.StatusCode(), test.status)
		}
		if test.status == 403 && !strings.Contains(errorOf(t, response.Body()).Message, "browser") {
			t.Errorf("%s: %s", test.name, response.Body())
		}
	}
}

// TestNothingIsPermittedAcrossOrigins: whatever a browser asks for, no answer lets another site's scripts read it or go on.
func TestNothingIsPermittedAcrossOrigins(t *testing.T) {
	s, _ := newTestServer(t, newScripted(), defaultLimits)
	headers := map[string]string{
		"Origin": "https://evil.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization",
		"Access-Control-Request-Private-Network": "true",
	}
	for _, method := range []string{"OPTIONS", "GET", "HEAD", "POST", "DELETE"} {
		for _, path := range []string{"/pool", "/pool/size", "/config", "/nothing"} {
			response := call{method, path, "", "", headers}.run(s)
			text := response.Header.String()
			if strings.Contains(text, "Access-Control") || strings.Contains(text, "Server:") {
				t.Errorf("%s %s:\n%s", method, path, text)
			}
			for _, header := range []string{
				"Cross-Origin-Resource-Policy: same-origin",
				"X-Content-Type-Options: nosniff",
			} {
				if !strings.Contains(text, header+"\r\n") {
					t.Errorf("%s %s has no %s", method, path, header)
				}
			}
		}
	}
}
