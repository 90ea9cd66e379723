package actors

import (
	"context"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/benchmarks/goals"
	"vspherepool/vsphere"
)

// What changes cost: messages between the actors, and what is written and flushed to the journal.

func changeCosts(b *testing.B) {
	b.Helper()
	goals.Virtually(b, func(t *testing.T) {
		for what, figures := range changeFigures(t, 10_000) {
			b.Run(what, func(b *testing.B) {
				for unit, figure := range figures {
					goals.Report(b, unit, figure)
				}
			})
		}
	})
}

// TestChangeCosts measures a smaller pool than the benchmark does.
func TestChangeCosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for what, figures := range changeFigures(t, 1000) {
			for _, unit := range slices.Sorted(maps.Keys(figures)) {
				goals.Check(t, "Costs/"+what, unit, figures[unit])
			}
		}
	})
}

// changeFigures are the costs of launches, and of changes of a pool with n members.
func changeFigures(t *testing.T, n int) map[string]map[string]float64 {
	t.Helper()
	defer time.Sleep(time.Minute) // the actor systems' throttles wind down
	const many = 40
	alone, together := launch(t, 1), launch(t, many)
	status := changed(t, n, func(pool *Pool, id string) error {
		return failureOnly(pool.SetServiceState(t.Context(), id, Unhealthy, false))
	})
	resize := changed(t, n, func(pool *Pool, _ string) error { return failureOnly(pool.Resize(t.Context(), n+1)) })
	return map[string]map[string]float64{
		"launch-alone": {"fsyncs/machine": alone.fsyncs(), "B/machine": alone.bytes()},
		"launch-of-40": {
			"fsyncs/machine": together.fsyncs() / many, "B/machine": together.bytes() / many, "messages/machine": together.messages() / many,
		},
		"status": {"fsyncs/change": status.fsyncs(), "B/change": status.bytes()},
		"resize": {"fsyncs/change": resize.fsyncs(), "B/change": resize.bytes()},
	}
}

// launch is what it costs to bring so many machines from the request to work, at once as far as the limits allow.
func launch(t *testing.T, machines int) ledger {
	t.Helper()
	m := observedPool(t, estate{filepath.Join(t.TempDir(), "journal"), newWorld(), 0})
	defer m.end()
	synctest.Wait()
	before := m.ledger()
	if _, err := m.pool.Resize(t.Context(), machines); err != nil {
		t.Fatal(err)
	}
	for running := 0; running < machines; {
		time.Sleep(time.Second)
		v, err := m.pool.View(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		running = len(slices.DeleteFunc(slices.Clone(v.Machines), func(m *Machine) bool { return m.State != Running }))
	}
	synctest.Wait()
	return m.ledger().since(before)
}

// changed is what one change costs a pool of n members that does nothing else.
func changed(t *testing.T, n int, change func(pool *Pool, id string) error) ledger {
	t.Helper()
	m := observedPool(t, settled(t, n))
	defer m.end()
	if _, err := m.pool.Freeze(t.Context(), "to be measured"); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	before := m.ledger()
	if err := change(m.pool, string(memberRecord(0).ID)); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return m.ledger().since(before)
}

// ledger is what was written, and said.
type ledger struct {
	writes, pages, heard int
}

// fsyncs are two for each write: bbolt flushes the pages, and then the page that points to them.
func (l ledger) fsyncs() float64 { return float64(2 * l.writes) }

// bytes are those of the pages that bbolt writes, the pointing one of each write included.
func (l ledger) bytes() float64 { return float64(l.pages + l.writes*pageSize) }

const pageSize = 4096

// messages are those to the supervisor, its children and the recorder, which hears of each write's end too.
func (l ledger) messages() float64 { return float64(l.heard + l.writes) }

func (l ledger) since(before ledger) ledger {
	return ledger{l.writes - before.writes, l.pages - before.pages, l.heard - before.heard}
}

// meter is a pool that is watched from within.
type meter struct {
	pool    *Pool
	journal *boltJournal
	end     func()

	mu            sync.Mutex
	writes, heard int
}

func observedPool(t *testing.T, e estate) *meter {
	t.Helper()
	journal, err := OpenJournal(e.path)
	if err != nil {
		t.Fatal(err)
	}
	m := &meter{journal: journal.(*boltJournal)}
	m.pool, err = start(Options{
		Journal: meteredJournal{journal, m}, Log: slog.New(slog.DiscardHandler), Config: []byte(document),
		Connect: func(context.Context, string, vsphere.Connection, vsphere.Template) (Provider, error) {
			return e.world, nil
		},
	}, func(s *supervisor) actor.Actor { return overheard{s, m} })
	if err == nil {
		err = m.pool.Ready(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	m.end = func() {
		if err := m.pool.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		journal.Close()
	}
	return m
}

func (m *meter) ledger() ledger {
	m.mu.Lock()
	defer m.mu.Unlock()
	stats := m.journal.db.Stats().TxStats
	return ledger{m.writes, int(stats.GetPageAlloc()), m.heard}
}

type meteredJournal struct {
	Journal
	meter *meter
}

func (j meteredJournal) Write(changes []Change) error {
	j.meter.mu.Lock()
	j.meter.writes++
	j.meter.mu.Unlock()
	return j.Journal.Write(changes)
}

// hear counts a message to the supervisor or a child of it.
func (m *meter) hear(message any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch message.(type) {
	case viewQuery:
		return // this file's own
	case saved, stored: // the answers to what the recorder was told
		m.heard++
	}
	m.heard++
}

// overheard is a supervisor of which every message is counted, and of its children too.
type overheard struct {
	*supervisor
	meter *meter
}

func (o overheard) Receive(ctx actor.Context) {
	o.meter.hear(ctx.Message())
	o.supervisor.Receive(earshot{ctx, o.meter})
}

type earshot struct {
	actor.Context
	meter *meter
}

func (e earshot) Spawn(props *actor.Props) *actor.PID {
	return e.Context.Spawn(props.Configure(actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
		return func(ctx actor.ReceiverContext, envelope *actor.MessageEnvelope) {
			e.meter.hear(envelope.Message)
			next(ctx, envelope)
		}
	})))
}
