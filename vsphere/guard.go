package vsphere

import (
	"crypto/sha256"
	"slices"
	"sync"
	"time"
)

const (
	// refusedRest is how long a refused credential is not sent again: vCenter locks accounts after a few failures (five within three
	// minutes by default), and an adapter that keeps trying locks out everybody who shares the account.
	refusedRest = 3 * time.Minute
	// Whatever changes, no more than so many logins that fail are made in a minute and in the time of refusedRest: the last line
	// between a script that writes wrong passwords and a locked account.
	failedPerMinute = 2
	failedPerRest   = 4
)

// rests say how logins are spaced out that follow lost sessions.
type rests struct {
	// A session that lived shorter than youth was lost early. Then the next login is made no sooner than shortest after its own, and
	// each early loss doubles that up to longest.
	youth, shortest, longest time.Duration
}

// vcenterRests keep a vCenter that ends sessions at once, or an administrator's script that does, from a storm of logins.
var vcenterRests = rests{youth: 30 * time.Second, shortest: 5 * time.Second, longest: 2 * time.Minute}

// guard decides whether an account may log in now. It outlives clients, and its decisions are functions of what it was told.
type guard struct {
	// turn is held by the one login that is under way, so that two cannot both be the one try that is allowed.
	turn turn
	salt string
	rests

	mu sync.Mutex
	// failures are those of the time of refusedRest, the oldest first.
	failures []failure
	// accepted is the credential of the last login that succeeded.
	accepted credential
	// last is when the last login was sent, open whether its session is believed to be alive, and rest how long after last no other
	// one is sent once it is not.
	last time.Time
	open bool
	rest time.Duration
}

// credential stands for a password, of which no more is kept.
type credential [sha256.Size]byte

// failure is a login that vCenter refused, or that it may have refused: its answer was lost, and the credential, which is left out then,
// is none that it is known to accept.
type failure struct {
	credential
	at  time.Time
	err *Error
}

func newGuard(salt string, r rests) *guard {
	return &guard{turn: make(turn, 1), salt: salt, rests: r}
}

// admit is the error of a login that must not be sent now. It never waits.
func (g *guard) admit(password string, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failures = slices.DeleteFunc(g.failures, func(f failure) bool { return now.Sub(f.at) >= refusedRest })
	sealed := g.seal(password)
	for _, f := range g.failures {
		if f.credential == sealed {
			return f.err
		}
	}
	if at := g.spaced(); now.Before(at) {
		again := *g.failures[len(g.failures)-1].err
		again.Hint = "too many logins failed; the next one is made " + clock(at) + ", so that vCenter does not lock the account"
		return &again
	}
	return g.due(now)
}

// spaced is when the number of failures allows another login.
func (g *guard) spaced() time.Time {
	var at time.Time
	if n := len(g.failures) - failedPerMinute; n >= 0 {
		at = g.failures[n].at.Add(time.Minute)
	}
	if n := len(g.failures) - failedPerRest; n >= 0 {
		at = latest(at, g.failures[n].at.Add(refusedRest))
	}
	return at
}

// due is the error of a login that would follow too soon on one whose session was lost.
func (g *guard) due(now time.Time) error {
	if until := g.last.Add(g.rest); !g.open && now.Before(until) {
		return &tooSoon{until}
	}
	return nil
}

// lost notes that the session of the last login is over, and returns the error of a login that would follow too soon.
func (g *guard) lost(now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forget(now)
	return g.due(now)
}

// forget counts a loss once, however many calls meet it.
func (g *guard) forget(now time.Time) {
	if !g.open {
		return
	}
	g.open = false
	if now.Sub(g.last) >= max(g.youth, 2*g.rest) {
		g.rest = 0
		return
	}
	g.rest = min(max(2*g.rest, g.shortest), g.longest)
}

// sent notes that a login is being made. It counts as one that opened a session until it is known to have failed.
func (g *guard) sent(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last, g.open = now, true
}

// granted notes that the login succeeded.
func (g *guard) granted(password string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.accepted = g.seal(password)
}

// failed notes that the login failed, and says in the error when the same one is made again, if vCenter refused it.
func (g *guard) failed(password string, e *Error, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch sealed := g.seal(password); {
	case e.Kind == BadLogin:
		g.open = false
		e.Hint = "check user name and password; a changed one is tried at once, the same one " + clock(now.Add(refusedRest))
		g.failures = append(g.failures, failure{sealed, now, e})
		return
	case sealed != g.accepted:
		g.failures = append(g.failures, failure{at: now, err: e})
	}
	g.forget(now)
}

// pardon takes back the last refusal: the session that it was thought to open is alive.
func (g *guard) pardon() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.failures); n > 0 {
		g.failures = g.failures[:n-1]
	}
	g.open = true
}

func (g *guard) seal(password string) credential { return sha256.Sum256([]byte(g.salt + password)) }

// tooSoon is a login that was not made, because the one before was made, and its session lost, a moment ago.
type tooSoon struct{ until time.Time }

func (e *tooSoon) Error() string {
	return "the last login failed, or its session ended soon; the next one is made " + clock(e.until) +
		": see in vCenter whether somebody ends sessions, or whether there are too many"
}

func clock(at time.Time) string { return "at " + at.Format(time.TimeOnly) }

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
