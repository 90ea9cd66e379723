package api

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestEveryRequestEndsAtOnePlace sends what servers and proxies are known to disagree on. Behind each there is a second request, which
// must not be carried out where its beginning is in doubt.
func TestEveryRequestEndsAtOnePlace(t *testing.T) {
	pool := newScripted()
	server, _ := newTestServer(t, pool, defaultLimits)
	run := serve(t, server)
	const (
		size = "POST /pool/size HTTP/1.1\r\nHost: h\r\n"
		stop = "POST /stop HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
		body = `{"desiredSize":3}`
	)
	tests := []struct{ name, sent, statuses string }{
		{"length and chunks", size + "Content-Length: 17\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n" + body + "\r\n0\r\n\r\n", "[400]"},
		{"chunks and length", size + "Transfer-Encoding: chunked\r\nContent-Length: 17\r\n\r\n11\r\n" + body + "\r\n0\r\n\r\n", "[400]"},
		{"length that hides", size + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "[400]"},
		{"identity and length", size + "Transfer-Encoding: identity\r\nContent-Length: 17\r\n\r\n" + body, "[400]"},
		{"identity", size + "Transfer-Encoding: identity\r\n\r\n", "[400]"},
		{"the same length twice", size + "Content-Length: 17\r\nContent-Length: 17\r\n\r\n" + body, "[400]"},
		{"lengths in a list", size + "Content-Length: 17, 17\r\n\r\n" + body, "[400]"},
		{"signed length", size + "Content-Length: +17\r\n\r\n" + body, "[400]"},
		{"length with blanks", size + "Content-Length: 1 7\r\n\r\n" + body, "[400]"},
		{"empty length", size + "Content-Length:\r\n\r\n" + body, "[400]"},
		{"unknown coding", size + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "[400]"},
		{"chunked twice over", size + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "[400]"},
		{"two codings", size + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "[400]"},
		{"gzip, chunked", size + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "[400]"},
		{"vertical tab", size + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", "[400]"},
		{"blank before the colon", size + "Transfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n", "[400]"},
		{"tab before the colon", size + "Content-Length\t: 17\r\n\r\n" + body, "[400]"},
		{"blank in a name", size + "X Y: 1\r\nContent-Length: 17\r\n\r\n" + body, "[400]"},
		{"no name", size + ": 1\r\nContent-Length: 17\r\n\r\n" + body, "[400]"},
		{"continued line", size + "X-A: 1\r\n  2\r\nContent-Length: 17\r\n\r\n" + body, "[400]"},
		{"continued coding", size + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "[400]"},
		{"continued at once", "POST /pool/size HTTP/1.1\r\n X: y\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "[400]"},
		{"LF alone", size + "X-A: 1\nContent-Length: 17\r\n\r\n" + body, "[400]"},
		{"LF alone at the end", size + "Content-Length: 0\n\n", "[400]"},
		{"CR alone", size + "X-A: 1\rContent-Length: 17\r\n\r\n", "[400]"},
		{"CR before CR", size + "X-A: 1\r\r\nContent-Length: 0\r\n\r\n", "[400]"},
		{"NUL", size + "X-A: \x00\r\nContent-Length: 17\r\n\r\n" + body, "[400]"},
		{"control", size + "X-A: a\x1bb\r\nContent-Length: 17\r\n\r\n" + body, "[400]"},
		{"later version", "POST /pool/size HTTP/1.2\r\nHost: h\r\nContent-Length: 17\r\n\r\n" + body, "[400]"},
		{"HTTP/2 by name", "GET /pool HTTP/2.0\r\nHost: h\r\n\r\n", "[400]"},
		{"HTTP/0.9", "GET /pool\r\n\r\n", "[400]"},
		{"chunk too short", size + "Transfer-Encoding: chunked\r\n\r\n10\r\n" + body + "\r\n0\r\n\r\n", "[400]"},
		{"chunk of negative size", size + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n", "[400]"},
		{"chunk of huge size", size + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n\r\n", "[400]"},
		{"chunk ended by LF", size + "Transfer-Encoding: chunked\r\n\r\n11\n" + body + "\n0\n\n", "[400]"},
		{"chunk in 0x", size + "Transfer-Encoding: chunked\r\n\r\n0x11\r\n" + body + "\r\n0\r\n\r\n", "[400]"},
		{"length in a trailer", size + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n", "[400]"},
		{"two hosts", "GET /pool HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "[400]"},
		{"blank in the target", "GET /pool /x HTTP/1.1\r\nHost: h\r\n\r\n", "[400]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := run.dial(t)
			go func() { _, _ = io.WriteString(c, test.sent+stop) }()
			statuses, last := answers(t, c)
			if got := fmt.Sprint(statuses); got != test.statuses {
				t.Errorf("%s, want %s: %s", got, test.statuses, last)
			}
			if asked := pool.said(); asked != "" {
				t.Errorf("asked %q", asked)
			}
			errorOf(t, last)
		})
	}
}

// TestOddButClear: unusual requests whose end is not in doubt are answered like others, and so is what comes behind them.
func TestOddButClear(t *testing.T) {
	pool := newScripted()
	server, _ := newTestServer(t, pool, defaultLimits)
	run := serve(t, server)
	const (
		get   = "GET /pool HTTP/1.1\r\nHost: h\r\n"
		start = "POST /start HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
		stop  = "POST /stop HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
	)
	tests := []struct{ name, sent, statuses string }{
		{"upgrade", get + "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", "[200 200]"},
		{"websocket", get + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", "[200 200]"},
		{"range", get + "Range: bytes=0-1\r\n\r\n", "[200 200]"},
		{"body on GET", get + "Content-Length: 5\r\n\r\nhello", "[200 200]"},
		{"whole address", "GET https://h/pool HTTP/1.1\r\nHost: other\r\n\r\n", "[200 200]"},
		{"coding in capitals", "POST /start HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", "[200 200]"},
		{"many headers", get + strings.Repeat("a: b\r\n", 1000) + "\r\n", "[200 200]"},
		{"chunk extension", start + "\r\n2;a=b\r\n{}\r\n0;c\r\n\r\n", "[200 200]"},
		{"long chunk extension", start + "\r\n2;" + strings.Repeat("x", 10_000) + "\r\n{}\r\n0\r\n\r\n", "[200 200]"},
		{"empty lines before", "\r\n\r\n" + get + "\r\n", "[200 200]"},
		{"pipeline", strings.Repeat(get+"\r\n", 300), fmt.Sprint(append(make300(), 200))},
		{"TRACE", "TRACE /pool HTTP/1.1\r\nHost: h\r\n\r\n", "[405 200]"},
		{"TRACE of nothing", "TRACE /x HTTP/1.1\r\nHost: h\r\n\r\n", "[404 200]"},
		{"CONNECT to a path", "CONNECT /pool HTTP/1.1\r\nHost: h\r\n\r\n", "[405 200]"},
		{"CONNECT to a host", "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", "[404 200]"},
		{"made-up method", "BREW /pool HTTP/1.1\r\nHost: h\r\n\r\n", "[405 200]"},
		{"options of all", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "[404 200]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := run.dial(t)
			go func() { _, _ = io.WriteString(c, test.sent+stop) }()
			statuses, last := answers(t, c)
			if got := fmt.Sprint(statuses); got != test.statuses {
				t.Errorf("%s, want %s: %s", got, test.statuses, last)
			}
			if asked := pool.said(); asked != "stop" {
				t.Errorf("asked %q", asked)
			}
		})
	}
}

func make300() []int {
	statuses := make([]int, 300)
	for i := range statuses {
		statuses[i] = 200
	}
	return statuses
}

// TestEndlessLinesEnd: what has no limit of its own in HTTP has one here.
func TestEndlessLinesEnd(t *testing.T) {
	server, _ := newTestServer(t, newScripted(), defaultLimits)
	run := serve(t, server)
	const chunks = "POST /pool/size HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, test := range map[string]struct{ sent, statuses string }{
		"chunk extension": {chunks + "2;" + strings.Repeat("x", 4<<20), "[400]"},
		"tiny chunks":     {chunks + strings.Repeat("1;"+strings.Repeat("x", 100)+"\r\n \r\n", 40_000), "[400]"},
		"trailers":        {chunks + "2\r\n{}\r\n0\r\n" + strings.Repeat("A: b\r\n", 100_000), "[431]"},
		"headers":         {"GET /pool HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("a: b\r\n", 100_000), "[431]"},
	} {
		t.Run(name, func(t *testing.T) {
			c := run.dial(t)
			go func() { _, _ = io.WriteString(c, test.sent) }()
			statuses, last := answers(t, c)
			if got := fmt.Sprint(statuses); got != test.statuses {
				t.Errorf("%s, want %s: %s", got, test.statuses, last)
			}
			errorOf(t, last)
		})
	}
}
