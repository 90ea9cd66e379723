package api

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// stub is a connection that only has an address and can be closed.
type stub struct {
	net.Conn
	from   net.Addr
	closed bool
}

func (s *stub) RemoteAddr() net.Addr             { return s.from }
func (s *stub) Close() error                     { s.closed = true; return nil }
func (s *stub) SetReadDeadline(time.Time) error  { return nil }
func (s *stub) SetWriteDeadline(time.Time) error { return nil }

// someMetrics are a server's.
func someMetrics(t *testing.T) *metrics {
	t.Helper()
	s, _ := newTestServer(t, newScripted(), defaultLimits)
	return s.metrics
}

func from(address string) *net.TCPAddr { return &net.TCPAddr{IP: net.ParseIP(address), Port: 1} }

func (w *crowd) comes(address string) (*conn, bool) {
	c := &conn{patient: newPatient(&stub{from: from(address)}), crowd: w}
	return c, w.enter(c)
}

func gone(c *conn) bool {
	s, _ := c.Conn.(*stub)
	return s.closed
}

func TestWhoMakesRoom(t *testing.T) {
	type step struct{ who, does string } // who is an address with a letter
	tests := []struct {
		name           string
		total, perHost int
		steps          []step
		closed         string
		refused        string
	}{
		{"room", 3, 3, []step{{"a1", "comes"}, {"b1", "comes"}, {"a2", "comes"}}, "", ""},
		{"oldest of the address", 9, 2, []step{{"a1", "comes"}, {"b1", "comes"}, {"a2", "comes"}, {"a3", "comes"}, {"a4", "comes"}}, "a1 a2", ""},
		{"newcomers of many newcomers", 9, 2, []step{
			{"a1", "comes"}, {"a1", "asks"}, {"a1", "rests"}, {"a2", "comes"}, {"a3", "comes"}, {"a3", "asks"}, {"a4", "comes"},
		}, "a2 a1", ""},
		{"the resting of many that rest", 9, 3, []step{
			{"a1", "comes"}, {"a1", "asks"}, {"a1", "rests"}, {"a2", "comes"}, {"a2", "asks"}, {"a2", "rests"}, {"a3", "comes"}, {"a4", "comes"},
		}, "a1", ""},
		{"not the busy", 9, 2, []step{{"a1", "comes"}, {"a1", "asks"}, {"a2", "comes"}, {"a2", "asks"}, {"a3", "comes"}}, "", "a3"},
		{"no longer busy", 9, 1, []step{{"a1", "comes"}, {"a1", "asks"}, {"a1", "rests"}, {"a2", "comes"}}, "a1", ""},
		{"the one that rests longest", 9, 2, []step{
			{"a1", "comes"}, {"a2", "comes"}, {"a1", "asks"}, {"a2", "asks"}, {"a2", "rests"}, {"a1", "rests"}, {"a3", "comes"},
		}, "a2", ""},
		{"oldest of all", 3, 3, []step{{"b1", "comes"}, {"a1", "comes"}, {"a2", "comes"}, {"c1", "comes"}}, "b1", ""},
		{"of the greediest", 3, 3, []step{
			{"b1", "comes"},
			{"b1", "asks"},
			{"b1", "rests"},
			{"a1", "comes"},
			{"a1", "asks"},
			{"a2", "comes"},
			{"a2", "asks"},
			{"a2", "rests"},
			{"a1", "rests"},
			{"c1", "comes"},
		}, "a2", ""},
		{"all are busy", 1, 1, []step{{"b1", "comes"}, {"b1", "asks"}, {"a1", "comes"}}, "", "a1"},
		{"one has left", 1, 1, []step{{"b1", "comes"}, {"b1", "asks"}, {"b1", "leaves"}, {"b1", "leaves"}, {"a1", "comes"}}, "", ""},
		{"its neighbour in IPv6", 9, 1, []step{{"x1", "comes"}, {"y1", "comes"}, {"z1", "comes"}}, "x1", ""},
	}
	addresses := map[byte]string{
		'a': "10.0.0.1", 'b': "10.0.0.2", 'c': "::ffff:10.0.0.3", 'x': "2001:db8::1", 'y': "2001:db8::ffff:2", 'z': "2001:db8:0:1::1",
	}
	m := someMetrics(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newCrowd(limits{conns: test.total, perIP: test.perHost}, m)
			conns := make(map[string]*conn)
			var closed, refused []string
			for _, s := range test.steps {
				switch s.does {
				case "comes":
					c, ok := w.comes(addresses[s.who[0]])
					if conns[s.who] = c; !ok {
						refused = append(refused, s.who)
					}
				case "asks":
					w.busy(conns[s.who])
				case "rests":
					w.rest(conns[s.who])
				case "leaves":
					w.leave(conns[s.who])
				}
				for who, c := range conns {
					if gone(c) && !slices.Contains(closed, who) {
						closed = append(closed, who)
					}
				}
			}
			if got := strings.Join(closed, " "); got != test.closed {
				t.Errorf("closed %q, want %q", got, test.closed)
			}
			if got := strings.Join(refused, " "); got != test.refused {
				t.Errorf("refused %q, want %q", got, test.refused)
			}
		})
	}
}

// TestCrowdKeepsItsPromises: whatever comes and goes, the limits hold, the books balance, nobody busy is closed, and nobody is refused
// while somebody could go.
func TestCrowdKeepsItsPromises(t *testing.T) {
	m := someMetrics(t)
	rapid.Check(t, func(r *rapid.T) {
		w := newCrowd(limits{conns: rapid.IntRange(1, 6).Draw(r, "total"), perIP: rapid.IntRange(1, 4).Draw(r, "per host")}, m)
		busy := make(map[*conn]bool)
		var open []*conn
		pick := func() *conn { return open[rapid.IntRange(0, len(open)-1).Draw(r, "who")] }
		r.Repeat(map[string]func(*rapid.T){
			"come": func(r *rapid.T) {
				address := fmt.Sprintf("10.0.0.%d", rapid.IntRange(1, 3).Draw(r, "address"))
				ofHost := slices.DeleteFunc(slices.Clone(open), func(c *conn) bool { return hostOf(c.RemoteAddr()) != hostOf(from(address)) })
				canGo := slices.ContainsFunc(ofHost, func(c *conn) bool { return !busy[c] })
				if len(ofHost) < w.perHost {
					canGo = len(open) < w.total || slices.ContainsFunc(open, func(c *conn) bool { return !busy[c] })
				}
				c, ok := w.comes(address)
				if ok != canGo {
					r.Fatalf("admitted: %t, could be: %t", ok, canGo)
				}
				if ok {
					open = append(open, c)
				}
				open = slices.DeleteFunc(open, gone)
			},
			"ask": func(*rapid.T) {
				if len(open) > 0 {
					c := pick()
					busy[c] = w.busy(c)
				}
			},
			"rest": func(*rapid.T) {
				if len(open) > 0 {
					c := pick()
					w.rest(c)
					busy[c] = false
				}
			},
			"leave": func(*rapid.T) {
				if len(open) > 0 {
					c := pick()
					w.leave(c)
					open = slices.DeleteFunc(open, func(o *conn) bool { return o == c })
				}
			},
			"": func(r *rapid.T) {
				sum := 0
				for _, h := range w.hosts {
					sum += len(h.conns)
					if len(h.conns) == 0 || len(h.conns) > w.perHost {
						r.Fatalf("%d connections of one address", len(h.conns))
					}
				}
				if sum != len(open) || w.open != sum || sum > w.total {
					r.Fatalf("%d open, counted %d and by address %d, limit %d", len(open), w.open, sum, w.total)
				}
				for c := range busy {
					if busy[c] && gone(c) {
						r.Fatal("a busy connection was closed")
					}
				}
			},
		})
	})
}

func TestRequestOfAClosedConnectionIsNotCarriedOut(t *testing.T) {
	w := newCrowd(limits{conns: 1, perIP: 1}, someMetrics(t))
	c, _ := w.comes("10.0.0.1")
	w.comes("10.0.0.1")
	if w.busy(c) {
		t.Error("the connection was closed, and its request goes on")
	}
	w.rest(c)
	w.leave(c)
	if w.open != 1 {
		t.Errorf("%d open", w.open)
	}
}

func TestLimitsFollowTheDescriptors(t *testing.T) {
	for _, test := range []struct{ descriptors, conns, perIP int }{
		{1 << 20, 4096, 1024}, {1024, 896, 448}, {256, 128, 64}, {100, 1, 1}, {3000, 2872, 1024},
	} {
		if got := defaultLimits.within(test.descriptors); got.conns != test.conns || got.perIP != test.perIP {
			t.Errorf("%d descriptors: %d and %d, want %d and %d", test.descriptors, got.conns, got.perIP, test.conns, test.perIP)
		}
	}
	if n, ok := descriptors(); ok && n < 3 {
		t.Errorf("%d descriptors", n)
	}
}

// flooded are limits that a test can reach.
func flooded() limits {
	l := defaultLimits
	l.conns, l.perIP = 20, 10
	return l
}

// idlers open connections that keep the server waiting, each in its way.
var idlers = map[string]func(*testing.T, *running){
	"no handshake": func(t *testing.T, run *running) { connect(t, run.addr) },
	"no request":   func(t *testing.T, run *running) { run.dial(t) },
	"half a handshake": func(t *testing.T, run *running) {
		_, _ = connect(t, run.addr).Write([]byte("\x16\x03\x01\x02\x00\x01"))
	},
	"half a request": func(t *testing.T, run *running) {
		_, _ = io.WriteString(run.dial(t), "POST /pool/size HTTP/1.1\r\nHost: h\r\nContent-Length: 17\r\n\r\n{")
	},
	"answered": func(t *testing.T, run *running) {
		c := run.dial(t)
		ask(t, c, "GET /pool/size HTTP/1.1\r\nHost: h\r\n\r\n")
	},
}

func connect(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// ask sends a request and reads the answer to it.
func ask(t *testing.T, c net.Conn, request string) *http.Response {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	return response
}

// TestIdleConnectionsKeepNobodyOut also has the newcomers go on coming while the client is served.
func TestIdleConnectionsKeepNobodyOut(t *testing.T) {
	for name, idle := range idlers {
		t.Run(name, func(t *testing.T) {
			server, _ := newTestServer(t, newScripted(), flooded())
			run := serve(t, server)
			for range 40 {
				idle(t, run)
			}
			for range 3 {
				c := run.dial(t)
				if status := ask(t, c, "GET /pool HTTP/1.1\r\nHost: h\r\n\r\n").StatusCode; status != 200 {
					t.Errorf("answered %d", status)
				}
				idle(t, run)
			}
			if text := scrape(t, server); !strings.Contains(text, "vspherepool_http_connections 10\n") {
				t.Errorf("more connections than the limit:\n%s", text)
			}
		})
	}
}

// TestBusyConnectionsStay: operations under way are not given up for newcomers, and the newcomers are not left waiting.
func TestBusyConnectionsStay(t *testing.T) {
	pool := newScripted()
	began, release := gate(pool)
	server, _ := newTestServer(t, pool, flooded())
	run := serve(t, server)
	var busy []net.Conn
	for range 10 {
		c := run.dial(t)
		if _, err := io.WriteString(c, "POST /start HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		<-began
		busy = append(busy, c)
	}
	if c, err := tls.Dial("tcp", run.addr, run.trust); err == nil {
		_ = c.Close()
		t.Error("an eleventh was taken")
	}
	close(release)
	for _, c := range busy {
		if statuses, _ := answers(t, c); fmt.Sprint(statuses) != "[200]" {
			t.Errorf("%v", statuses)
		}
	}
	if text := scrape(t, server); !strings.Contains(text, `vspherepool_http_refusals_total{reason="connection_limit"} 1`) {
		t.Errorf("not counted:\n%s", text)
	}
}

func TestPlainHTTPIsTold(t *testing.T) {
	pool := newScripted()
	server, log := newTestServer(t, pool, defaultLimits)
	run := serve(t, server)
	response, err := http.Get("http://" + run.addr + "/pool")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil || response.StatusCode != 400 || !strings.Contains(errorOf(t, body).Message, "https://") || pool.said() != "" {
		t.Errorf("%v: %d %s", err, response.StatusCode, body)
	}
	c := connect(t, run.addr)
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = c.Write([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8})
	if got, err := io.ReadAll(c); strings.Contains(string(got), "HTTP") {
		t.Errorf("an answer to garbage: %q %v", got, err)
	}
	if text := scrape(t, server); !strings.Contains(text, `vspherepool_http_refusals_total{reason="handshake"} 2`) ||
		strings.Contains(log.String(), "unreadable") {
		t.Errorf("%s\n%s", log, text)
	}
}

// TestLargeUploadsTakeTurns: bodies are read before anybody knows who sends them, so few large ones may be in memory at once.
func TestLargeUploadsTakeTurns(t *testing.T) {
	one := defaultLimits
	one.uploads = crowding{2, 1}
	pool := newScripted()
	server, _ := newTestServer(t, pool, one)
	run := serve(t, server)
	head, large := "POST /config HTTP/1.1\r\nHost: h\r\n", strings.Repeat(" ", 199_998)
	const host = "127.0.0.1/32"
	if _, err := server.uploads.take(host); err != nil {
		t.Fatal(err)
	}
	for _, framing := range []string{"Content-Length: 200000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n30d40\r\n"} {
		c := run.dial(t)
		go func() { _, _ = io.WriteString(c, head+framing+large) }()
		if statuses, last := answers(t, c); fmt.Sprint(statuses) != "[503]" {
			t.Errorf("%s: %v %s", framing, statuses, last)
		}
	}
	c := run.dial(t)
	if status := ask(t, c, head+"Content-Length: 2\r\n\r\n{}").StatusCode; status != 200 {
		t.Errorf("a small one answered %d", status)
	}
	if _, err := server.uploads.take("192.0.2.1/32"); err != nil {
		t.Errorf("one address keeps another out: %v", err)
	}
	server.uploads.giveBack(host)
	for range 2 {
		pool.said()
		if status := ask(t, c, head+"Content-Length: 200000\r\n\r\n"+large+"{}").StatusCode; status != 200 || len(pool.said()) < 200_000 {
			t.Errorf("the next one answered %d", status)
		}
	}
}

// TestNobodyComesAfterTheEnd has a connection be accepted just before the listener is closed: a shutdown would wait for its handshake.
func TestNobodyComesAfterTheEnd(t *testing.T) {
	w := newCrowd(defaultLimits, someMetrics(t))
	early, _ := w.comes("10.0.0.1")
	w.dismiss()
	if _, ok := w.comes("10.0.0.2"); ok || !gone(early) {
		t.Error("there are newcomers after the end")
	}
	if w.leave(early); w.open != 0 || len(w.hosts) != 0 {
		t.Errorf("%d connections of %d hosts are left", w.open, len(w.hosts))
	}
}

func TestHosts(t *testing.T) {
	for peer, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "::1": "::/64",
	} {
		if got := hostName(hostOf(from(peer))); got != want {
			t.Errorf("%s is of %s, want %s", peer, got, want)
		}
	}
	if hostOf(&net.UnixAddr{}).IsValid() {
		t.Error("a socket has an address")
	}
}
