package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"

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
	// Stopped leaves a pool stopped that has never been started.
	Stopped bool
	// NewID makes machine ids, Jitter values in [0, 1); nil: random ones.
	NewID  func() string
	Jitter func() float64
}

// Start brings a pool to life from its journal. It fails if the document is not valid (*[ConfigError]) or belongs to another pool than
// the journal; whether vCenter can be reached shows in Status.
func Start(o Options) (*Pool, error) {
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
	}
	p.recorder = p.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &recorder{journal: o.Journal, ops: p.recorderOp}
	}))
	p.supervisor = p.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &supervisor{
			Options: o, ops: p.ops, recorder: p.recorder,
			seats: map[vsphere.MachineID]*seat{}, byPID: map[string]vsphere.MachineID{},
			attaching: map[vsphere.MachineID]attachment{},
		}
	}))
	return p, nil
}

// storeConfig makes a document given at start the stored one.
func storeConfig(o Options) error {
	if o.Config == nil {
		return nil
	}
	config, err := ParseConfig(o.Config)
	if err != nil {
		return err
	}
	state, err := o.Journal.Load()
	if err != nil {
		return err
	}
	pool := state.Pool
	if old := nameIn(pool.Document); len(pool.Document) > 0 && old != config.Name && len(state.Machines) > 0 {
		return fmt.Errorf("the state directory belongs to pool %q and has machines, the configuration is for %q: use another state directory",
			old, config.Name)
	}
	pool.Rebuilt = pool.Rebuilt && nameIn(pool.Document) == config.Name
	if len(pool.Document) == 0 {
		pool.Started = !o.Stopped
	}
	pool.Document = o.Config
	return o.Journal.Write([]Change{{pool: &pool}})
}

// Shutdown stops taking requests, lets calls to vSphere that are not on record yet come to their end, as long as ctx allows, and logs
// out. What is left is taken up again at the next start.
func (p *Pool) Shutdown(ctx context.Context) error {
	value, err := ask(ctx, p.system.Root, p.supervisor, drain{})
	p.ops.close(ctx)
	_, flushErr := ask(ctx, p.system.Root, p.recorder, flush{})
	err = errors.Join(err, flushErr, p.end("supervisor", p.supervisor), p.end("recorder", p.recorder))
	p.recorderOp.close(ctx)
	if provider, ok := value.(Provider); ok && provider != nil {
		err = errors.Join(err, provider.Close(ctx))
	}
	p.system.Shutdown()
	return err
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
