package chaos

import "math/rand/v2"

// generator makes a history from a seed. A history has a temper: which kinds of trouble it leans to, so that some are mostly about
// crashes and others about an administrator who interferes.
type generator struct {
	*rand.Rand
	temper [5]int
}

// The kinds of events, as places in the temper.
const (
	byClients = iota
	byAdministrator
	byVCenter
	byProcess
	byDisk
)

func generate(seed uint64) history {
	g := generator{Rand: rand.New(rand.NewPCG(seed, 7))}
	g.temper = [5]int{40, g.IntN(25), g.IntN(25), g.IntN(20), g.IntN(8)}
	h := history{Seed: seed, Start: g.settings()}
	if h.Start.Desired == nil && g.chance(80) {
		h.Start.Desired = new(h.Start.effective(2 + g.IntN(4)))
	}
	h.Steps = append(h.Steps, step{Pause: 100})
	for range 12 + g.IntN(30) {
		if g.chance(8) {
			h.Steps = append(h.Steps, g.trial()...)
		}
		h.Steps = append(h.Steps, g.step())
	}
	return h
}

func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

func (g generator) step() step {
	s := step{Pause: g.pause()}
	for len(s.Calls) == 0 && len(s.Acts) == 0 {
		if g.drawn(byClients) {
			s.Calls = g.calls()
		}
		for kind := byAdministrator; kind <= byDisk; kind++ {
			if g.drawn(kind) {
				s.Acts = append(s.Acts, g.act(kind))
			}
		}
	}
	return s
}

// trial protects machines, and then asks for so few that only protected ones could stay.
func (g generator) trial() []step {
	protect := func() call {
		if g.chance(30) {
			return call{Op: "serviceState", Path: true, Service: "OUT_OF_SERVICE", Target: &target{Of: "member", N: g.IntN(50)}}
		}
		return call{Op: "membershipStatus", Active: g.chance(80), Target: &target{Of: "member", N: g.IntN(50)}}
	}
	return []step{
		{Pause: 90, Calls: []call{{Op: "resize", Size: 3 + g.IntN(3)}}},
		{Pause: 60 + g.IntN(120), Calls: []call{protect(), protect()}},
		{Pause: g.IntN(20), Calls: []call{{Op: "resize", Size: g.IntN(2)}}},
	}
}

// drawn says whether an event of the kind is part of a step.
func (g generator) drawn(kind int) bool { return g.chance(g.temper[kind]) }

// pause is mostly so short that what is under way is disturbed, and sometimes very long.
func (g generator) pause() int {
	switch n := g.IntN(100); {
	case n < 40:
		return g.IntN(6)
	case n < 80:
		return 5 + g.IntN(60)
	case n < 95:
		return 60 + g.IntN(600)
	case n < 99 || g.chance(70):
		return 600 + g.IntN(2*3600)
	default:
		return 24 * 3600
	}
}

func (g generator) calls() []call {
	if g.chance(10) {
		return []call{{Op: "configure", Settings: new(g.settings())}}
	}
	calls := []call{g.call()}
	for len(calls) < 4 && g.chance(35) {
		calls = append(calls, g.call())
	}
	if len(calls) > 1 && g.chance(40) { // about the same machine
		for i := range calls {
			if calls[i].Target != nil && calls[0].Target != nil {
				calls[i].Target = calls[0].Target
			}
		}
	}
	return calls
}

func (g generator) settings() settings {
	s := settings{Policy: pick(g, "NEWEST", "OLDEST"), Orphans: g.chance(20)}
	if g.chance(30) {
		s.Min = g.IntN(3)
	}
	if g.chance(40) {
		s.Max = new(s.Min + g.IntN(8))
	}
	s.Reject = g.chance(30)
	if g.chance(25) {
		s.Ceiling = 4 + g.IntN(8)
	}
	if g.chance(30) {
		s.Creates = 1 + g.IntN(3)
	}
	return s
}

func (g generator) call() call {
	c := call{Path: g.chance(50)}
	switch n := g.IntN(100); {
	case n < 25:
		c = call{Op: "resize", Size: g.IntN(9)}
	case n < 45:
		c.Op, c.Decrement, c.Target = "terminate", g.chance(50), g.target()
	case n < 52:
		c.Op, c.Decrement, c.Target = "detach", g.chance(50), g.target()
	case n < 62:
		c.Op, c.Target = "attach", &target{Of: pick(g, "stranger", "stranger", "detached", "member", "gone", "nobody", "template"), N: g.IntN(50)}
	case n < 74:
		c.Op, c.Target = "serviceState", g.target()
		c.Service = pick(g, "OUT_OF_SERVICE", "OUT_OF_SERVICE", "IN_SERVICE", "UNHEALTHY", "BOOTING", "UNKNOWN")
	case n < 87:
		c.Op, c.Target, c.Active, c.Evictable = "membershipStatus", g.target(), g.chance(60), g.chance(50)
	case n < 90:
		c = call{Op: "freeze"}
	case n < 93:
		c = call{Op: "thaw"}
	case n < 94:
		c = call{Op: "stop"}
	case n < 97:
		c = call{Op: "start"}
	default:
		c = call{Op: "raw", Raw: pick(g, invalid...)}
	}
	return c
}

func (g generator) target() *target {
	return &target{Of: pick(g, "member", "member", "member", "member", "member", "gone", "nobody"), N: g.IntN(50)}
}

// invalid are requests that must answer 4xx and change nothing, whatever state the pool is in.
var invalid = [][]string{
	{"POST", "/pool/size", `{"desiredSize": -1}`},
	{"POST", "/pool/size", `{"desiredSize": 1.5}`},
	{"POST", "/pool/size", `{"desiredSize": 99999999999999999999}`},
	{"POST", "/pool/size", `{}`},
	{"POST", "/pool/size", ``},
	{"POST", "/pool/terminate", `{"decrementDesiredSize": true}`},
	{"POST", "/pool/membershipStatus", `{"machineId": "x", "membershipStatus": {"active": true}}`},
	{"POST", "/pool/serviceState", `{"machineId": "x", "serviceState": "BROKEN"}`},
	{"DELETE", "/pool", ``},
	{"GET", "/pool/../config", ``},
	{"POST", "/config", `name: [`},
	{"POST", "/config", "name: web\nbounds: {min: 3, max: 1}"},
}

func (g generator) act(kind int) act {
	delay := pick(g, 0, g.IntN(20), g.IntN(1000), g.IntN(30_000))
	switch kind {
	case byAdministrator:
		return act{Delay: delay, N: g.IntN(50), Op: pick(
			g, "powerOff", "powerOff", "powerOn", "suspend", "destroy", "destroy", "unregister", "rename", "move", "unmark", "spoil", "edit",
			"copy", "stranger", "stranger",
		)}
	case byVCenter:
		if g.chance(35) {
			return act{Delay: delay, Op: pick(g, "calm", "calm", "calm", "logout")}
		}
		return act{Delay: delay, Op: "trouble", Trouble: g.trouble()}
	case byProcess:
		a := act{Delay: delay, Op: pick(g, "crash", "crashSoon", "crashSoon", "crashSoon", "crashSoon", "restart"), Down: g.IntN(90)}
		if a.Op == "crashSoon" {
			a.N = 1 + g.IntN(24)
		}
		if g.chance(8) {
			a.Op = "lose"
		}
		return a
	default:
		return act{Delay: delay, Op: pick(g, "diskFull", "diskFree")}
	}
}

func (g generator) trouble() *trouble {
	t := &trouble{
		Kind: pick(g, "refuse", "hang", "status", "lost", "lost", "lost", "cut", "fault", "fault", "task", "task", "slow", "slow", "late",
			"truncate", "omit", "disconnected"),
		Share: pick(g, 20, 50, 100), Times: pick(g, 0, 1, 1, 2, 5), Delay: g.IntN(pick(g, 100, 5000, 70_000)),
	}
	changes := []string{
		"CloneVM_Task", "CloneVM_Task", "PowerOnVM_Task", "PowerOnMultiVM_Task", "PowerOffVM_Task", "Destroy_Task", "ReconfigVM_Task",
		"ReconfigVM_Task", "ShutdownGuest",
	}
	switch t.Kind {
	case "fault", "task":
		t.Fault = pick(g, "NotAuthenticated", "NoPermission", "TaskInProgress", "ConcurrentAccess", "InsufficientStorage", "InvalidState",
			"InvalidPowerState", "SystemError", "HostCommunication", "GenericVmConfigFault")
		t.Method = pick(g, append(changes, "RetrievePropertiesEx", "ReadNextEvents")...)
		if t.Kind == "task" {
			t.Method = pick(g, changes[:len(changes)-1]...)
		}
	case "lost", "slow", "late", "cut":
		if g.chance(75) {
			t.Method = pick(g, changes...)
		}
	case "omit", "disconnected":
		t.Share, t.Times = pick(g, 10, 30, 60), 0
	}
	return t
}
