package api

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// maxVerified bounds the credentials that are known to be good. There is one for each user, but for those who have the server cut off
// what is too long for bcrypt.
const maxVerified = 1 << 12

// fingerprint stands for texts that are not to be kept. Nobody outside of the process can compute it.
type fingerprint [sha256.Size]byte

// errWrong is a login that failed.
var errWrong = errors.New("wrong password")

// delayed is a login that nobody looked at.
type delayed struct {
	wait time.Duration
	err  error
}

func (d *delayed) Error() string { return fmt.Sprintf("%v; wait %s", d.err, d.wait) }
func (d *delayed) Unwrap() error { return d.err }

var errThrottled = errors.New("too many failed logins")

// login is an attempt to prove a name by a password.
type login struct {
	from           netip.Prefix
	name, password string
	// secret is the hash to compare with; genuine says whether it is the name's own, and in force.
	secret  string
	genuine bool
	at      time.Time
}

// passwords checks logins. Comparing with a bcrypt hash takes the better part of a second, and clients send their password with each
// request: so what was right once is remembered, and is let in whatever others from the same address do. An entry holds for one hash and
// one name, so that a user who was removed or got another password is not let in by what is remembered.
type passwords struct {
	key     [32]byte
	compare func(hash, password []byte) error
	turns   *queue

	mu       sync.Mutex
	failures throttle
	verified *lru[fingerprint, struct{}]
	running  map[fingerprint]*comparison
}

// comparison is one that is under way, for all who wait for it.
type comparison struct {
	// pair is the address and the name that a failure counts for.
	pair    fingerprint
	done    chan struct{}
	waiting int
	err     error
}

func newPasswords() *passwords {
	p := &passwords{
		compare: bcrypt.CompareHashAndPassword, turns: newQueue(), failures: newThrottle(),
		verified: newLRU[fingerprint, struct{}](maxVerified), running: make(map[fingerprint]*comparison),
	}
	_, _ = rand.Read(p.key[:]) // never fails
	return p
}

// of is the fingerprint of texts. Each is preceded by its length, so that none can pass for a part of its neighbour.
func (p *passwords) of(texts ...string) (f fingerprint) {
	all := make([]byte, 0, 256)
	for _, text := range texts {
		all = append(binary.BigEndian.AppendUint64(all, uint64(len(text))), text...)
	}
	mac := hmac.New(sha256.New, p.key[:])
	mac.Write(all)
	mac.Sum(f[:0])
	return f
}

// check returns nil for a right password, errWrong for a wrong one, and a *delayed when it did not look. What it does depends on whether
// the login is genuine only where the password is right.
func (p *passwords) check(l login) error {
	id := p.of("login", l.name, l.password, l.secret)
	c, first, err := p.begin(id, l)
	switch {
	case err != nil || c == nil:
		return err
	case !first:
		<-c.done
		return c.err
	}
	defer p.end(id, c)
	c.err = p.work(l)
	return c.err
}

// begin returns neither a comparison nor an error for what is known to be right. Who repeats an attempt that is under way waits for its
// end, and it counts once.
func (p *passwords) begin(id fingerprint, l login) (c *comparison, first bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.genuine && p.verified.get(id) != nil {
		return nil, false, nil
	}
	if c, ok := p.running[id]; ok {
		return c, false, c.join()
	}
	pair := p.of("pair", l.from.String(), l.name)
	if wait := p.failures.take(pair, l.at); wait > 0 {
		return nil, false, &delayed{wait, errThrottled}
	}
	c = &comparison{pair: pair, done: make(chan struct{}), err: errBusy}
	p.running[id] = c
	return c, true, nil
}

// join adds one to those who wait, of which there may be only so many.
func (c *comparison) join() error {
	if c.waiting >= maxWaiting {
		return &delayed{time.Second, errBusy}
	}
	c.waiting++
	return nil
}

func (p *passwords) work(l login) error {
	if err := p.turns.enter(l.from); err != nil {
		return &delayed{time.Second, err}
	}
	defer p.turns.leave()
	if p.compare([]byte(l.secret), []byte(l.password)) != nil || !l.genuine {
		return errWrong
	}
	return nil
}

func (p *passwords) end(id fingerprint, c *comparison) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.err == nil {
		p.verified.touch(id)
	}
	if !errors.Is(c.err, errWrong) {
		p.failures.giveBack(c.pair)
	}
	delete(p.running, id)
	close(c.done)
}
