package benchmarks

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"vspherepool/actors"
	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// quick is the part of a configuration that lets a pool work as fast as a vCenter does. Of a simulated guest there is nothing to wait for
// when it is shut down.
const quick = `"limits": {"creates": 20, "powerOps": 50, "deletes": 20}, "scaleInConfig": {"shutdownTimeout": "0s"}`

// keep runs a pool named "web" until the test's end, with the given keys in its configuration: "" for none.
func keep(t testing.TB, connect actors.Connect, keys string) *actors.Pool {
	t.Helper()
	pool, end := open(t, connect, keys)
	t.Cleanup(end)
	return pool
}

// open is keep for a pool whose end is the caller's to choose.
func open(t testing.TB, connect actors.Connect, keys string) (pool *actors.Pool, end func()) {
	t.Helper()
	journal, err := actors.OpenJournal(filepath.Join(t.TempDir(), "journal"))
	done(t, err)
	if keys != "" {
		keys = ", " + keys
	}
	pool, err = actors.Start(actors.Options{
		Journal: journal,
		Log:     slog.New(slog.DiscardHandler),
		Connect: connect,
		Config: fmt.Appendf(nil, `{"name": "web", "cloudApiSettings": {"url": "https://in.process/sdk", "username": "u", "password": "p"},
			"provisioningTemplate": {"template": "t", "folder": "f"}%s}`, keys),
	})
	done(t, err)
	done(t, pool.Ready(t.Context()))
	return pool, func() {
		_ = pool.Shutdown(context.Background())
		_ = journal.Close()
	}
}

// simulated is a new simulator that serves its endpoint.
func simulated(t testing.TB, o simulator.Options) *simulator.Simulator {
	t.Helper()
	sim, err := simulator.New(o)
	done(t, err)
	_, err = sim.Serve("127.0.0.1:0")
	done(t, err)
	return sim
}

// over is how a pool reaches a vCenter.
func over(c vsphere.Connection, template vsphere.Template) actors.Connect {
	connector := vsphere.NewConnector("benchmark")
	return func(ctx context.Context, pool string, _ vsphere.Connection, _ vsphere.Template) (actors.Provider, error) {
		client, err := connector.Connect(ctx, pool, c, template)
		if err != nil {
			return nil, err
		}
		return client, nil
	}
}

// scale brings the pool to so many members, all of them running and none of them on its way out.
func scale(t testing.TB, pool *actors.Pool, members int) {
	t.Helper()
	_, err := pool.Resize(t.Context(), members)
	done(t, err)
	await(t, pool, func(v actors.View) bool { return alive(v) == members && running(v) == members })
}

// await looks at the pool until it is as it should be.
func await(t testing.TB, pool *actors.Pool, so func(actors.View) bool) {
	t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for range look.C {
		view, err := pool.View(t.Context())
		done(t, err)
		if so(view) {
			return
		}
	}
}

// running counts the members that run, alive those that have not come to their end.
func running(v actors.View) int {
	return count(v, func(s actors.MachineState) bool { return s == actors.Running })
}

func alive(v actors.View) int {
	return count(v, func(s actors.MachineState) bool { return s != actors.Terminated && s != actors.Rejected })
}

func count(v actors.View, is func(actors.MachineState) bool) int {
	n := 0
	for _, m := range v.Machines {
		if is(m.State) {
			n++
		}
	}
	return n
}

func done(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
