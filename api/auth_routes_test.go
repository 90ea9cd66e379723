package api

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// bodyFor is a body that the operation takes.
func bodyFor(path string) string {
	parts := strings.Split(path, "/")
	switch parts[len(parts)-1] {
	case "size":
		return `{"desiredSize": 3}`
	case "serviceState":
		return `{"machineId": "m", "serviceState": "IN_SERVICE"}`
	case "membershipStatus":
		return `{"machineId": "m", "membershipStatus": {"active": true, "evictable": true}}`
	case "freeze":
		return `{"frozen": true, "reason": "test"}`
	}
	return `{"machineId": "m"}`
}

// visitor is somebody who sends the same credentials with every request, or the same certificate.
type visitor struct {
	name          string
	authorization string
	client        *http.Client
	// role is what the server should take the visitor for; known says whether it should at all.
	role  role
	known bool
}

// visitors are one of each kind of stranger, and for each role one by each kind of proof.
func visitors(t *testing.T, run *running, ca tls.Certificate) []visitor {
	t.Helper()
	with := func(certificates ...tls.Certificate) *http.Client {
		trust := run.trust.Clone()
		trust.Certificates = certificates
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: trust}}
		t.Cleanup(client.CloseIdleConnections)
		return client
	}
	plain := with()
	all := []visitor{
		{"nothing", "", plain, nobody, false},
		{"malformed", "Basic ???", plain, nobody, false},
		{"wrong password", basic("admin", "wrong"), plain, nobody, false},
		{"unknown name", basic("mallory", "password"), plain, nobody, false},
		{"expired password", basic("late", "password"), plain, nobody, false},
		{"wrong token", "Bearer wrong", plain, nobody, false},
		{"expired token", "Bearer latetoken", plain, nobody, false},
		{"expired certificate", "", with(issuedTo(t, ca, "late")), nobody, false},
		{"certificate and wrong password", basic("admin", "wrong"), with(issuedTo(t, ca, "card-admin")), nobody, false},
		{"certificate without a line", "", with(issuedTo(t, ca, "someone")), operator, true},
		{"certificate and password", basic("viewer", "password"), with(issuedTo(t, ca, "card-admin")), viewer, true},
	}
	for may := nobody; may <= admin; may++ {
		all = append(all,
			visitor{"password of " + may.String(), basic(may.String(), "password"), plain, may, true},
			visitor{"token of " + may.String(), "Bearer token-" + may.String(), plain, may, true},
			visitor{"certificate of " + may.String(), "", with(issuedTo(t, ca, "card-"+may.String())), may, true})
	}
	return all
}

func hashedToken(token string) string {
	return fmt.Sprintf("%s%x", tokenSecret, sha256Sum(token))
}

// TestWhoMayWhat sends every visitor to every route and to paths that do not exist, with every method, over TLS.
func TestWhoMayWhat(t *testing.T) {
	lines := []string{
		"late:" + hashed("password") + ":admin:2020-01-01", "latetoken:" + hashedToken("latetoken") + ":admin:2020-01-01",
		"CN=late:$x509:admin:2020-01-01",
	}
	for may := nobody; may <= admin; may++ {
		lines = append(lines, fmt.Sprintf("%s:%s:%[1]s", may, hashed("password")),
			fmt.Sprintf("ci-%s:%s:%[1]s", may, hashedToken("token-"+may.String())), fmt.Sprintf("card-%s:$x509:%[1]s", may))
	}
	ca, file := authority(t)
	h := newHouse(t, Options{UsersFile: usersFile(t, lines...), ClientCAFile: file, ClientCertOptional: true, ClientRole: "operator"})
	h.passwords.compare = func(hash, password []byte) error { // thousands of times
		if string(hash) == hashed("password") && string(password) == "password" {
			return nil
		}
		return errWrong
	}
	run := serve(t, h.Server)
	paths := []string{"/", "/nothing", "/pool/a/b", "/pool//size", "/pool/../config", "/config/../pool", "/%2e%2e/config", "/stop/"}
	for _, route := range routes {
		if path := strings.ReplaceAll(route.path, "{id}", "m"); !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	for _, who := range visitors(t, run, ca) {
		for _, path := range paths {
			for _, method := range []string{"GET", "HEAD", "POST", "DELETE", "OPTIONS"} {
				h.check(t, who, method, "https://"+run.addr, path)
			}
		}
	}
}

func (h *house) check(t *testing.T, who visitor, method, server, path string) {
	t.Helper()
	h.passwords.mu.Lock()
	h.passwords.failures = newThrottle() // which is another test's business
	h.passwords.mu.Unlock()
	h.pool.said()
	request, err := http.NewRequest(method, server, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.URL.Opaque = path
	if method == "POST" {
		body := bodyFor(strings.TrimSuffix(path, "/"))
		request.Body, request.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		request.Header.Set("Content-Type", "application/json")
	}
	if who.authorization != "" {
		request.Header.Set("Authorization", who.authorization)
	}
	response, err := who.client.Do(request)
	if err != nil {
		t.Fatalf("%s: %s %s: %v", who.name, method, path, err)
	}
	body, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	want, needed := expected(who, method, path)
	if response.StatusCode != want {
		t.Errorf("%s: %s %s: status %d, want %d: %s", who.name, method, path, response.StatusCode, want, body)
	}
	if asked := h.pool.said(); asked != "" && want != 200 {
		t.Errorf("%s: %s %s: the pool was asked %s", who.name, method, path, asked)
	}
	switch {
	case want == 401 && response.Header.Get("WWW-Authenticate") != `Basic realm="vspherepool", charset="UTF-8"`:
		t.Errorf("%s: %s %s: challenge %q", who.name, method, path, response.Header["Www-Authenticate"])
	case want == 403 && method != "HEAD" && !strings.Contains(errorOf(t, body).Message, "this takes the role "+needed.String()):
		t.Errorf("%s: %s %s: %s", who.name, method, path, body)
	}
}

// expected is the status by the table of routes, and the role that it takes.
func expected(who visitor, method, path string) (status int, needed role) {
	if !who.known {
		return 401, nobody
	}
	path = strings.TrimSuffix(path, "/") // one is dropped
	if method == "HEAD" {
		method = "GET"
	}
	status = 404
	for _, route := range routes {
		switch {
		case strings.ReplaceAll(route.path, "{id}", "m") != path:
		case method == "OPTIONS": // tells what is allowed
			return 200, nobody
		case route.method != method:
			status = 405
		case who.role < route.needs:
			return 403, route.needs
		default:
			return 200, route.needs
		}
	}
	return status, nobody
}

// TestTableOfRoutes keeps what each role may from changing by accident.
func TestTableOfRoutes(t *testing.T) {
	may := make(map[string][]string)
	for _, o := range Operations() {
		may[o.Role] = append(may[o.Role], strings.TrimPrefix(o.Method+" "+o.Path, "POST "))
	}
	want := map[string]string{
		"viewer":     "[GET /pool GET /pool/size GET /pool/freeze GET /pool/orphans GET /config GET /status GET /metrics]",
		"autoscaler": "[/pool/size]",
		"operator": "[/pool/{id}/terminate /pool/{id}/detach /pool/{id}/attach /pool/{id}/serviceState /pool/{id}/membershipStatus " +
			"/pool/terminate /pool/detach /pool/attach /pool/serviceState /pool/membershipStatus /pool/freeze]",
		"admin": "[/config /start /stop]",
	}
	for name, operations := range want {
		if got := fmt.Sprint(may[name]); got != operations {
			t.Errorf("%s may %s", name, got)
		}
	}
	if len(may) != len(want) {
		t.Errorf("roles %v", may)
	}
}
