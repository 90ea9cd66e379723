package simulator

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
)

// Options are a simulator's settings; the zero value is a vCenter where everything is instantaneous.
type Options struct {
	// CloneDelay is how long a clone takes.
	CloneDelay time.Duration
	// BootDelay is how long after its power-on a guest runs tools and has an address. A guest shuts down in a quarter of it.
	BootDelay time.Duration
	// Datastores is how many there are, LocalDS_0 and so on; 0 is one. All hosts reach all of them.
	Datastores int
	// Password of the endpoint's account; empty is [Password].
	Password string
	// Log hears about contained panics and the endpoint's TLS errors; nil discards them.
	Log *slog.Logger
}

// Simulator is one vCenter with its own inventory. Its methods may be called from any goroutine.
type Simulator struct {
	model *simulator.Model
	gate  *gate
	boot  *booter
	log   *slog.Logger
	// password is that of the endpoint's account.
	password string

	stop    context.CancelFunc
	workers sync.WaitGroup
	closing sync.Once

	mu     sync.Mutex
	server *http.Server
	conn   vsphere.Connection
}

// creation guards what vcsim keeps in package variables while it builds a model (LicenseManager.init appends to one).
var creation sync.Mutex

// New builds the inventory: datacenter DC0, cluster DC0_C0 with three hosts, the template
// /DC0/vm/templates/ubuntu-24.04 and the empty folder /DC0/vm/pools. Close must be called in the end.
func New(opts Options) (*Simulator, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	model, err := createModel(opts)
	if err != nil {
		return nil, fmt.Errorf("create vcsim model: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Simulator{model: model, log: opts.Log, password: cmp.Or(opts.Password, Password), stop: stop}
	s.gate = newGate(ctx, model, opts)
	s.boot = newBooter(ctx, model, opts.BootDelay)
	s.workers.Go(func() { sweepTasks(ctx, model) })
	if err := s.furnish(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("build inventory: %w", err)
	}
	return s, nil
}

// Client is a logged-in client that calls the simulator in process, without HTTP.
func (s *Simulator) Client(ctx context.Context) (*vim25.Client, error) {
	return vim25.NewClient(ctx, s.model.Service)
}

// Before installs a hook that is asked before each call that changes the inventory: before the work of a method whose name ends in
// "_Task", in its task, and otherwise in the call. It may block, which delays the work, and may return a fault, which then is the
// task's or the call's. The request is the SOAP request, for example [*types.CloneVM_Task]. Nil removes the hook.
func (s *Simulator) Before(hook func(method string, request any) types.BaseMethodFault) {
	s.gate.setBefore(hook)
}

// Template is a provisioning template that works here, for a pool named web.
func (s *Simulator) Template() vsphere.Template {
	return vsphere.Template{
		Template:     templatePath,
		CloneMode:    vsphere.CloneLinked,
		Folder:       poolsPath + "/web",
		ResourcePool: clusterPath + "/Resources",
		Ready:        vsphere.ReadyIP,
	}
}

// Model gives tests the underlying vcsim, for fault rules (Model().Service.AddFaultRule) and direct changes.
func (s *Simulator) Model() *simulator.Model { return s.model }

// Close ends the endpoint, all waits and tasks, and removes the temporary directory. Further calls of it do nothing.
func (s *Simulator) Close() {
	s.closing.Do(func() {
		s.stop()
		s.gate.close()
		s.closeServer()
		s.workers.Wait()
		s.boot.workers.Wait()
		s.model.Remove()
	})
}
