package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"

	"vspherepool/vsphere"
)

// Options are what a pool needs from outside.
type Options struct {
	// Journal is open and stays the caller's to close, after Shutdown.
	Journal Journal
	// Connect reaches vCenter.
	Connect Connect
	Log     *slog.Logger
	// Config is a configuration document to store and apply; nil: the stored one, if any.
	Config []byte
	// Stopped begins with the pool stopped, as by POST /stop.
	Stopped bool
	// NewID makes machine ids, Jitter values in [0, 1); nil: random ones.
	NewID  func() string
	Jitter func() float64
}

// Start brings a pool to life from its journal. It fails if the document is not valid (*[ConfigError]) or belongs to another pool than
// the journal; whether vCenter can be reached shows in Status.
func Start(o Options) (*Pool, error) {
	return start(o, func(s *supervisor) actor.Actor { return s })
}

// start lets the supervisor's place be taken by something around it.
func start(o Options, as func(*supervisor) actor.Actor) (*Pool, error) {
	if o.NewID == nil {
		o.NewID = uuid.NewString
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	if err := storeConfig(o); err != nil {
		return nil, err
	}
	log := slog.New(quiet{o.Log.Handler()})
	p := &Pool{
		system:     actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return log })),
		ops:        newOperations(),
		recorderOp: newOperations(),
		events:     newEvents(),
		readers:    readers{over: make(chan struct{})},
	}
	p.recorder = p.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &recorder{journal: o.Journal, ops: p.recorderOp, stopTimer: func() {}}
	}))
	p.supervisor = p.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return as(&supervisor{
			Options: o, ops: p.ops, recorder: p.recorder, events: p.events, dismiss: p.readers.dismiss,
			seats: map[vsphere.MachineID]*seat{}, followed: map[vsphere.MachineID]*seat{}, byPID: map[string]vsphere.MachineID{},
			attaching: map[vsphere.MachineID]attachment{},
		})
	}))
	return p, nil
}

// storeConfig makes what was given at start the stored state. A disk that is full keeps no server from starting as it did before.
func storeConfig(o Options) error {
	if o.Config == nil && !o.Stopped {
		return nil
	}
	state, err := o.Journal.Load()
	if err != nil {
		return err
	}
	pool := state.Pool
	if o.Config != nil {
		if err := newDocument(&pool, o.Config, len(state.Machines) > 0); err != nil {
			return err
		}
		warnOfUnknownKeys(o.Log, o.Config)
	}
	pool.Started = pool.Started && !o.Stopped
	if reflect.DeepEqual(pool, state.Pool) {
		return nil
	}
	return o.Journal.Write([]Change{{pool: &pool}})
}

// newDocument puts a document in the stored one's place. The first one starts the pool.
func newDocument(pool *PoolRecord, document []byte, populated bool) error {
	config, err := ParseConfig(document)
	if err != nil {
		return err
	}
	first := len(pool.Document) == 0
	if old := nameIn(pool.Document); !first && old != config.Name && populated {
		return fmt.Errorf("the state directory belongs to pool %q and has machines, the configuration is for %q: use another state directory",
			old, config.Name)
	}
	pool.Rebuilt = pool.Rebuilt && nameIn(pool.Document) == config.Name
	pool.Started = pool.Started || first
	pool.Document = document
	return nil
}

// Shutdown stops taking requests, lets calls to vSphere that are not on record yet come to their end, as long as ctx allows, and logs
// out. What is left is taken up again at the next start.
func (p *Pool) Shutdown(ctx context.Context) error {
	_, err := ask(ctx, p.system.Root, p.supervisor, drain{})
	p.ops.close(ctx)
	_, flushErr := ask(ctx, p.system.Root, p.recorder, flush{})
	providers, partErr := p.partings(ctx)
	err = errors.Join(err, flushErr, partErr, p.end("supervisor", p.supervisor), p.end("recorder", p.recorder))
	p.recorderOp.close(ctx)
	for _, provider := range providers {
		err = errors.Join(err, provider.Close(ctx))
	}
	p.system.Shutdown()
	return err
}

// partings are the providers to close, now that no other one can connect. Their sessions are worth a moment more than ctx allows.
func (p *Pool) partings(ctx context.Context) ([]Provider, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	value, err := ask(ctx, p.system.Root, p.supervisor, drain{})
	providers, _ := value.([]Provider)
	return providers, err
}

func (p *Pool) end(name string, pid *actor.PID) error {
	if err := p.system.Root.PoisonFuture(pid).Wait(); err != nil {
		return fmt.Errorf("stop %s: %w", name, err)
	}
	return nil
}

// quiet passes only warnings on: the actor system's own notes are about what is normal here, such as a late message to an actor that
// has gone.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }
func (q quiet) WithGroup(name string) slog.Handler       { return quiet{q.Handler.WithGroup(name)} }
