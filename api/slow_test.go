package api

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// TestDribblingDoesNotExtendTheTime: each part of a request has its time from its beginning, however busily the rest drops in.
func TestDribblingDoesNotExtendTheTime(t *testing.T) {
	short := defaultLimits
	short.handshake, short.head, short.read = 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
	pool := newScripted()
	server, _ := newTestServer(t, pool, short)
	run := serve(t, server)
	for name, sent := range map[string]string{
		"request line": "GET /",
		"headers":      "GET /pool HTTP/1.1\r\nHost: h\r\nX: ",
		"body":         "POST /start HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n",
		"chunks":       "POST /start HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nea60\r\n",
		"second": "GET /pool HTTP/1.1\r\nHost: h\r\n\r\n" +
			"GET /pool HTTP/1.1\r\nHost: h\r\nX: ",
	} {
		t.Run(name, func(t *testing.T) {
			c := run.dial(t)
			go dribble(c, sent)
			statuses, last := answers(t, c)
			if n := len(statuses); n == 0 || statuses[n-1] != 408 && statuses[n-1] != 400 {
				t.Errorf("%v %s", statuses, last)
			}
		})
	}
	t.Run("handshake", func(t *testing.T) {
		c := connect(t, run.addr)
		_ = c.SetDeadline(time.Now().Add(patience))
		go dribble(c, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
		if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("not closed: %v", err)
		}
	})
}

// dribble sends a beginning, and then a byte after a byte for as long as somebody listens.
func dribble(out io.Writer, beginning string) {
	_, err := io.WriteString(out, beginning)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for err == nil {
		<-tick.C
		_, err = io.WriteString(out, "a")
	}
}

// largePool has a document of some ten million bytes.
func largePool() *scripted {
	pool := newScripted()
	for range 10_000 {
		m := *testView.Machines[0]
		m.Metadata.Error = strings.Repeat("x", 1000)
		pool.view.Machines = append(pool.view.Machines, &m)
	}
	return pool
}

// readLittle asks for more than the system keeps for a client, and reads nothing but the beginning.
func readLittle(t *testing.T, c io.ReadWriter) {
	t.Helper()
	if _, err := io.WriteString(c, strings.Repeat("GET /pool HTTP/1.1\r\nHost: h\r\n\r\n", 5)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

// TestAnswersThatNobodyReadsKeepNobodyOut fills the server with clients that don't read.
func TestAnswersThatNobodyReadsKeepNobodyOut(t *testing.T) {
	server, _ := newTestServer(t, largePool(), flooded())
	run := serve(t, server)
	for range flooded().perIP {
		readLittle(t, run.dial(t))
	}
	if status := ask(t, run.dial(t), "GET /pool/size HTTP/1.1\r\nHost: h\r\n\r\n").StatusCode; status != 200 {
		t.Errorf("answered %d", status)
	}
}

// TestAnswersThatNobodyReadsAreGivenUp has a client read nothing. The shutdown waits for the connection, and would for ever.
func TestAnswersThatNobodyReadsAreGivenUp(t *testing.T) {
	short := defaultLimits
	short.write = 200 * time.Millisecond
	server, _ := newTestServer(t, largePool(), short)
	run := serve(t, server)
	readLittle(t, run.dial(t))
	ctx, cancel := context.WithTimeout(t.Context(), patience/2)
	defer cancel()
	if err := run.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// TestContinueAfterALongRest: the time for one answer does not end the next request's "100 Continue".
func TestContinueAfterALongRest(t *testing.T) {
	short := defaultLimits
	short.write = 50 * time.Millisecond
	server, _ := newTestServer(t, newScripted(), short)
	c := serve(t, server).dial(t)
	ask(t, c, "GET /pool/size HTTP/1.1\r\nHost: h\r\n\r\n")
	<-time.After(4 * short.write)
	_, err := io.WriteString(c, "POST /pool/size HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 17\r\n"+
		"Connection: close\r\n\r\n"+`{"desiredSize":4}`)
	if err != nil {
		t.Fatal(err)
	}
	if statuses, _ := answers(t, c); fmt.Sprint(statuses) != "[100 200]" {
		t.Errorf("%v", statuses)
	}
}
