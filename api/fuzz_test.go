package api

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// tape is a connection on which everything has been sent, and that keeps what is answered.
type tape struct {
	sent     *bytes.Reader
	answered bytes.Buffer
}

func (t *tape) Read(b []byte) (int, error)       { return t.sent.Read(b) }
func (t *tape) Write(b []byte) (int, error)      { return t.answered.Write(b) }
func (t *tape) Close() error                     { return nil }
func (t *tape) LocalAddr() net.Addr              { return from("127.0.0.1") }
func (t *tape) RemoteAddr() net.Addr             { return from("127.0.0.1") }
func (t *tape) SetDeadline(time.Time) error      { return nil }
func (t *tape) SetReadDeadline(time.Time) error  { return nil }
func (t *tape) SetWriteDeadline(time.Time) error { return nil }

// FuzzServer: whatever bytes a client sends, they are answered with well-formed HTTP, never with a 5xx, with a problem in JSON for every
// refusal, nothing follows the answer that closes the connection, and the pool is asked for no more than there are answers of success.
func FuzzServer(f *testing.F) {
	const end = "Connection: close\r\n\r\n"
	for _, seed := range []string{
		"GET /pool HTTP/1.1\r\nHost: h\r\n" + end,
		"GET /pool HTTP/1.0\r\n\r\n",
		"HEAD /status HTTP/1.1\r\nHost: h\r\n\r\nGET /metrics HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n" + end,
		"POST /pool/size HTTP/1.1\r\nHost: h\r\nContent-Length: 17\r\n\r\n{\"desiredSize\":3}POST /stop HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST /pool/size HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n11;x\r\n{\"desiredSize\":3}\r\n0\r\nA: b\r\n\r\n",
		"POST /pool/size HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" +
			"POST /stop HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST /pool/a%2Fb/terminate HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
		"POST /config HTTP/1.1\r\nHost: h\r\nContent-Type: text/yaml\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\na: {}",
		"POST /start HTTP/1.1\r\nHost: h\r\nOrigin: https://evil\r\nSec-Fetch-Site: cross-site\r\n" + end,
		"GET https://h/pool?x HTTP/1.1\r\nHost: other\r\nIf-None-Match: *\r\n" + end,
		"OPTIONS * HTTP/1.1\r\nHost: h\r\n" + end, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00",
		"GET /pool HTTP/1.1\r\nHost: h\r\nX: 1\r\n 2\r\n" + end, "GET /pool HTTP/1.1\nHost: h\n\n", "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n" + end,
	} {
		f.Add([]byte(seed))
	}
	pool := newScripted()
	s, err := newServer(Options{Service: pool, Log: slog.New(slog.DiscardHandler), SelfSignedDir: f.TempDir()}, defaultLimits)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.cancel)
	f.Fuzz(func(t *testing.T, sent []byte) {
		line := &tape{sent: bytes.NewReader(sent)}
		_ = s.fast.ServeConn(line) // its error is about the connection, and does not matter to the client
		pool.mu.Lock()
		asked := len(pool.calls)
		pool.calls = nil
		pool.mu.Unlock()
		if good := checkAnswers(t, &line.answered); asked > good {
			t.Fatalf("%d calls of the pool, %d answers of success", asked, good)
		}
	})
}

// checkAnswers reads all that was answered, and returns the number of successes. The answer to HEAD cannot be told from others by itself.
func checkAnswers(t *testing.T, answered *bytes.Buffer) (good int) {
	t.Helper()
	whole := answered.String()
	in := bufio.NewReader(answered)
	for {
		if _, err := in.Peek(1); err != nil {
			return good
		}
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("not HTTP: %v\n%q", err, whole)
		}
		if response.StatusCode >= 500 || response.Header.Get("Server") != "" || strings.Contains(whole, "Access-Control") {
			t.Fatalf("%q", whole)
		}
		if response.StatusCode == 200 || response.StatusCode == 304 {
			good++
		}
		if headerOnly(in, response) {
			continue
		}
		body, err := io.ReadAll(response.Body)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%v\n%q", err, whole)
		}
		if response.StatusCode >= 400 {
			errorOf(t, body)
		}
		if response.Close && in.Buffered() > 0 {
			t.Fatalf("more after the last answer\n%q", whole)
		}
	}
}

// headerOnly says whether an answer is one to HEAD: nothing or another answer follows its headers.
func headerOnly(in *bufio.Reader, response *http.Response) bool {
	if response.ContentLength == 0 {
		return false
	}
	next, err := in.Peek(5)
	return len(next) == 0 && err != nil || string(next) == "HTTP/"
}

// FuzzRoutes: whatever stands in a path, what is asked of the pool is what the path's last word says, about the machine that stands
// before it, and a path that is refused asks nothing.
func FuzzRoutes(f *testing.F) {
	for _, verb := range []string{"terminate", "detach", "attach", "serviceState", "membershipStatus", "size"} {
		for _, id := range []string{
			"a", "a/b", "a%2Fb", "..", "%2e%2e", ".", "", "a//b", "%", "%zz", "%00", "a%20b", "é", "a;b",
			"a?b", "a#b", "*", "{id}", "size",
		} {
			f.Add(id, verb, `{"decrementDesiredSize":true}`)
		}
	}
	pool := newScripted()
	s, err := newServer(Options{Service: pool, Log: slog.New(slog.DiscardHandler), SelfSignedDir: f.TempDir()}, defaultLimits)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.cancel)
	f.Fuzz(func(t *testing.T, id, verb, body string) {
		target := "/pool/" + id + "/" + verb
		response := call{method: "POST", path: target, body: body}.run(s)
		status, asked := response.StatusCode(), pool.said()
		if status >= 500 || status >= 300 && asked != "" || status == 200 && asked == "" {
			t.Fatalf("%q: %d, asked %q", target, status, asked)
		}
		if status >= 400 {
			errorOf(t, response.Body())
		}
		path, _, _ := strings.Cut(target, "?")
		path, _, _ = strings.Cut(path, "#")
		if word, _, _ := strings.Cut(asked, " "); asked != "" && !strings.HasSuffix(strings.TrimSuffix(path, "/"), verbOf[word]) {
			t.Fatalf("%q asked %q", target, asked)
		}
	})
}

// verbOf is the last word of the path that has the pool asked for something.
var verbOf = map[string]string{
	"terminate": "/terminate", "detach": "/detach", "attach": "/attach", "service": "/serviceState", "membership": "/membershipStatus",
	"resize": "/size", "freeze": "/freeze", "thaw": "/freeze",
}
