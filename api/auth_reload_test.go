package api

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
)

func sha256Sum(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }

// issuedTo is a client certificate for a common name.
func issuedTo(t testing.TB, ca tls.Certificate, name string) tls.Certificate {
	t.Helper()
	return issuedFor(t, ca, name, time.Now().Add(time.Hour))
}

func issuedFor(t testing.TB, ca tls.Certificate, name string, until time.Time) tls.Certificate {
	t.Helper()
	template, err := selfSignedTemplate(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	template.Subject.CommonName, template.NotAfter = name, until
	template.IsCA, template.KeyUsage = false, x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return sign(t, template, &ca)
}

// line is one connection, kept open, and what it has been answered.
type line struct {
	*tls.Conn
	in *bufio.Reader
}

func (run *running) open(t *testing.T, trust *tls.Config, certificates ...tls.Certificate) *line {
	t.Helper()
	trust = trust.Clone()
	trust.Certificates = certificates
	c, err := tls.Dial("tcp", run.addr, trust)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &line{c, bufio.NewReader(c)}
}

// get is the status of an answer over the connection, and what the server will do with it then.
func (l *line) get(t *testing.T, path, authorization string) string {
	t.Helper()
	header := ""
	if authorization != "" {
		header = "Authorization: " + authorization + "\r\n"
	}
	if _, err := io.WriteString(l, "GET "+path+" HTTP/1.1\r\nHost: h\r\n"+header+"\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(l.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if response.Close {
		return fmt.Sprint(response.StatusCode, " close")
	}
	return fmt.Sprint(response.StatusCode)
}

// TestUsersAreReloaded changes the file behind a connection that stays open.
func TestUsersAreReloaded(t *testing.T) {
	alice, ci := "alice:"+hashed("secret")+":admin", "ci:"+tokenLine+":admin"
	file := usersFile(t, alice, ci, "ann:"+hashed("secret"))
	h := newHouse(t, Options{UsersFile: file})
	h.users.every = 0
	l := serve(t, h.Server).open(t, h.tlsTrust(t))
	steps := []struct {
		name   string
		change func()
		// statuses are alice's and the token's; said is how many lines there are of each kind in the log afterwards.
		statuses      string
		refused, kept int
	}{
		{"as it began", func() {}, "200 200", 0, 0},
		{"token removed", func() { writeUsers(t, file, alice) }, "200 401", 0, 0},
		{"alice removed, another line broken", func() { writeUsers(t, file, ci, "bob:hunter2") }, "401 200", 1, 0},
		{"looked at again", func() {}, "401 200", 1, 0},
		{"twice the same name", func() { writeUsers(t, file, alice, alice, ci) }, "401 200", 3, 0},
		{"expired", func() { writeUsers(t, file, alice+":2020-01-01", ci) }, "401 200", 3, 0},
		{"file gone", func() { _ = os.Remove(file) }, "401 200", 3, 1},
		{"still gone", func() {}, "401 200", 3, 1},
		{"back", func() { writeUsers(t, file, alice) }, "200 401", 3, 1},
		{"writable by all", func() { writeUsers(t, file, ci); _ = os.Chmod(file, 0o666) }, "200 401", 3, 2},
		{"readable by all", func() { _ = os.Chmod(file, 0o644) }, "401 200", 3, 2},
		{"a directory", func() { _ = os.Remove(file); _ = os.Mkdir(file, 0o700) }, "401 200", 3, 3},
		{"emptied", func() { _ = os.Remove(file); writeUsers(t, file) }, "401 401", 3, 3},
	}
	for _, step := range steps {
		step.change()
		statuses := l.get(t, "/status", basic("alice", "secret")) + " " + l.get(t, "/status", "Bearer secret")
		refused, kept := strings.Count(h.log.String(), "line of the users file refused"), strings.Count(h.log.String(), "file not reloaded")
		if statuses != step.statuses || refused != step.refused || kept != step.kept {
			t.Errorf("%s: %s; %d lines refused, %d files", step.name, statuses, refused, kept)
		}
	}
	text := h.log.String()
	if strings.Contains(text, "hunter2") || !strings.Contains(text, "line 2: ") || !strings.Contains(text, "others may read the hashes") {
		t.Errorf("log:\n%s", text)
	}
	if strings.Count(text, "users without a role are viewers") != 1 || !strings.Contains(text, "users=[ann]") {
		t.Errorf("log:\n%s", text)
	}
}

// tlsTrust trusts the server.
func (s *Server) tlsTrust(t *testing.T) *tls.Config {
	t.Helper()
	text, err := os.ReadFile(s.CertificateFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &tls.Config{RootCAs: roots}
}

func TestFilesAreLookedAtOncePerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := usersFile(t, "alice:"+hashed("secret"))
		h := newHouse(t, Options{UsersFile: file})
		first := h.status(here, "alice", "secret")
		writeUsers(t, file, "# nobody")
		second := h.status(here, "alice", "secret")
		time.Sleep(lookEvery)
		if third := h.status(here, "alice", "secret"); first != 200 || second != 200 || third != 401 {
			t.Errorf("statuses %d %d %d", first, second, third)
		}
	})
}

// TestUserExpiresWhileServing also has somebody look at the clock.
func TestUserExpiresWhileServing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which begins in the year 2000
		h := newHouse(t, Options{UsersFile: usersFile(t, "alice:"+hashed("secret")+"::2000-01-01", "ci:"+tokenLine+"::2000-01-01")})
		both := func() string {
			return fmt.Sprint(h.status(here, "alice", "secret"), h.ask(here, "Bearer secret").StatusCode())
		}
		first := both()
		time.Sleep(24*time.Hour - 1)
		second := both()
		time.Sleep(time.Nanosecond)
		if third := both(); first != "200 200" || second != "200 200" || third != "401 401" {
			t.Errorf("statuses %s, %s, %s", first, second, third)
		}
		if !strings.Contains(h.log.String(), "the user's time is over") {
			t.Error("the log has no reason")
		}
	})
}

func writeAuthorities(t *testing.T, name string, authorities ...tls.Certificate) {
	t.Helper()
	var text []byte
	for _, ca := range authorities {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate[0]})...)
	}
	if err := replaceFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestAuthoritiesAreReloaded removes and adds authorities behind connections that stay open, and looks at new ones.
func TestAuthoritiesAreReloaded(t *testing.T) {
	a, file := authority(t)
	b, _ := authority(t)
	h := newHouse(t, Options{ClientCAFile: file})
	h.clients.every = 0
	run := serve(t, h.Server)
	trust := run.trust.Clone()
	trust.ClientSessionCache = tls.NewLRUClientSessionCache(10)
	certA, certB := issuedTo(t, a, "a"), issuedTo(t, b, "b")
	welcome := func(certificate tls.Certificate) bool {
		t.Helper()
		trust := trust.Clone()
		trust.Certificates = []tls.Certificate{certificate}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: trust}}
		defer client.CloseIdleConnections()
		response, err := client.Get("https://" + run.addr + "/status")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == 200
	}
	if !welcome(certA) || welcome(certB) {
		t.Error("at first, a has to be welcome, and b not")
	}
	l := run.open(t, trust, certA)
	writeAuthorities(t, file, a, b)
	if got := l.get(t, "/status", ""); got != "200" || !welcome(certA) || !welcome(certB) {
		t.Errorf("with both authorities: %s", got)
	}
	if err := os.WriteFile(file, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := l.get(t, "/status", ""); got != "200" || !welcome(certB) || strings.Count(h.log.String(), "file not reloaded") != 1 {
		t.Errorf("with a broken file: %s\n%s", got, h.log)
	}
	other := run.open(t, trust, certB)
	writeAuthorities(t, file, b)
	if got := l.get(t, "/status", ""); got != "401 close" {
		t.Errorf("open connection of a removed authority: %s", got)
	}
	if got := other.get(t, "/status", ""); got != "200" || welcome(certA) || !welcome(certB) {
		t.Errorf("after a was removed, b got %s", got)
	}
}

// TestCertificateIsLookedAtPerRequest has a certificate expire on an open connection.
func TestCertificateIsLookedAtPerRequest(t *testing.T) {
	ca, file := authority(t)
	h := newHouse(t, Options{ClientCAFile: file})
	short := issuedFor(t, ca, "short", time.Now().Add(time.Minute))
	at := h.clients.current.Load()
	sent := []*x509.Certificate{short.Leaf}
	now := time.Now()
	for range 2 {
		if err := at.verify(sent, now); err != nil {
			t.Error(err)
		}
	}
	if err := at.verify(sent, now.Add(2*time.Minute)); err == nil {
		t.Error("good beyond its end")
	}
	if err := at.verify(sent, now); err != nil {
		t.Errorf("not good any more when the clock was set right: %v", err)
	}
	for i := range 3 * maxChains {
		at.expiries.touch(sha256Sum(fmt.Sprint(i)))
	}
	if n := at.expiries.order.Len(); n != maxChains || at.verify(sent, now) != nil {
		t.Errorf("%d chains are remembered", n)
	}
	server := issuedTo(t, ca, "server")
	server.Leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	server.Leaf.Raw = append([]byte(nil), server.Leaf.Raw[1:]...)
	if at.verify([]*x509.Certificate{server.Leaf}, now) == nil {
		t.Error("a server's certificate is good for a client")
	}
}

// TestCertificateRoles is about who a certificate's holder is.
func TestCertificateRoles(t *testing.T) {
	ca, file := authority(t)
	users := usersFile(t,
		"alice:"+hashed("secret")+":viewer", "boss:$x509:admin", "CN=card:$x509:autoscaler", "card:$x509:admin", "gone:$x509:nobody")
	optional := Options{UsersFile: users, ClientCertOptional: true}
	for name, test := range map[string]struct {
		options      Options
		subject      string
		authorized   string
		name, by     string
		role         role
		certificate  string
		unauthorized bool
	}{
		"by default":            {Options{}, "anyone", "", "anyone", "certificate", admin, "", false},
		"password without file": {Options{}, "anyone", basic("alice", "x"), "anyone", "certificate", admin, "", false},
		"role for all":          {Options{ClientRole: "viewer"}, "anyone", "", "anyone", "certificate", viewer, "", false},
		"named":                 {Options{UsersFile: users, ClientRole: "viewer"}, "boss", "", "boss", "certificate", admin, "", false},
		"not in the file":       {Options{UsersFile: users}, "anyone", "", "anyone", "certificate", nobody, "", false},
		"named in full":         {Options{UsersFile: users}, "card", "", "CN=card", "certificate", autoscaler, "", false},
		"looks like a subject":  {Options{UsersFile: users, ClientRole: "nobody"}, "CN=card", "", "CN=card", "certificate", nobody, "", false},
		"locked out":            {Options{UsersFile: users}, "gone", "", "gone", "certificate", nobody, "", false},
		"a password user's":     {Options{UsersFile: users, ClientRole: "nobody"}, "alice", "", "alice", "certificate", nobody, "", false},
		"with a password":       {Options{UsersFile: users}, "boss", basic("alice", "secret"), "alice", "password", viewer, "boss", false},
		"with a wrong one":      {Options{UsersFile: users}, "boss", basic("alice", "x"), "", "", nobody, "", true},
		"none, password":        {optional, "", basic("alice", "secret"), "alice", "password", viewer, "", false},
		"none, nothing":         {optional, "", "", "", "", nobody, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			test.options.ClientCAFile = file
			h := newHouse(t, test.options)
			seen := make(chan principal, 1)
			h.auth = spy{h.doorman, seen}
			var certificates []tls.Certificate
			if test.subject != "" {
				certificates = append(certificates, issuedTo(t, ca, test.subject))
			}
			l := serve(t, h.Server).open(t, h.tlsTrust(t), certificates...)
			status := l.get(t, "/status", test.authorized)
			who, want := <-seen, principal{test.name, test.role, test.by, test.certificate}
			if who != want || strings.HasPrefix(status, "401") != test.unauthorized {
				t.Errorf("%+v, want %+v; status %s", who, want, status)
			}
		})
	}
}

// TestRefusedLineRaisesNobody breaks the line of a certificate's holder in all ways: he must not become one that the file does not name.
func TestRefusedLineRaisesNobody(t *testing.T) {
	ca, ca509 := authority(t)
	file := usersFile(t, "eve:$x509:viewer", "CN=mallory:$x509:viewer")
	h := newHouse(t, Options{UsersFile: file, ClientCAFile: ca509, ClientRole: "admin"})
	h.users.every = 0
	run := serve(t, h.Server)
	eve := run.open(t, h.tlsTrust(t), issuedTo(t, ca, "eve"))
	mallory := run.open(t, h.tlsTrust(t), issuedTo(t, ca, "mallory"))
	other := run.open(t, h.tlsTrust(t), issuedTo(t, ca, "other"))
	if got := eve.get(t, "/status", "") + mallory.get(t, "/status", "") + other.get(t, "/status", ""); got != "200200200" {
		t.Fatal(got)
	}
	for name, lines := range map[string][]string{
		"role":    {"eve:$x509:veiwer", "CN=mallory:$x509:king"},
		"secret":  {"eve:$x590:viewer", "CN=mallory:x509"},
		"expiry":  {"eve:$x509:viewer:soon", "CN=mallory:$x509::2027"},
		"twins":   {"eve:$x509:viewer", "eve:$x509:nobody", "CN=mallory:$x509:viewer", "CN=mallory:$x509:nobody"},
		"indent":  {"  eve:$x509:viewer", "\tCN=mallory:$x509:viewer"},
		"no more": {"eve", "CN=mallory"},
	} {
		writeUsers(t, file, lines...)
		if got := eve.get(t, "/status", "") + mallory.get(t, "/status", "") + other.get(t, "/status", ""); got != "403403200" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// spy tells who was let in.
type spy struct {
	*doorman
	seen chan principal
}

func (s spy) identify(r *fasthttp.RequestCtx) (principal, error) {
	who, err := s.doorman.identify(r)
	s.seen <- who
	return who, err
}

// TestCertificateOnly is about a server without users: what its refusal looks like.
func TestCertificateOnly(t *testing.T) {
	_, file := authority(t)
	h := newHouse(t, Options{ClientCAFile: file})
	response := h.ask(here, basic("alice", "secret"))
	if response.StatusCode() != 401 || string(response.Header.Peek("WWW-Authenticate")) != `Certificate realm="vspherepool"` {
		t.Errorf("%s", response.Header.String())
	}
	if _, _, err := newAuthenticator(Options{ClientCAFile: file, ClientRole: "king", Log: h.Server.log}); err == nil {
		t.Error("there is no such role")
	}
}
