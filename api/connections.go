package api

import (
	"maps"
	"math"
	"net"
	"net/netip"
	"slices"
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
// Every request of every connection passes here twice, so that what those steps do is to change one number of the connection's own. It is
// the newcomer, for whom there is no room, that looks through all connections.
type crowd struct {
	total, perHost int
	metrics        *metrics
	// rests counts the times that a connection began to rest.
	rests atomic.Int64

	mu    sync.Mutex
	open  int
	came  int64
	hosts map[netip.Prefix]*host
	// dismissed says that nobody is taken in any more.
	dismissed bool
}

// host is the connections of one address.
type host struct{ conns map[*conn]struct{} }

// place is what a connection does. A newcomer, which has not sent a whole request yet, has the negative of its number; who rests, having
// nothing to wait for but the rest of an answer and its next request, has the number of that rest.
type place struct{ state atomic.Int64 }

const (
	busy    = 0
	evicted = math.MinInt64
)

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
		switch {
		case h != nil && len(h.conns) >= w.perHost:
			victim = dispensable(h)
		case w.open >= w.total:
			victim = dispensable(slices.Collect(maps.Values(w.hosts))...)
		default:
			return victim, true
		}
		if victim == nil {
			return nil, false
		}
		if state := victim.place.state.Load(); state != busy && victim.place.state.CompareAndSwap(state, evicted) {
			w.remove(victim)
			return victim, true
		}
	}
}

func (w *crowd) admit(c *conn, from netip.Prefix) {
	h := w.hosts[from]
	if h == nil {
		h = &host{make(map[*conn]struct{})}
		w.hosts[from] = h
	}
	w.came++
	c.place.state.Store(-w.came)
	h.conns[c] = struct{}{}
	w.open++
	w.metrics.connections.Inc()
}

// dispensable is who can go first of these addresses: the oldest newcomer, or the one that has rested longest of the address with most of
// them.
func dispensable(hosts ...*host) *conn {
	var newcomer, resting *conn
	newcomers, rest, most := 0, 0, 0
	for _, h := range hosts {
		q := h.waiting()
		newcomers, rest = newcomers+q.newcomers, rest+q.resting
		if q.newcomer != nil && (newcomer == nil || q.newcomer.place.state.Load() > newcomer.place.state.Load()) {
			newcomer = q.newcomer
		}
		if q.resting > most {
			most, resting = q.resting, q.rested
		}
	}
	if rest > newcomers {
		return resting
	}
	return newcomer
}

// waiting is who waits among an address's connections: how many of each kind, and the first of each to go.
type waiting struct {
	newcomers, resting int
	newcomer, rested   *conn
}

func (h *host) waiting() waiting {
	var q waiting
	latest, earliest := int64(evicted), int64(math.MaxInt64)
	for c := range h.conns {
		switch state := c.place.state.Load(); {
		case state == busy || state == evicted:
		case state < 0:
			q.newcomers++
			if state > latest {
				q.newcomer, latest = c, state
			}
		default:
			q.resting++
			if state < earliest {
				q.rested, earliest = c, state
			}
		}
	}
	return q
}

// busy says that a whole request has come. It returns false if the connection has had to go meanwhile, so that nobody could be answered.
func (w *crowd) busy(c *conn) bool { return c.place.move(busy) }

// rest says that the connection has been answered, or is going to be as soon as the client reads.
func (w *crowd) rest(c *conn) { c.place.move(w.rests.Add(1)) }

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
	w.open--
	w.metrics.connections.Dec()
	from := hostOf(c.RemoteAddr())
	h := w.hosts[from]
	if delete(h.conns, c); len(h.conns) == 0 {
		delete(w.hosts, from)
	}
}

// dismiss closes the newcomers, and who is just being accepted. A shutdown need not wait for them, and fasthttp would.
func (w *crowd) dismiss() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dismissed = true
	for _, h := range w.hosts {
		for c := range h.conns {
			if state := c.place.state.Load(); state < busy && c.place.state.CompareAndSwap(state, evicted) {
				w.remove(c)
				_ = c.Conn.Close()
			}
		}
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
