package api

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/crypto/bcrypt"
)

var hashes sync.Map

// hashed is a bcrypt hash of the least cost.
func hashed(password string) string {
	if known, ok := hashes.Load(password); ok {
		return known.(string)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		return err.Error()
	}
	hashes.Store(password, string(hash))
	return string(hash)
}

func writeUsers(t testing.TB, name string, lines ...string) {
	t.Helper()
	if err := replaceFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func usersFile(t testing.TB, lines ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "users")
	writeUsers(t, name, lines...)
	return name
}

// house is a server with users, and what it has done for them.
type house struct {
	*Server
	*doorman
	pool     *scripted
	log      *safeBuffer
	compared atomic.Int64
}

func newHouse(t testing.TB, o Options) *house {
	t.Helper()
	h := &house{pool: newScripted(), log: &safeBuffer{}}
	o.Service, o.SelfSignedDir = h.pool, t.TempDir()
	o.Log = slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	server, err := NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.cancel)
	h.Server, h.doorman = server, server.auth.(*doorman)
	h.passwords.compare = func(hash, password []byte) error {
		h.compared.Add(1)
		return bcrypt.CompareHashAndPassword(hash, password)
	}
	return h
}

func basic(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

// ask is a GET /status from an address, with these headers Authorization.
func (h *house) ask(from string, authorization ...string) *fasthttp.Response {
	var request fasthttp.Request
	request.Header.SetHost("pool.example")
	request.Header.SetRequestURI("/status")
	for _, value := range authorization {
		request.Header.Add("Authorization", value)
	}
	var r fasthttp.RequestCtx
	r.Init(&request, &net.TCPAddr{IP: net.ParseIP(from), Port: 4711}, nil)
	h.handle(&r)
	response := &fasthttp.Response{}
	r.Response.CopyTo(response)
	return response
}

func (h *house) status(from, name, password string) int {
	return h.ask(from, basic(name, password)).StatusCode()
}

const (
	here  = "192.0.2.1"
	there = "192.0.2.2"
)

func TestCredentials(t *testing.T) {
	h := newHouse(t, Options{UsersFile: usersFile(t,
		"alice:"+hashed("secret")+":admin", "plain:"+hashed("p:ä ss"), "late:"+hashed("secret")+":admin:2020-01-01",
		"blocked:"+hashed("secret")+":nobody", "ci:"+tokenLine+":autoscaler", "old:$sha256$"+strings.Repeat("0", 64)+":admin:2020-01-01",
		"card:$x509:admin", "Ähre:"+hashed("")+":viewer",
	)})
	tests := map[string]struct {
		headers []string
		status  int
	}{
		"right":                    {[]string{basic("alice", "secret")}, 200},
		"colon, space, umlaut":     {[]string{basic("plain", "p:ä ss")}, 200},
		"empty password":           {[]string{basic("Ähre", "")}, 200},
		"scheme in other case":     {[]string{"bASIC  " + basic("alice", "secret")[6:] + " "}, 200},
		"token":                    {[]string{"Bearer secret"}, 200},
		"token in other case":      {[]string{"bearer secret"}, 200},
		"role nobody":              {[]string{basic("blocked", "secret")}, 403},
		"none":                     {nil, 401},
		"empty":                    {[]string{""}, 401},
		"scheme alone":             {[]string{"Basic"}, 401},
		"not base64":               {[]string{"Basic alice:secret"}, 401},
		"no colon":                 {[]string{"Basic " + base64.StdEncoding.EncodeToString([]byte("alice"))}, 401},
		"control character":        {[]string{basic("alice", "secret\x00")}, 401},
		"not UTF-8":                {[]string{basic("\xc4hre", "")}, 401},
		"wrong":                    {[]string{basic("alice", "Secret")}, 401},
		"empty for another":        {[]string{basic("alice", "")}, 401},
		"no name":                  {[]string{basic("", "secret")}, 401},
		"unknown":                  {[]string{basic("mallory", "secret")}, 401},
		"name in other case":       {[]string{basic("Alice", "secret")}, 401},
		"expired":                  {[]string{basic("late", "secret")}, 401},
		"hash as password":         {[]string{basic("alice", hashed("secret"))}, 401},
		"token's name":             {[]string{basic("ci", "secret")}, 401},
		"certificate's name":       {[]string{basic("card", "$x509")}, 401},
		"wrong token":              {[]string{"Bearer secre"}, 401},
		"no token":                 {[]string{"Bearer "}, 401},
		"token's hash as token":    {[]string{"Bearer " + tokenLine}, 401},
		"password as token":        {[]string{"Bearer alice:secret"}, 401},
		"other scheme":             {[]string{"Digest username=alice"}, 401},
		"two, first is right":      {[]string{basic("alice", "secret"), "Bearer nonsense"}, 401},
		"two, second is right":     {[]string{"Bearer nonsense", basic("alice", "secret")}, 401},
		"two in one line":          {[]string{basic("alice", "secret") + ", Bearer secret"}, 401},
		"expired token's preimage": {[]string{"Bearer " + strings.Repeat("0", 64)}, 401},
	}
	bodies := make(map[string]bool)
	for name, test := range tests {
		h.pool.said()
		response := h.ask(here, test.headers...)
		if response.StatusCode() != test.status {
			t.Errorf("%s: status %d, want %d", name, response.StatusCode(), test.status)
		}
		if asked := h.pool.said(); (asked != "") != (test.status == 200) {
			t.Errorf("%s: the pool was asked %q", name, asked)
		}
		if response.StatusCode() != 401 {
			continue
		}
		bodies[errorOf(t, response.Body()).Message] = true
		challenges := fmt.Sprintf("%q", response.Header.PeekAll("WWW-Authenticate"))
		if challenges != `["Basic realm=\"vspherepool\", charset=\"UTF-8\"" "Bearer realm=\"vspherepool\""]` {
			t.Errorf("%s: challenges %s", name, challenges)
		}
	}
	if len(bodies) != 1 {
		t.Errorf("a stranger can tell refusals apart: %v", bodies)
	}
	for _, secret := range []string{"Secret", "p:ä ss", hashed("secret"), "nonsense", "mallory"} {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

// TestNamesCannotBeFoundOut counts the work instead of the time: an unknown name, a wrong password and one that is over are compared
// once each, with hashes of the users' costs, and always the same one for the same name.
func TestNamesCannotBeFoundOut(t *testing.T) {
	dear, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost+1)
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, Options{UsersFile: usersFile(t,
		"cheap:"+hashed("secret"), "dear:"+string(dear), "late:"+string(dear)+"::2020-01-01", "ci:"+tokenLine,
	)})
	var cost int
	h.passwords.compare = func(hash, password []byte) error {
		h.compared.Add(1)
		cost, _ = bcrypt.Cost(hash)
		return bcrypt.CompareHashAndPassword(hash, password)
	}
	costOf := func(name, password string) int {
		t.Helper()
		before := h.compared.Load()
		if status := h.status(here, name, password); status != 401 {
			t.Errorf("%s: status %d", name, status)
		}
		if n := h.compared.Load() - before; n != 1 {
			t.Errorf("%s: compared %d times", name, n)
		}
		return cost
	}
	seen := make(map[int]int)
	for i := range 40 {
		name := fmt.Sprint("mallory", i)
		first := costOf(name, "secret")
		seen[first]++
		if costOf(name, "other") != first {
			t.Errorf("%s costs now this, now that", name)
		}
	}
	if seen[bcrypt.MinCost] == 0 || seen[bcrypt.MinCost+1] == 0 || seen[bcrypt.MinCost]+seen[bcrypt.MinCost+1] != 40 {
		t.Errorf("costs of unknown names: %v", seen)
	}
	if costOf("cheap", "x") != bcrypt.MinCost || costOf("dear", "x") != bcrypt.MinCost+1 || costOf("late", "secret") != bcrypt.MinCost+1 {
		t.Error("wrong costs")
	}
	costOf("late", "secret") // what is right and over is not remembered either
	costOf("ci", "secret")
}

// TestThrottledNamesCannotBeFoundOut says that a name that does not exist is throttled as one that does.
func TestThrottledNamesCannotBeFoundOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Options{UsersFile: usersFile(t, "alice:"+hashed("secret"), "late:"+hashed("secret")+"::1999-01-01")})
		var stories []string
		for _, name := range []string{"alice", "late", "mallory"} {
			var story strings.Builder
			for i := range 15 {
				response := h.ask(here, basic(name, fmt.Sprint("guess", i)))
				fmt.Fprintf(&story, "%d %s ", response.StatusCode(), response.Header.Peek("Retry-After"))
			}
			stories = append(stories, story.String())
		}
		if want := strings.Repeat("401  ", 10) + strings.Repeat("429 1 ", 5); stories[0] != want || stories[1] != want || stories[2] != want {
			t.Errorf("stories %q", stories)
		}
	})
}

// TestNobodyIsLockedOut has an attacker fail as alice from one address, and looks at who else can still log in.
func TestNobodyIsLockedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Options{UsersFile: usersFile(t, "alice:"+hashed("secret"), "bob:"+hashed("other"), "ci:"+tokenLine)})
		attack := func() {
			for i := range 100 {
				h.status(here, "alice", fmt.Sprint("guess", i))
			}
		}
		attack()
		work := h.compared.Load()
		if work != freeFailures {
			t.Errorf("%d guesses were compared", work)
		}
		if status := h.status(here, "alice", "secret"); status != 429 {
			t.Errorf("alice from the attacker's address, not known yet: %d", status)
		}
		if status := h.status(here, "bob", "other"); status != 200 {
			t.Errorf("bob from the attacker's address: %d", status)
		}
		if status := h.ask(here, "Bearer secret").StatusCode(); status != 200 {
			t.Errorf("a token from the attacker's address: %d", status)
		}
		if status := h.status(there, "alice", "secret"); status != 200 {
			t.Errorf("alice from elsewhere: %d", status)
		}
		attack()
		if status := h.status(here, "alice", "secret"); status != 200 {
			t.Errorf("alice from the attacker's address, known by now: %d", status)
		}
		time.Sleep(failurePause)
		if got := fmt.Sprint(h.status(here, "alice", "x"), h.status(here, "alice", "y")); got != "401 429" {
			t.Errorf("a second later: %s", got)
		}
		for range 50 {
			h.ask(there)
			h.ask(there, "Bearer guess")
		}
		if status := h.status(there, "alice", "x"); status != 401 {
			t.Errorf("what has no password counts as a failure: %d", status)
		}
	})
}

// TestGoodCredentialsAreRemembered counts how often a password is compared.
func TestGoodCredentialsAreRemembered(t *testing.T) {
	file := usersFile(t, "alice:"+hashed("secret")+":admin", "bob:"+hashed("secret"))
	h := newHouse(t, Options{UsersFile: file})
	h.users.every = 0
	works := func(name, password string, status int, compared int64) {
		t.Helper()
		before := h.compared.Load()
		if got := h.status(here, name, password); got != status {
			t.Errorf("%s: status %d, want %d", name, got, status)
		}
		if got := h.compared.Load() - before; got != compared {
			t.Errorf("%s: compared %d times, want %d", name, got, compared)
		}
	}
	works("alice", "secret", 200, 1)
	works("alice", "secret", 200, 0)
	works("alice", "Secret", 401, 1)
	works("bob", "secret", 200, 1)
	for i := range 3 * maxVerified {
		h.passwords.verified.touch(pairOf(i))
	}
	works("bob", "secret", 200, 1) // it was forgotten in favour of others

	writeUsers(t, file, "alice:"+hashed("new")+":admin", "bob:"+hashed("secret"))
	works("bob", "secret", 200, 0) // another's line is no reason to compare again
	works("alice", "secret", 401, 1)
	works("alice", "new", 200, 1)
	writeUsers(t, file, "bob:"+hashed("secret")+"::2020-01-01")
	works("alice", "new", 401, 1)
	works("bob", "secret", 401, 1)
	writeUsers(t, file, "# nobody")
	works("bob", "secret", 401, 0)
	if n := h.passwords.verified.order.Len(); n > maxVerified {
		t.Errorf("%d credentials are remembered", n)
	}
}

// TestSameLoginIsComparedOnce is about a client that opens many connections at once.
func TestSameLoginIsComparedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Options{UsersFile: usersFile(t, "alice:"+hashed("secret"))})
		release := make(chan struct{})
		h.passwords.compare = func(hash, password []byte) error {
			h.compared.Add(1)
			<-release
			return bcrypt.CompareHashAndPassword(hash, password)
		}
		statuses := make(chan int, 2*maxWaiting)
		for range maxWaiting + 3 {
			go func() { statuses <- h.status(here, "alice", "secret") }()
		}
		synctest.Wait()
		close(release)
		count := make(map[int]int)
		for range maxWaiting + 3 {
			count[<-statuses]++
		}
		if h.compared.Load() != 1 || count[200] != maxWaiting+1 || count[429] != 2 {
			t.Errorf("compared %d times; statuses %v", h.compared.Load(), count)
		}
		if len(h.passwords.running) != 0 {
			t.Error("comparisons left behind")
		}
		for i := range freeFailures {
			if status := h.status(here, "alice", fmt.Sprint("guess", i)); status != 401 {
				t.Errorf("successes counted as failures: %d", status)
			}
		}
	})
}

// TestOverload says that a flood of logins leaves those alone who are logged in, and costs only so many CPUs.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Options{UsersFile: usersFile(t, "alice:"+hashed("secret"), "bob:"+hashed("secret"), "ci:"+tokenLine)})
		if status := h.status(there, "alice", "secret"); status != 200 {
			t.Fatal(status)
		}
		var now, most atomic.Int64
		h.passwords.compare = func([]byte, []byte) error {
			n := now.Add(1)
			most.Store(max(most.Load(), n))
			time.Sleep(time.Second)
			now.Add(-1)
			return errors.New("no")
		}
		statuses := make(chan int, 1000)
		for i := range 200 {
			go func() { statuses <- h.status(here, fmt.Sprint("name", i), "x") }()
		}
		synctest.Wait()
		began := time.Now()
		password, token := h.status(here, "alice", "secret"), h.ask(here, "Bearer secret").StatusCode()
		if password != 200 || token != 200 || time.Since(began) > 0 {
			t.Errorf("those who are known got %d and %d after %s", password, token, time.Since(began))
		}
		if status := h.status(there, "bob", "x"); status != 401 || time.Since(began) > 3*time.Second {
			t.Errorf("bob's login was answered with %d after %s", status, time.Since(began))
		}
		count := make(map[int]int)
		for range 200 {
			count[<-statuses]++
		}
		if count[401]+count[429] != 200 || count[429] < 200-maxWaitingEach-int(most.Load()) || time.Since(began) > longestWait+time.Second {
			t.Errorf("statuses %v after %s", count, time.Since(began))
		}
		if most.Load() > int64(max(1, newQueue().free)) {
			t.Errorf("%d at a time", most.Load())
		}
	})
}

func TestUnsafeUsersFilesAreRefused(t *testing.T) {
	for mode, accepted := range map[os.FileMode]bool{
		0o600: true, 0o400: true, 0o440: true, 0o640: true, 0o700: true, 0o644: false, 0o660: false, 0o620: false, 0o602: false, 0o604: false,
	} {
		file := usersFile(t, "alice:"+hashed("secret"))
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		_, err := openUsers(file, slog.New(slog.DiscardHandler))
		if (err == nil) != accepted || err != nil && !strings.Contains(err.Error(), "chmod 600 "+file) {
			t.Errorf("%04o: %v", mode, err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	if _, err := openUsers(usersFile(t, "alice:hunter2", "bob"), log); err == nil || strings.Contains(err.Error(), "hunter2") ||
		!strings.Contains(err.Error(), "line 1") || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("bad lines: %v", err)
	}
	if _, err := openUsers(filepath.Join(t.TempDir(), "none"), log); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openUsers(big, log); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("large file: %v", err)
	}
}
