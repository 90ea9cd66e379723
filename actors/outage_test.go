package actors

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// passing are faults that say nothing about the machines, each of which a vCenter in trouble is known to answer with.
var passing = []types.BaseMethodFault{
	&types.SystemError{Reason: "A general system error occurred"}, &types.NotAuthenticated{}, &types.TaskInProgress{}, &types.Timedout{},
	&types.NoPermission{PrivilegeId: "System.Read"}, &types.HostNotConnected{}, &types.HostCommunication{}, &types.ConcurrentAccess{},
	&types.LimitExceeded{}, &types.InvalidState{}, &types.RequestCanceled{}, &types.ManagedObjectNotFound{}, &types.InvalidLogin{},
}

// episode is one outage.
type episode struct {
	name     string
	stages   []simulator.Trouble
	sessions bool // vCenter has forgotten the sessions at the end
}

func randomEpisode(rnd *rand.Rand) episode {
	f := passing[rnd.IntN(len(passing))]
	share := 0.1 + 0.9*rnd.Float64()
	all := []episode{
		{"refuse", []simulator.Trouble{{Refuse: true}}, false},
		{"hang", []simulator.Trouble{{Hang: true}}, false},
		{"hang now and then", []simulator.Trouble{{Hang: true, Share: share / 2}}, false},
		{"bad gateway", []simulator.Trouble{{Status: 502, Share: share}}, false},
		{"unavailable", []simulator.Trouble{{Status: 503}}, false},
		{"cut", []simulator.Trouble{{Cut: share, Delay: 100 * time.Millisecond}}, false},
		{"slow", []simulator.Trouble{{Delay: time.Second}}, false},
		{"forgetful", []simulator.Trouble{{}}, true},
		{"restart", []simulator.Trouble{{Cut: 1}, {Refuse: true}, {Status: 503}}, true},
		{fmt.Sprintf("%T", f), []simulator.Trouble{{Inject: []simulator.Injection{{Fault: f, Probability: share}}}}, false},
	}
	return all[rnd.IntN(len(all))]
}

// TestOutages plays random episodes of trouble. A quiet one leaves the machines as they were; in a busy one the pool is resized as well.
func TestOutages(t *testing.T) {
	t.Parallel()
	tests := map[uint64]uint64{}
	for _, seed := range seeds(t, 2) {
		tests[seed] = seed
	}
	together(t, tests, func(t *testing.T, seed uint64) {
		p := throughProxy(t, seed, nil)
		stranger := p.foreigner()
		rnd := rand.New(rand.NewPCG(seed, 1))
		p.grow(4)
		desired := 4
		for i := range 3 {
			e := randomEpisode(rnd)
			t.Logf("%s, busy: %t", e.name, i%2 == 1)
			p.proxy.Reset()
			before := p.running()
			size := desired
			if i%2 == 1 {
				size = rnd.IntN(7)
			}
			p.suffer(rnd, e, size, desired)
			desired = size
			p.recover(fmt.Sprintf("%d machines after the outage %q", desired, e.name), desired)
			if i%2 == 0 && !slices.Equal(p.running(), before) {
				t.Errorf("%s: the machines were %v, are %v\n%s", e.name, before, p.running(), p.log.String())
			}
			if n := p.logins(); n > 1 || n == 0 && e.sessions {
				t.Errorf("%s: %d logins", e.name, n)
			}
		}
		p.account(desired)
		if !stranger() {
			t.Error("somebody else's VM is gone")
		}
	})
}

// suffer lets an episode pass. Reads and sizes go on meanwhile.
func (p *proxied) suffer(rnd *rand.Rand, e episode, size, desired int) {
	p.t.Helper()
	for i, trouble := range e.stages {
		p.make(trouble)
		if e.sessions && i == len(e.stages)-1 {
			p.proxy.DropSessions()
		}
		if i == 0 && size != desired {
			p.resize(size)
		}
		answered := p.holds(time.Duration(500+rnd.IntN(2500))*time.Millisecond, func() bool {
			v, err := p.pool.View(p.t.Context())
			return err == nil && len(v.Machines) > 0 || size == 0 || desired == 0
		})
		if !answered {
			_, err := p.pool.View(p.t.Context())
			p.t.Errorf("%s: the pool cannot be read: %v", e.name, err)
		}
		if s, err := p.pool.Size(p.t.Context()); err != nil || s.Requested != size {
			p.t.Errorf("%s: asked for %d, the size is %+v, %v", e.name, size, s, err)
		}
	}
	p.make(simulator.Trouble{})
}

// TestAWrongPasswordIsTriedAtMostTwiceAMinute rotates the password in vCenter's favour first, then in the file.
func TestAWrongPasswordIsTriedAtMostTwiceAMinute(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/password"
	write := func(password string) {
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(simulator.Password)
	p := throughProxy(t, 1, nil, func(c *vsphere.Connection) { c.Password, c.PasswordFile = "", file })
	p.grow(2)
	before := p.running()
	p.proxy.Reset()
	write("rotated away")
	p.proxy.DropSessions()
	p.within(comeToRest, "a status that tells of the login", func() bool {
		st, _ := p.pool.Status(t.Context())
		return strings.Contains(st.Outage+st.Blocked, "InvalidLogin")
	})
	p.holds(lasting(4*time.Second), func() bool { return true })
	if n := p.logins(); n > 2 {
		t.Errorf("%d logins with a wrong password within seconds", n)
	}
	if !slices.Equal(p.running(), before) {
		t.Errorf("the machines were %v, are %v", before, p.running())
	}
	write(simulator.Password)
	p.within(comeToRest, "vSphere can be read again", func() bool {
		st, _ := p.pool.Status(t.Context())
		return st.Outage+st.Blocked == ""
	})
	p.grow(3)
	if n := p.logins(); n > 3 {
		t.Errorf("%d logins", n)
	}
}

func TestReadsFailOnceTheViewIsTooOld(t *testing.T) {
	t.Parallel()
	p := throughProxy(t, 1, map[string]any{"poolFetch": map[string]any{
		"refreshInterval": "1s", "eventInterval": "200ms", "reachabilityTimeout": "4s", "retries": map[string]any{"initialBackoffDelay": "200ms"},
	}})
	p.grow(2)
	p.make(simulator.Trouble{Hang: true})
	old := p.view().Observed
	if !p.holds(2*time.Second, func() bool { _, err := p.pool.View(t.Context()); return err == nil }) {
		t.Error("reads fail before the view is too old")
	}
	p.within(10*time.Second, "reads fail", func() bool { _, err := p.pool.View(t.Context()); return err != nil })
	p.make(simulator.Trouble{})
	p.within(comeToRest, "a newer view", func() bool {
		v, err := p.pool.View(t.Context())
		return err == nil && v.Observed.After(old)
	})
}

// TestSlowSweepsDoNotMakeTheViewTooOld: the pause after a sweep, and the sweep after it, are over before a view is too old to act on.
func TestSlowSweepsDoNotMakeTheViewTooOld(t *testing.T) {
	for _, refresh := range []time.Duration{time.Second, 30 * time.Second, 2 * time.Minute} {
		fetch := PoolFetch{RefreshInterval: vsphere.Duration(refresh), ReachabilityTimeout: vsphere.Duration(time.Hour)}
		o, s := observer{fetch: fetch}, supervisor{config: &Config{PoolFetch: fetch}}
		for took := time.Millisecond; took <= sweepTimeout/2; took *= 2 {
			pause := o.pauseAfter(took)
			if pause < refresh || 2*took+pause > s.staleAfter() {
				t.Errorf("refreshInterval %v, a sweep took %v: pause of %v, too old after %v", refresh, took, pause, s.staleAfter())
			}
		}
		if short, long := o.pauseAfter(time.Millisecond), o.pauseAfter(10*time.Second); short != refresh || long <= refresh {
			t.Errorf("pauses of %v and %v", short, long)
		}
	}
	fetch := PoolFetch{RefreshInterval: vsphere.Duration(2 * time.Minute), ReachabilityTimeout: vsphere.Duration(3 * time.Minute)}
	tight := observer{fetch: fetch}
	if pause := tight.pauseAfter(10 * time.Second); pause+20*time.Second > 3*time.Minute {
		t.Errorf("pause of %v: too long for readers", pause)
	}
}
