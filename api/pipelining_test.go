package api

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// TestAnswersDoNotWaitForTheNextRequest sends two requests at once, the second of which takes until the first one's answer has been read.
func TestAnswersDoNotWaitForTheNextRequest(t *testing.T) {
	for name, first := range map[string]string{
		"read":   "GET /pool/size HTTP/1.1\r\nHost: h\r\n\r\n",
		"change": "POST /pool/size HTTP/1.1\r\nHost: h\r\nContent-Length: 17\r\n\r\n{\"desiredSize\":3}",
	} {
		t.Run(name, func(t *testing.T) {
			pool := newScripted()
			release := make(chan struct{})
			pool.during = func(context.Context) {
				if pool.last() == "start" {
					<-release
				}
			}
			server, _ := newTestServer(t, pool, defaultLimits)
			c := serve(t, server).dial(t)
			if _, err := io.WriteString(c, first+"POST /start HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(c)
			for range 2 {
				response, err := http.ReadResponse(in, nil)
				if err != nil || response.StatusCode != 200 {
					t.Fatal(response, err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
				if name != "" {
					close(release)
					name = ""
				}
			}
		})
	}
}

// TestConnectionsForgetLargeBodies has strangers send the largest bodies, which are refused, and then wait.
func TestConnectionsForgetLargeBodies(t *testing.T) {
	const conns, size = 24, 1 << 20
	server, _ := newTestServer(t, newScripted(), defaultLimits)
	run := serve(t, server)
	before := heap()
	for range conns {
		c := run.dial(t)
		if status := ask(t, c, "POST /pool/attach HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n[]").StatusCode; status != 400 {
			t.Fatalf("answered %d", status)
		}
		body := "POST /config HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\nContent-Length: 1048000\r\n\r\n" + strings.Repeat("x", 1048000)
		if status := ask(t, c, body).StatusCode; status != 415 {
			t.Fatalf("answered %d", status)
		}
	}
	if grown := int(heap()) - int(before); grown > conns*size/4 {
		t.Errorf("%d connections hold %d bytes", conns, grown)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// last is what the pool was asked last.
func (p *scripted) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.calls); n > 0 {
		return p.calls[n-1]
	}
	return ""
}
