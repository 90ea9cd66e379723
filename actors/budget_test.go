package actors

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"vspherepool/vsphere/simulator"
)

// shared says of a call whether all machines together make it: watching, and waiting for tasks and boots.
func shared(call string) bool {
	switch call {
	case "RetrievePropertiesEx Task", "RetrievePropertiesEx Tasks", // the task poller
		"RetrievePropertiesEx Folder", "ContinueRetrievePropertiesEx", "ResetCollector", // sweeps
		"ReadNextEvents", "CreateCollectorForEvents", "CurrentTime", // events
		"RetrievePropertiesEx VirtualMachines",                                // those that boot, and those that events name
		"RetrievePropertiesEx HostSystem", "RetrievePropertiesEx HostSystems": // names of hosts, each once
		return true
	}
	return false
}

// callTable shows the calls by method.
func callTable(t *testing.T, title string, calls map[string]int) {
	t.Helper()
	t.Log(title)
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		mark := ""
		if shared(name) {
			mark = "  (shared)"
		}
		t.Logf("%5d  %s%s", calls[name], name, mark)
	}
}

func TestCallsPerLaunchedMachine(t *testing.T) {
	t.Parallel()
	const machines = 20
	p := throughProxy(t, 1, map[string]any{"poolFetch": map[string]any{}})
	p.proxy.Reset()
	p.grow(machines)
	calls := p.proxy.Calls()
	own := 0
	for name, n := range calls {
		if !shared(name) {
			own += n
		}
	}
	callTable(t, "growth from 0 to 20", calls)
	// A read of the only VM that boots looks like one that is made for it.
	if own > 4*machines+5 {
		t.Errorf("%d calls for %d machines", own, machines)
	}
}

// TestWatchingManyMembers measures what watching costs, and how soon it sees: with 200 members if there is time, else with fewer.
func TestWatchingManyMembers(t *testing.T) {
	members, changes := 80, 4
	if long() {
		members, changes = 200, 10
	}
	p := throughProxy(t, 1, map[string]any{
		"poolFetch": map[string]any{"refreshInterval": "10s"}, "limits": map[string]any{"creates": 20}, "retention": "10m",
	})
	begun := time.Now()
	p.grow(members)
	t.Logf("grown to %d in %v", members, time.Since(begun))
	p.steadyCalls()
	p.sightings(changes)
}

// steadyCalls counts the calls of a pool at rest that sweeps every ten seconds, three times as often as by default: so what may be
// ten calls in a minute may be five in ten seconds, or thirty in a minute.
func (p *proxied) steadyCalls() {
	p.t.Helper()
	window := lasting(21 * time.Second)                 // slow sweeps are made half as often
	p.holds(3*time.Second, func() bool { return true }) // what the growth has left to read
	p.proxy.Reset()
	p.holds(window, func() bool { return true })
	calls := p.proxy.Calls()
	callTable(p.t, "at rest, "+window.String(), calls)
	total := 0
	for name, n := range calls {
		if name != "ReadNextEvents" {
			total += n
		}
	}
	if total > int(window/(2*time.Second)) {
		p.t.Errorf("%d calls in %v", total, window)
	}
	if calls["RetrievePropertiesEx Folder"] == 0 {
		p.t.Error("no sweep")
	}
}

// sightings measures how soon changes from outside show: within three seconds on a busy machine, or, where the simulator itself is slow, as
// with the race detector, within a look at the events and the few sweeps that prove a machine gone.
func (p *proxied) sightings(changes int) {
	p.t.Helper()
	begun := time.Now()
	if _, err := p.provider().Sweep(p.t.Context(), nil); err != nil {
		p.t.Fatal(err)
	}
	limit := max(3*time.Second, time.Second+6*time.Since(begun))
	var off, deleted []time.Duration
	for _, m := range p.in(Running)[:changes] {
		vm := p.vm(m)
		p.done(vm.PowerOff(p.t.Context()))
		off = append(off, p.until(func(now Machine) bool { return now.State != Running }, m))
		p.done(vm.Destroy(p.t.Context()))
	}
	for _, m := range p.in(Running)[:changes] {
		vm := p.vm(m)
		p.done(vm.PowerOff(p.t.Context()))
		p.done(vm.Destroy(p.t.Context()))
		deleted = append(deleted, p.until(func(now Machine) bool { return now.State != Running }, m))
	}
	for what, took := range map[string][]time.Duration{"power-off": off, "delete": deleted} {
		slices.Sort(took)
		p.t.Logf("%s seen after p50 %v, max %v", what, took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
		if took[len(took)-1] > limit {
			p.t.Errorf("a %s was seen after %v, later than %v", what, took[len(took)-1], limit)
		}
	}
}

// until is how long it takes for a machine to be seen so.
func (p *proxied) until(so func(Machine) bool, m Machine) time.Duration {
	p.t.Helper()
	begun := time.Now()
	p.within(10*time.Second, "seen", func() bool {
		for _, now := range p.machines() {
			if now.ID == m.ID {
				return so(now)
			}
		}
		return true
	})
	return time.Since(begun)
}

// TestTroubledGrowthStaysCheap grows a pool through a proxy that loses answers: nothing is made twice, and the calls stay in proportion.
func TestTroubledGrowthStaysCheap(t *testing.T) {
	t.Parallel()
	p := throughProxy(t, 7, map[string]any{"poolFetch": map[string]any{"refreshInterval": "2s"}})
	p.proxy.Reset()
	p.make(simulator.Trouble{Cut: 0.1})
	p.resize(10)
	p.within(comeToRest, "ten machines", func() bool { return p.settled(10) })
	p.make(simulator.Trouble{})
	p.account(10)
	clones := 0
	for name, n := range p.proxy.Calls() {
		if strings.HasPrefix(name, "Clone") {
			clones += n
		}
	}
	if clones > 20 {
		t.Errorf("%d calls to clone ten machines", clones)
	}
}
