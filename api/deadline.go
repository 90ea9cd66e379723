package api

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// deadline is when reading or writing has to be over. To set one for every step of every request costs more than an answer does, and hardly
// any is ever met. So the timer of an earlier one is left as it is as long as it does not ring too late; whoever is woken too early sets
// it anew.
type deadline struct {
	// start is what the times are counted from, in nanoseconds; 0 is never.
	start      time.Time
	due, armed atomic.Int64
}

func (d *deadline) set(t time.Time, arm func(time.Time) error) error {
	due := int64(0)
	if !t.IsZero() {
		due = max(1, int64(t.Sub(d.start)))
	}
	d.due.Store(due)
	if armed := d.armed.Load(); due == 0 || armed != 0 && armed <= due {
		return nil
	}
	d.armed.Store(due)
	return arm(t)
}

// early says whether err is only the ring of an earlier deadline, and sets the one that is meant.
func (d *deadline) early(err error, arm func(time.Time) error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	due := d.due.Load()
	d.armed.Store(due)
	if due == 0 {
		return arm(time.Time{}) == nil
	}
	t := d.start.Add(time.Duration(due))
	return time.Now().Before(t) && arm(t) == nil
}

// patient is a connection whose deadlines cost little. A time may also be given to begin with the first wait: whoever has got a whole
// request at once never waits, and so needs no look at the clock.
type patient struct {
	net.Conn
	reading, writing deadline
	// nextRead and nextWrite are the times in nanoseconds that begin with the next read and write; 0: none.
	nextRead, nextWrite atomic.Int64
}

func newPatient(c net.Conn) *patient {
	p := &patient{Conn: c}
	p.reading.start = time.Now().Add(-1) // so that nothing that is to come is never
	p.writing.start = p.reading.start
	return p
}

// SetReadDeadline is net.Conn's.
func (p *patient) SetReadDeadline(t time.Time) error {
	p.nextRead.Store(0)
	return p.reading.set(t, p.Conn.SetReadDeadline)
}

// SetWriteDeadline is net.Conn's.
func (p *patient) SetWriteDeadline(t time.Time) error {
	p.nextWrite.Store(0)
	return p.writing.set(t, p.Conn.SetWriteDeadline)
}

// expect has times begin with the next wait.
func (p *patient) expect(read, write time.Duration) {
	p.nextRead.Store(int64(read))
	p.nextWrite.Store(int64(write))
}

// SetDeadline is net.Conn's.
func (p *patient) SetDeadline(t time.Time) error {
	return errors.Join(p.SetReadDeadline(t), p.SetWriteDeadline(t))
}

// Read is net.Conn's.
func (p *patient) Read(b []byte) (int, error) {
	if next := p.nextRead.Load(); next != 0 {
		if err := p.SetReadDeadline(time.Now().Add(time.Duration(next))); err != nil {
			return 0, err
		}
	}
	for {
		n, err := p.Conn.Read(b)
		if err == nil || n > 0 || !p.reading.early(err, p.Conn.SetReadDeadline) {
			return n, err
		}
	}
}

// Write is net.Conn's.
func (p *patient) Write(b []byte) (written int, err error) {
	if next := p.nextWrite.Load(); next != 0 {
		if err := p.SetWriteDeadline(time.Now().Add(time.Duration(next))); err != nil {
			return 0, err
		}
	}
	for {
		n, err := p.Conn.Write(b[written:])
		written += n
		if err == nil || !p.writing.early(err, p.Conn.SetWriteDeadline) {
			return written, err
		}
	}
}
