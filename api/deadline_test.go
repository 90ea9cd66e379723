package api

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// armer counts the timers that are set, below a patient connection.
type armer struct {
	net.Conn
	reads, writes int
}

func (a *armer) SetReadDeadline(t time.Time) error  { a.reads++; return a.Conn.SetReadDeadline(t) }
func (a *armer) SetWriteDeadline(t time.Time) error { a.writes++; return a.Conn.SetWriteDeadline(t) }

// inPipe runs a test in virtual time with a patient connection, what it has below, and its peer.
func inPipe(t *testing.T, run func(t *testing.T, p *patient, below *armer, peer net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		defer near.Close()
		below := &armer{Conn: near}
		run(t, newPatient(below), below, far)
	})
}

// waited is how long a step takes to end with a missed deadline.
func waited(t *testing.T, step func([]byte) (int, error)) time.Duration {
	t.Helper()
	began := time.Now()
	if n, err := step(make([]byte, 8)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes, %v", n, err)
	}
	return time.Since(began)
}

func TestTheLastDeadlineIsKept(t *testing.T) {
	for name, due := range map[string][]time.Duration{
		"one":            {10 * time.Second},
		"earlier":        {time.Minute, 10 * time.Second},
		"later":          {10 * time.Second, time.Minute},
		"there and back": {time.Minute, 10 * time.Second, time.Hour, 20 * time.Second},
		"past":           {time.Minute, -time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inPipe(t, func(t *testing.T, p *patient, _ *armer, _ net.Conn) {
				for _, d := range due {
					if err := p.SetDeadline(time.Now().Add(d)); err != nil {
						t.Fatal(err)
					}
				}
				want := max(0, due[len(due)-1])
				if got := waited(t, p.Read); got != want {
					t.Errorf("reading took %v, want %v", got, want)
				}
				if got := waited(t, p.Write); got != 0 {
					t.Errorf("writing after it took %v", got)
				}
			})
		})
	}
}

// TestNoDeadlineIsNone has the last one taken away, while the timer of an earlier one still runs.
func TestNoDeadlineIsNone(t *testing.T) {
	inPipe(t, func(t *testing.T, p *patient, _ *armer, peer net.Conn) {
		_ = p.SetDeadline(time.Now().Add(time.Second))
		_ = p.SetDeadline(time.Time{})
		go func() {
			time.Sleep(time.Hour)
			_, _ = peer.Write([]byte("late"))
			time.Sleep(time.Hour)
			_, _ = peer.Read(make([]byte, 8))
		}()
		if n, err := p.Read(make([]byte, 8)); n != 4 || err != nil {
			t.Errorf("read %d, %v", n, err)
		}
		if n, err := p.Write([]byte("answer")); n != 6 || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
	})
}

// TestATimeBeginsWithTheWait, and not again with the next one.
func TestATimeBeginsWithTheWait(t *testing.T) {
	inPipe(t, func(t *testing.T, p *patient, _ *armer, peer net.Conn) {
		p.expect(10*time.Second, 20*time.Second)
		time.Sleep(time.Hour)
		go func() {
			for range 3 {
				time.Sleep(4 * time.Second)
				_, _ = peer.Write([]byte("x"))
			}
		}()
		for range 2 {
			if _, err := p.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		if got := waited(t, p.Read); got != 2*time.Second {
			t.Errorf("the third byte had %v", got)
		}
		if got := waited(t, p.Write); got != 20*time.Second {
			t.Errorf("writing took %v", got)
		}
	})
}

// TestAWriteInPartsIsWhole: what was written before a timer rang too early is not written again.
func TestAWriteInPartsIsWhole(t *testing.T) {
	inPipe(t, func(t *testing.T, p *patient, _ *armer, peer net.Conn) {
		_ = p.SetWriteDeadline(time.Now().Add(10 * time.Second))
		_ = p.SetWriteDeadline(time.Now().Add(time.Minute))
		got := make(chan string, 1)
		go func() {
			var text []byte
			for b := make([]byte, 1); len(text) < 6; {
				time.Sleep(4 * time.Second)
				n, _ := peer.Read(b)
				text = append(text, b[:n]...)
			}
			got <- string(text)
		}()
		if n, err := p.Write([]byte("answer")); n != 6 || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
		if text := <-got; text != "answer" {
			t.Errorf("%q arrived", text)
		}
	})
}

// TestABusyConnectionSetsFewTimers plays the deadlines of a connection with a request a second.
func TestABusyConnectionSetsFewTimers(t *testing.T) {
	inPipe(t, func(t *testing.T, p *patient, below *armer, peer net.Conn) {
		const requests = 100
		go func() {
			for range requests {
				time.Sleep(time.Second)
				_, _ = peer.Write([]byte("x"))
			}
		}()
		for range requests {
			_ = p.SetWriteDeadline(time.Now().Add(defaultLimits.write))
			_ = p.SetReadDeadline(time.Now().Add(defaultLimits.idle))
			if _, err := p.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			p.expect(defaultLimits.head, 0)
		}
		if below.reads > 1+requests/int(defaultLimits.head.Seconds()) || below.writes > 2 {
			t.Errorf("%d and %d timers for %d requests", below.reads, below.writes, requests)
		}
	})
}

// TestDeadlinesAreThoseOfThePlainConnection: whatever is set in whatever order, a read ends when it would without the saving.
func TestDeadlinesAreThoseOfThePlainConnection(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(-2, 20), 1, 12).Draw(r, "seconds")
		pauses := rapid.SliceOfN(rapid.IntRange(0, 5), len(steps), len(steps)).Draw(r, "pauses")
		var plain, saving []time.Duration
		inPipe(t, func(t *testing.T, p *patient, _ *armer, _ net.Conn) {
			saving = ends(t, p, steps, pauses)
		})
		inPipe(t, func(t *testing.T, _ *patient, below *armer, _ net.Conn) { plain = ends(t, below.Conn, steps, pauses) })
		for i := range plain {
			if plain[i] != saving[i] {
				r.Fatalf("read %d took %v, should take %v", i, saving[i], plain[i])
			}
		}
	})
}

// ends are how long a read takes after each deadline that is set.
func ends(t *testing.T, c net.Conn, steps, pauses []int) (took []time.Duration) {
	t.Helper()
	for i, seconds := range steps {
		time.Sleep(time.Duration(pauses[i]) * time.Second)
		_ = c.SetReadDeadline(time.Now().Add(time.Duration(seconds) * time.Second))
		if i%2 == 1 { // every other deadline is replaced before anybody waits for it
			took = append(took, waited(t, c.Read))
		}
	}
	return took
}
