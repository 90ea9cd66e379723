package benchmarks

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// wire is a client that does as little as possible, like wrk: what it costs dilutes the ratio of the servers.
type wire struct {
	conn *tls.Conn
	// request is the same every time; in holds the beginning of an answer.
	request []byte
	in      []byte
}

func dial(t testing.TB, addr string, request []byte) *wire {
	t.Helper()
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	// The peer is a child of this process on loopback.
	w := &wire{conn: tls.Client(raw, &tls.Config{InsecureSkipVerify: true}), request: request, in: make([]byte, 64<<10)}
	t.Cleanup(func() { _ = w.conn.Close() })
	return w
}

// get is what is sent to read path, with headers as in "Accept-Encoding: gzip".
func get(path string, headers ...string) []byte {
	lines := append([]string{"GET " + path + " HTTP/1.1", "Host: localhost"}, headers...)
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n")
}

// exchange sends the request and reads its answer; the head is valid until the next one. keep, unless nil, gets the body.
func (w *wire) exchange(keep io.Writer) (head []byte, err error) {
	if _, err := w.conn.Write(w.request); err != nil {
		return nil, err
	}
	n, end := 0, -1
	for end < 0 {
		got, err := w.conn.Read(w.in[n:])
		if err != nil {
			return nil, err
		}
		n += got
		end = bytes.Index(w.in[:n], []byte("\r\n\r\n"))
	}
	head, rest := w.in[:end+4], w.in[end+4:n]
	length, err := lengthOf(head)
	if err != nil {
		return nil, err
	}
	if keep != nil {
		_, _ = keep.Write(rest)
	}
	return head, w.drain(length-len(rest), w.in[end+4:], keep)
}

func (w *wire) drain(left int, in []byte, keep io.Writer) error {
	for left > 0 {
		n, err := w.conn.Read(in[:min(left, len(in))])
		if err != nil {
			return err
		}
		if keep != nil {
			_, _ = keep.Write(in[:n])
		}
		left -= n
	}
	return nil
}

var contentLength = []byte("Content-Length: ")

// lengthOf is the body's: that of an answer without one is 0.
func lengthOf(head []byte) (int, error) {
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) && !bytes.HasPrefix(head, []byte("HTTP/1.1 304 ")) {
		return 0, fmt.Errorf("the answer is %.200q", head)
	}
	_, after, found := bytes.Cut(head, contentLength)
	if !found {
		return 0, nil
	}
	number, _, _ := bytes.Cut(after, []byte("\r"))
	return strconv.Atoi(string(number))
}

// load is what clients got out of a server in a time.
type load struct {
	// rate is answers a second, cpu the server's time for each.
	rate float64
	cpu  time.Duration
}

// drive has each connection send its next request after the answer to its last, for the time of window.
func drive(t testing.TB, server *child, conns []*wire, window time.Duration) load {
	t.Helper()
	var stop atomic.Bool
	var done sync.WaitGroup
	counts := make([]int, len(conns))
	begun, used := time.Now(), server.cpu(t)
	for i, c := range conns {
		done.Go(func() {
			for !stop.Load() {
				if _, err := c.exchange(nil); err != nil {
					t.Error(err)
					stop.Store(true)
				}
				counts[i]++
			}
		})
	}
	time.Sleep(window)
	stop.Store(true)
	done.Wait()
	took := time.Since(begun)
	total := 1
	for _, n := range counts {
		total += n
	}
	return load{float64(total) / took.Seconds(), (server.cpu(t) - used) / time.Duration(total)}
}
