package benchmarks

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"vspherepool/actors"
	"vspherepool/benchmarks/goals"
	"vspherepool/vsphere/simulator"
)

// counted is a pool that reaches its vCenter through a proxy that counts the calls.
type counted struct {
	t     testing.TB
	pool  *actors.Pool
	proxy *simulator.Proxy
}

func newCounted(t testing.TB, o simulator.Options, keys string) counted {
	t.Helper()
	sim := simulated(t, o)
	t.Cleanup(sim.Close)
	proxy, err := simulator.NewProxy(sim.Connection().URL, 1)
	done(t, err)
	t.Cleanup(proxy.Close)
	return counted{t, keep(t, over(proxy.Connection(), sim.Template()), keys), proxy}
}

// during counts all calls that are made while something is done, and shows them by method.
func (c counted) during(what string, do func()) (calls map[string]int, total int) {
	c.t.Helper()
	c.proxy.Reset()
	do()
	calls = c.proxy.Calls()
	lines := []string{what}
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		total += calls[name]
		lines = append(lines, fmt.Sprintf("%5d  %s", calls[name], name))
	}
	c.t.Log(strings.Join(lines, "\n"))
	return calls, total
}

// launched and terminated count the calls for each machine, everything included that the adapter does meanwhile.
func (c counted) launched(machines int) float64 {
	c.t.Helper()
	_, total := c.during("up", func() { scale(c.t, c.pool, machines) })
	return float64(total) / float64(machines)
}

func (c counted) terminated(machines int) float64 {
	c.t.Helper()
	_, total := c.during("down", func() { scale(c.t, c.pool, 0) })
	return float64(total) / float64(machines)
}

// atRest counts the calls of a minute but for the poll for events.
func (c counted) atRest(minutes float64) float64 {
	c.t.Helper()
	calls, total := c.during("at rest", func() { _ = pause(c.t.Context(), time.Duration(minutes*float64(time.Minute))) })
	return float64(total-calls["ReadNextEvents"]) / minutes
}

// likeReal takes a tenth of the time that serve --simulator takes by default.
var likeReal = simulator.Options{CloneDelay: 200 * time.Millisecond, BootDelay: 300 * time.Millisecond}

func TestCallsPerMachine(t *testing.T) {
	t.Parallel()
	const machines = 60
	c := newCounted(t, likeReal, quick)
	goals.Check(t, "Converge/calls", "calls/machine", c.launched(machines))
	goals.Check(t, "Converge/calls-down", "calls/machine", c.terminated(machines))
}

// TestCallsAtRest sweeps six times as often as by default: then twelve seconds have the calls of more than a minute.
func TestCallsAtRest(t *testing.T) {
	t.Parallel()
	const hurry = 6
	c := newCounted(t, likeReal, quick+`, "poolFetch": {"refreshInterval": "5s"}`)
	scale(t, c.pool, 30)
	_ = pause(t.Context(), 2*time.Second) // what the growth has left to read
	goals.Check(t, "Converge/steady", "calls/min", c.atRest(0.2)/hurry)
}
