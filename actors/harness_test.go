package actors

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vspherepool/vsphere"
)

// memory is a journal that outlives the pools that use it; it keeps JSON, as the real one does.
type memory struct {
	mu       sync.Mutex
	pool     []byte
	machines map[vsphere.MachineID][]byte
	broken   error
	// hang, if set, holds writes up until it is closed.
	hang   chan struct{}
	writes int
}

func newMemory() *memory { return &memory{machines: map[vsphere.MachineID][]byte{}} }

func (m *memory) Load() (State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var s State
	if m.pool != nil {
		if err := json.Unmarshal(m.pool, &s.Pool); err != nil {
			return s, err
		}
	}
	for _, raw := range m.machines {
		var r record
		if err := json.Unmarshal(raw, &r); err != nil {
			return s, err
		}
		s.Machines = append(s.Machines, r)
	}
	return s, nil
}

func (m *memory) Write(changes []Change) error {
	m.mu.Lock()
	hang := m.hang
	m.mu.Unlock()
	if hang != nil {
		<-hang
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return m.broken
	}
	m.writes++
	for _, c := range changes {
		switch {
		case c.pool != nil:
			m.pool, _ = json.Marshal(c.pool)
		case c.machine != nil:
			m.machines[c.machine.ID], _ = json.Marshal(c.machine)
		default:
			delete(m.machines, c.forget)
		}
	}
	return nil
}

func (m *memory) Close() error { return nil }

const document = `
name: web
cloudApiSettings: {url: "https://vc.example/sdk", username: u, password: p}
provisioningTemplate: {template: /DC0/vm/tpl, folder: /DC0/vm/web, resourcePool: /DC0/host/C0/Resources}
`

// rig is one pool over a world and a journal that outlive it.
type rig struct {
	t       *testing.T
	world   *world
	journal *memory
	pool    *Pool
	fuse    *fuse
	config  string
	log     logBuffer
	// wrap puts something between the pool and the world.
	wrap func(fusedProvider) Provider
}

func plain(p fusedProvider) Provider { return p }

// logBuffer keeps what is logged; with VSPHEREPOOL_TEST_LOG set it shows it too.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if os.Getenv("VSPHEREPOOL_TEST_LOG") != "" {
		_, _ = os.Stderr.Write(p)
	}
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// inBubble runs a test in virtual time, with an empty world.
func inBubble(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, world: newWorld(), journal: newMemory(), config: document, wrap: plain}
		r.start()
		defer func() {
			r.stop()
			time.Sleep(time.Minute) // the actor system's throttles wind down
			r.world.innocent(t)
		}()
		test(t, r)
	})
}

func (r *rig) start() {
	r.t.Helper()
	r.fuse = &fuse{}
	pool, err := start(Options{
		Journal: fusedJournal{r.journal, r.fuse},
		Connect: func(ctx context.Context, _ string, _ vsphere.Connection, _ vsphere.Template) (Provider, error) {
			r.world.mu.Lock()
			defer r.world.mu.Unlock()
			if err := r.world.enter(ctx, "connect"); err != nil {
				return nil, err
			}
			return r.wrap(fusedProvider{r.world, r.fuse}), nil
		},
		Log:    slog.New(slog.NewTextHandler(&r.log, nil)),
		Config: r.document(),
		Jitter: func() float64 { return 0 },
	}, audit(r.t))
	if err != nil {
		r.t.Fatal(err)
	}
	r.pool = pool
	if err := pool.Ready(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
}

// document is what the server was started with; nil for the stored one.
func (r *rig) document() []byte {
	if r.config == "" {
		return nil
	}
	return []byte(r.config)
}

func (r *rig) stop() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.pool.Shutdown(ctx); err != nil {
		r.t.Error(err)
	}
}

// crash ends the pool as kill -9 would: from this moment on nothing reaches the world or the journal, and no answer comes back.
func (r *rig) crash() {
	r.fuse.blow()
	r.stop()
}

func (r *rig) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) resize(n int) {
	r.t.Helper()
	if _, err := r.pool.Resize(r.t.Context(), n); err != nil {
		r.t.Fatal(err)
	}
}

// failureOnly is the error of a request whose effect does not matter.
func failureOnly[T any](_ T, err error) error { return err }

func (r *rig) view() View {
	r.t.Helper()
	v, err := r.pool.View(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

// machines are the view's, as values.
func (r *rig) machines() []Machine {
	r.t.Helper()
	return values(r.view())
}

func values(v View) []Machine {
	var out []Machine
	for _, m := range v.Machines {
		out = append(out, *m)
	}
	return out
}

// in are the machines in a state.
func (r *rig) in(state MachineState) []Machine {
	r.t.Helper()
	var out []Machine
	for _, m := range r.machines() {
		if m.State == state {
			out = append(out, m)
		}
	}
	return out
}

// expect checks how many machines are in a state.
func (r *rig) expect(state MachineState, n int) []Machine {
	r.t.Helper()
	got := r.in(state)
	if len(got) != n {
		r.t.Fatalf("%d machines are %s, want %d: %+v", len(got), state, n, r.machines())
	}
	return got
}

// fuse separates a pool from its world and journal.
type fuse struct {
	mu    sync.Mutex
	blown bool
}

func (f *fuse) blow() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blown = true
}

func (f *fuse) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.blown {
		return errDown
	}
	return nil
}

type fusedJournal struct {
	*memory
	fuse *fuse
}

func (j fusedJournal) Write(changes []Change) error {
	if j.fuse.err() != nil {
		return errors.New("the process is dead")
	}
	return j.memory.Write(changes)
}

// fusedProvider does nothing once the fuse is blown; an effect that was under way then stays, its answer is lost.
type fusedProvider struct {
	*world
	fuse *fuse
}

func (p fusedProvider) Clone(ctx context.Context, o vsphere.CloneOrder) (vsphere.Task, error) {
	if err := p.fuse.err(); err != nil {
		return "", err
	}
	task, err := p.world.Clone(ctx, o)
	return task, errors.Join(err, p.fuse.err())
}

func (p fusedProvider) Write(ctx context.Context, o vsphere.Ownership, c vsphere.Change) error {
	if err := p.fuse.err(); err != nil {
		return err
	}
	return errors.Join(p.world.Write(ctx, o, c), p.fuse.err())
}

func (p fusedProvider) Claim(ctx context.Context, ref vsphere.Ref, c vsphere.Change) error {
	if err := p.fuse.err(); err != nil {
		return err
	}
	return errors.Join(p.world.Claim(ctx, ref, c), p.fuse.err())
}

func (p fusedProvider) PowerOn(ctx context.Context, o vsphere.Ownership) error {
	if err := p.fuse.err(); err != nil {
		return err
	}
	return p.world.PowerOn(ctx, o)
}

func (p fusedProvider) PowerOff(ctx context.Context, o vsphere.Ownership) error {
	if err := p.fuse.err(); err != nil {
		return err
	}
	return p.world.PowerOff(ctx, o)
}

func (p fusedProvider) Destroy(ctx context.Context, o vsphere.Ownership) error {
	if err := p.fuse.err(); err != nil {
		return err
	}
	return p.world.Destroy(ctx, o)
}
