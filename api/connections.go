package api

import (
	linked "container/list"
	"net"
	"net/netip"
	"sync"
)

// crowd is all open connections, and decides who has to go when there are too many. Whoever is waited for can go: newcomers, which have not
// sent a whole request yet, and those that rest, because they have had all their answers, or have the last one under way and may never
// read it. Where there are more of the one kind, the one that has waited longest of that kind goes: then neither a flood of newcomers
// costs a client the connection that it keeps, nor do newcomers drive each other out in the middle of their handshakes while others rest.
// A connection with a request in its handler stays. So nobody keeps others out by connecting and then doing nothing, not even from the
// same address, and nobody is cut off in the middle of an operation.
type crowd struct {
	total, perHost int
	metrics        *metrics

	mu    sync.Mutex
	open  int
	came  uint64
	hosts map[netip.Prefix]*host
	// dismissed says that nobody is taken in any more.
	dismissed bool
}

// host is the connections of one address.
type host struct {
	open int
	// newcomers have not sent a whole request yet and are in the order of their coming; resting have nothing to wait for but the rest of an
	// answer and their next request, and are in the order in which they began to.
	newcomers, resting linked.List
}

// place is a connection's in the crowd. It belongs to the crowd's lock.
type place struct {
	host *host
	// queue and element are where the connection waits; nil while it is busy.
	queue   *linked.List
	element *linked.Element
	// number tells who came first.
	number uint64
	gone   bool
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
	h := w.hosts[from]
	switch {
	case w.dismissed:
		return nil, false
	case h != nil && h.open >= w.perHost:
		victim = h.dispensable()
	case w.open >= w.total:
		victim = w.dispensable()
	default:
		return nil, true
	}
	if victim == nil {
		return nil, false
	}
	w.remove(victim)
	return victim, true
}

func (w *crowd) admit(c *conn, from netip.Prefix) {
	h := w.hosts[from]
	if h == nil {
		h = &host{}
		w.hosts[from] = h
	}
	w.came++
	c.place = place{host: h, number: w.came}
	c.place.wait(&h.newcomers, c)
	h.open++
	w.open++
	w.metrics.connections.Inc()
}

// dispensable is who can go first of one address.
func (h *host) dispensable() *conn {
	if h.resting.Len() > h.newcomers.Len() {
		return first(&h.resting)
	}
	return first(&h.newcomers)
}

// dispensable is who can go first of all: the oldest newcomer, or the one that has rested longest of the address with most of them.
func (w *crowd) dispensable() *conn {
	var newcomer, resting *conn
	newcomers, rest, most := 0, 0, 0
	for _, h := range w.hosts {
		newcomers, rest = newcomers+h.newcomers.Len(), rest+h.resting.Len()
		if c := first(&h.newcomers); c != nil && (newcomer == nil || c.place.number < newcomer.place.number) {
			newcomer = c
		}
		if n := h.resting.Len(); n > most {
			most, resting = n, first(&h.resting)
		}
	}
	if rest > newcomers {
		return resting
	}
	return newcomer
}

func first(queue *linked.List) *conn {
	if e := queue.Front(); e != nil {
		c, _ := e.Value.(*conn)
		return c
	}
	return nil
}

// busy says that a whole request has come. It returns false if the connection has had to go meanwhile, so that nobody could be answered.
func (w *crowd) busy(c *conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.place.leaveQueue()
	return !c.place.gone
}

// rest says that the connection has been answered, or is going to be as soon as the client reads.
func (w *crowd) rest(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch p := &c.place; {
	case p.gone:
	case p.queue == &p.host.resting:
		p.queue.MoveToBack(p.element)
	default:
		p.leaveQueue()
		p.wait(&p.host.resting, c)
	}
}

// leave says that the connection is closed; saying so again does nothing.
func (w *crowd) leave(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.remove(c)
}

func (w *crowd) remove(c *conn) {
	if c.place.gone {
		return
	}
	c.place.gone = true
	c.place.leaveQueue()
	w.open--
	w.metrics.connections.Dec()
	if c.place.host.open--; c.place.host.open == 0 {
		delete(w.hosts, hostOf(c.RemoteAddr()))
	}
}

// dismiss closes the newcomers, and who is just being accepted. A shutdown need not wait for them, and fasthttp would.
func (w *crowd) dismiss() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dismissed = true
	for _, h := range w.hosts {
		for e := h.newcomers.Front(); e != nil; e = e.Next() {
			if c, ok := e.Value.(*conn); ok {
				_ = c.Conn.Close()
			}
		}
	}
}

func (p *place) wait(queue *linked.List, c *conn) {
	p.queue, p.element = queue, queue.PushBack(c)
}

func (p *place) leaveQueue() {
	if p.queue != nil {
		p.queue.Remove(p.element)
		p.queue, p.element = nil, nil
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
