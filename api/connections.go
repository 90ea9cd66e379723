package api

import (
	linked "container/list"
	"iter"
	"maps"
	"math"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// crowd is all open connections, and decides who has to go when there are too many. Whoever is waited for can go: newcomers, which have not
// sent a whole request yet, and those that rest, because they have had all their answers, or have the last one under way and may never
// read it. Where there are more of the one kind, the one that has waited longest of that kind goes: then neither a flood of newcomers
// costs a client the connection that it keeps, nor do newcomers drive each other out in the middle of their handshakes while others rest.
// A connection with a request in its handler stays. So nobody keeps others out by connecting and then doing nothing, not even from the
// same address, and nobody is cut off in the middle of an operation.
//
// Every request of every connection passes here twice, so that what those steps do is to change one number of the connection's own. Who
// looks through all connections is the newcomer for whom there is no room, and only while those that wait are not mostly newcomers
// themselves, as they are in a flood.
type crowd struct {
	total, perHost int
	metrics        *metrics
	// rests counts the times that a connection began to rest.
	rests atomic.Int64

	mu    sync.Mutex
	open  int
	came  int64
	hosts map[netip.Prefix]*host
	// newcomers are all hosts' in the order of their coming.
	newcomers linked.List
	// dismissed says that nobody is taken in any more.
	dismissed bool
}

// host is the connections of one address, and those of them that are newcomers, in the order of their coming.
type host struct {
	conns     map[*conn]struct{}
	newcomers linked.List
}

// place is what a connection does. A newcomer, which has not sent a whole request yet, has the negative of its number; who rests, having
// nothing to wait for but the rest of an answer and its next request, has the number of that rest.
type place struct {
	state atomic.Int64
	// host and the newcomer's places in the two queues belong to the crowd's lock; those of others are nil.
	host          *host
	ofHost, ofAll *linked.Element
}

const (
	busy    = 0
	evicted = math.MinInt64
)

// candidate is a connection that could go, as long as it does what it was seen to do.
type candidate struct {
	conn  *conn
	state int64
}

func newCrowd(l limits, m *metrics) *crowd {
	return &crowd{total: l.conns, perHost: l.perIP, metrics: m, hosts: make(map[netip.Prefix]*host)}
}

// enter takes in a connection, in another's place if there is no room. It returns false if there is no room and nobody can go.
func (w *crowd) enter(c *conn) bool {
	w.mu.Lock()
	from := hostOf(c.RemoteAddr())
	victim, room := w.makeRoom(from)
	if room {
		w.admit(c, from)
	}
	w.mu.Unlock()
	if victim != nil {
		w.metrics.refuse(connectionEvicted)
		_ = victim.Conn.Close()
	}
	return room
}

// makeRoom lets the most dispensable connection go if there is no room for one more of this address. After the end there is never any.
func (w *crowd) makeRoom(from netip.Prefix) (victim *conn, room bool) {
	if w.dismissed {
		return nil, false
	}
	for {
		h := w.hosts[from]
		var first candidate
		switch {
		case h != nil && len(h.conns) >= w.perHost:
			first = dispensable(&h.newcomers, len(h.conns), func(yield func(*host) bool) { yield(h) })
		case w.open >= w.total:
			first = dispensable(&w.newcomers, w.open, maps.Values(w.hosts))
		default:
			return nil, true
		}
		if first.conn == nil {
			return nil, false
		}
		if first.conn.place.state.CompareAndSwap(first.state, evicted) {
			w.remove(first.conn)
			return first.conn, true
		}
	}
}

func (w *crowd) admit(c *conn, from netip.Prefix) {
	h := w.hosts[from]
	if h == nil {
		h = &host{conns: make(map[*conn]struct{})}
		w.hosts[from] = h
	}
	w.came++
	c.place.state.Store(-w.came)
	c.place.host, c.place.ofHost, c.place.ofAll = h, h.newcomers.PushBack(c), w.newcomers.PushBack(c)
	h.conns[c] = struct{}{}
	w.open++
	w.metrics.connections.Inc()
}

// dispensable is who can go first of some hosts, which have so many connections: the oldest newcomer, or, if there are more of those, the
// one that has rested longest of the address with most of them. Where at least half are newcomers nobody has to be counted.
func dispensable(newcomers *linked.List, open int, hosts iter.Seq[*host]) candidate {
	n := newcomers.Len()
	rest, most := 0, 0
	var rested candidate
	for h := range hosts {
		if 2*n >= open {
			break
		}
		resting, longest := h.resting()
		rest += resting
		if resting > most {
			most, rested = resting, longest
		}
	}
	if rest > n {
		return rested
	}
	if e := newcomers.Front(); e != nil {
		c, _ := e.Value.(*conn)
		return candidate{c, c.place.state.Load()}
	}
	return candidate{}
}

// resting counts the connections that rest, and says which has done so longest.
func (h *host) resting() (n int, longest candidate) {
	for c := range h.conns {
		state := c.place.state.Load()
		if state <= busy {
			continue
		}
		n++
		if longest.conn == nil || state < longest.state {
			longest = candidate{c, state}
		}
	}
	return n, longest
}

// busy says that a whole request has come. It returns false if the connection has had to go meanwhile, so that nobody could be answered.
func (w *crowd) busy(c *conn) bool {
	w.introduce(c)
	return c.place.move(busy)
}

// introduce ends a newcomer's being one.
func (w *crowd) introduce(c *conn) {
	if c.place.state.Load() < busy {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.unqueue(c)
	}
}

func (w *crowd) unqueue(c *conn) {
	if c.place.ofAll != nil {
		c.place.host.newcomers.Remove(c.place.ofHost)
		w.newcomers.Remove(c.place.ofAll)
		c.place.ofHost, c.place.ofAll = nil, nil
	}
}

// rest says that the connection has been answered, or is going to be as soon as the client reads.
func (w *crowd) rest(c *conn) {
	w.introduce(c)
	c.place.move(w.rests.Add(1))
}

// move changes what a connection does, unless it has had to go.
func (p *place) move(to int64) bool {
	for {
		state := p.state.Load()
		if state == evicted || p.state.CompareAndSwap(state, to) {
			return state != evicted
		}
	}
}

// leave says that the connection is closed; saying so again does nothing.
func (w *crowd) leave(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.place.state.Swap(evicted) != evicted {
		w.remove(c)
	}
}

func (w *crowd) remove(c *conn) {
	w.unqueue(c)
	w.open--
	w.metrics.connections.Dec()
	h := c.place.host
	if delete(h.conns, c); len(h.conns) == 0 {
		delete(w.hosts, hostOf(c.RemoteAddr()))
	}
}

// dismiss closes the newcomers, and who is just being accepted. A shutdown need not wait for them, and fasthttp would.
func (w *crowd) dismiss() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dismissed = true
	for e := w.newcomers.Front(); e != nil; e = w.newcomers.Front() {
		c, _ := e.Value.(*conn)
		c.place.state.Store(evicted)
		w.remove(c)
		_ = c.Conn.Close()
	}
}

// hostOf is the address that a client is told from others by. Of IPv6 that is the network, since whoever has one address there has 2^64.
func hostOf(addr net.Addr) netip.Prefix {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	prefix, _ := ip.Prefix(bits) // fails for the zero address only, which is then the zero prefix
	return prefix
}

// hostName is an address, or a network as in 2001:db8::/64.
func hostName(host netip.Prefix) string {
	if host.IsSingleIP() {
		return host.Addr().String()
	}
	return host.String()
}
