package vsphere

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// caller drives a guard as an account does, in a time of its own, and notes what reached vCenter.
type caller struct {
	*guard
	now     time.Time
	sends   []time.Time
	refused []attempt
}

type attempt struct {
	password string
	at       time.Time
}

func newCaller() *caller {
	return &caller{guard: newGuard("salt", vcenterRests), now: time.Unix(1e9, 0)}
}

// try logs in with what vCenter answers, unless the guard forbids it.
func (l *caller) try(password string, answer error) error {
	if err := l.admit(password, l.now); err != nil {
		return err
	}
	l.sent(l.now)
	l.sends = append(l.sends, l.now)
	if answer == nil {
		l.granted(password)
		return nil
	}
	if KindOf(answer) == BadLogin {
		l.refused = append(l.refused, attempt{password, l.now})
	}
	e, _ := errors.AsType[*Error](answer)
	l.failed(password, e, l.now)
	return e
}

func refusal() error { return &Error{Op: "log in", Kind: BadLogin, Err: errors.New("no")} }

func unanswered() error { return &Error{Op: "log in", Kind: Unreachable, Err: errors.New("EOF")} }

func TestOneTryPerCredential(t *testing.T) {
	l := newCaller()
	first := l.try("wrong", refusal())
	for range 10 {
		l.now = l.now.Add(15 * time.Second)
		if err := l.try("wrong", refusal()); !errors.Is(err, first) {
			t.Fatalf("%v, and then %v", first, err)
		}
	}
	if !strings.Contains(first.Error(), time.Unix(1e9, 0).Add(refusedRest).Format(time.TimeOnly)) {
		t.Errorf("%q does not say when the next try is", first)
	}
	if err := l.try("right", nil); err != nil {
		t.Errorf("a changed password: %v", err)
	}
	l.now = time.Unix(1e9, 0).Add(refusedRest)
	if err := l.try("wrong", refusal()); KindOf(err) != BadLogin || len(l.refused) != 2 {
		t.Errorf("after the rest: %v, %d tries", err, len(l.refused))
	}
}

func TestFailedLoginsAreFew(t *testing.T) {
	l := newCaller()
	for i := range 2 {
		_ = l.try(fmt.Sprint("wrong ", i), refusal())
	}
	err := l.try("wrong 3", refusal())
	if KindOf(err) != BadLogin || len(l.refused) != 2 || !strings.Contains(err.Error(), l.now.Add(time.Minute).Format(time.TimeOnly)) {
		t.Fatalf("%v after %d tries", err, len(l.refused))
	}
	l.now = l.now.Add(time.Minute)
	if err := l.try("right", nil); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

// An answer that is lost may have been a refusal, unless the password is known to be right.
func TestUnansweredLogins(t *testing.T) {
	l := newCaller()
	for range 9 {
		_ = l.try("unknown", unanswered())
		l.now = l.now.Add(6 * time.Second)
	}
	if len(l.sends) != 2 {
		t.Errorf("%d logins with an unknown password in a minute", len(l.sends))
	}
	l = newCaller()
	if err := l.try("right", nil); err != nil {
		t.Fatal(err)
	}
	l.now = l.now.Add(time.Hour)
	_ = l.lost(l.now)
	for range 13 {
		_ = l.try("right", unanswered())
		l.now = l.now.Add(5 * time.Second)
	}
	if len(l.sends) != 5 { // the first, and 0, 5, 15 and 35 seconds after the loss
		t.Errorf("%d logins with a password that is known to be right", len(l.sends)-1)
	}
}

func TestLossesRest(t *testing.T) {
	for name, row := range map[string]struct {
		lives []time.Duration
		rest  time.Duration
	}{
		"none":                 {nil, 0},
		"a long life":          {[]time.Duration{time.Hour}, 0},
		"an early end":         {[]time.Duration{time.Second}, 5 * time.Second},
		"two early ends":       {[]time.Duration{time.Second, 6 * time.Second}, 10 * time.Second},
		"a storm":              {[]time.Duration{0, 0, 0, 0, 0, 0, 0, 0}, 2 * time.Minute},
		"a storm that is over": {[]time.Duration{0, 0, 0, 0, 0, 0, 0, 0, 5 * time.Minute}, 0},
		"not quite over":       {[]time.Duration{0, 0, 0, time.Minute / 2}, 40 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			l := newCaller()
			for _, life := range row.lives {
				l.now = l.now.Add(time.Hour) // whatever the rest was
				if err := l.try("right", nil); err != nil {
					t.Fatal(err)
				}
				l.now = l.now.Add(life)
				_ = l.lost(l.now)
				_ = l.lost(l.now.Add(time.Millisecond)) // the same loss, met by another call
			}
			if l.rest != row.rest {
				t.Errorf("rest is %v", l.rest)
			}
		})
	}
}

// Whatever happens: no refused credential twice within three minutes, two refusals a minute and four in three minutes at most, and
// no login within five seconds of one whose session was lost early.
func TestGuardIsNeverHasty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newCaller()
		lost := false
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			l.now = l.now.Add(time.Duration(rapid.IntRange(0, 40_000).Draw(t, "ms")) * time.Millisecond)
			answer := rapid.SampledFrom([]error{nil, refusal(), refusal(), unanswered()}).Draw(t, "answer")
			before := len(l.sends)
			_ = l.try(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "password"), answer)
			if len(l.sends) == before {
				continue
			}
			if lost && l.sends[before].Sub(l.sends[before-1]) < vcenterRests.shortest {
				t.Fatalf("a login %v after one whose session was lost", l.sends[before].Sub(l.sends[before-1]))
			}
			if lost = answer == nil && rapid.Bool().Draw(t, "lost"); lost {
				_ = l.lost(l.now.Add(time.Second))
			}
		}
		l.checkRefusals(t)
	})
}

func (l *caller) checkRefusals(t *rapid.T) {
	for i, a := range l.refused {
		for j, b := range l.refused[i+1:] {
			gap := b.at.Sub(a.at)
			switch {
			case a.password == b.password && gap < refusedRest:
				t.Fatalf("%s was tried again after %v", a.password, gap)
			case j >= 1 && gap < time.Minute, j >= 3 && gap < refusedRest:
				t.Fatalf("%d refusals in %v", j+2, gap)
			}
		}
	}
}
