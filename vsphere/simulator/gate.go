package simulator

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// gate is the object that all calls of logged-in clients are diverted to. Its turn is taken before any lock of vcsim's, and never
// while holding one.
type gate struct {
	// vcsim's search index takes the first field of every registered object for a managed object.
	mo.ExtensionManager

	ctx    context.Context
	model  *simulator.Model
	log    *slog.Logger
	delays delays
	local  *simulator.Session
	macs   counter
	turn   sync.Mutex // held by the one call or task that changes the inventory

	mu       sync.Mutex // guards the rest, and fault rules, which count their uses without a lock
	before   func(method string, request any) types.BaseMethodFault
	ops      map[*simulator.Context]*operation
	busy     *operation // whose turn it is
	tasks    map[types.ManagedObjectReference]*operation
	names    map[takenName]bool
	waits    map[types.ManagedObjectReference]canceler
	closed   bool
	inFlight sync.WaitGroup
}

// delays say how long the work of a task is put off.
type delays struct {
	clone, shutdown time.Duration
}

type canceler interface {
	CancelWaitForUpdates(*types.CancelWaitForUpdates) soap.HasFault
}

// diversion replaces a call's body on its way to the gate.
type diversion struct {
	method simulator.Method
}

// unqueued are the types whose methods change nothing in the inventory (or, like WaitForUpdatesEx, would block it): they need no turn.
var unqueued = []string{
	"ServiceInstance", "SessionManager", "PropertyCollector", "PropertyFilter", "ViewManager", "ContainerView", "ListView",
	"InventoryView", "EventManager", "EventHistoryCollector", "TaskManager", "TaskHistoryCollector", "Task", "PerformanceManager",
}

func newGate(ctx context.Context, model *simulator.Model, opts Options) *gate {
	g := &gate{
		ExtensionManager: mo.ExtensionManager{Self: types.ManagedObjectReference{Type: "VspherepoolGate", Value: "gate"}},
		ctx:              ctx,
		model:            model,
		log:              opts.Log,
		delays:           delays{clone: opts.CloneDelay, shutdown: opts.BootDelay / 4},
		ops:              map[*simulator.Context]*operation{},
		tasks:            map[types.ManagedObjectReference]*operation{},
		names:            map[takenName]bool{},
		waits:            map[types.ManagedObjectReference]canceler{},
	}
	// vcsim's own session for in-process clients is shared by all simulators of the process.
	g.local = &simulator.Session{
		UserSession: types.UserSession{Key: uuid.NewString(), UserName: User, FullName: User},
		Registry:    simulator.NewRegistry(),
		Map:         model.Map(),
	}
	model.Map().Put(g)
	model.Map().AddHandler(g)
	model.Map().Handler = g.divert
	return g
}

// Reference is vcsim's way to find the gate.
func (g *gate) Reference() types.ManagedObjectReference { return g.Self }

// Lock and Unlock keep vcsim from letting one call at a time into the gate.
func (g *gate) Lock() {}

// Unlock does nothing, see Lock.
func (g *gate) Unlock() {}

// divert is asked by vcsim before each call, and readdresses it.
func (g *gate) divert(ctx *simulator.Context, m *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	if ctx.Session == nil {
		return nil, anonymous(m.Name)
	}
	if simulator.ServiceFromContext(ctx) == nil {
		ctx.Session = g.local
	}
	original := *m
	m.Name, m.This, m.Body = "Call", g.Self, &diversion{method: original}
	return nil, nil
}

// anonymous refuses the logins that vcsim would grant without a password.
func anonymous(method string) types.BaseMethodFault {
	if method == "LoginByToken" || method == "LoginExtensionByCertificate" {
		return &types.InvalidLogin{}
	}
	return nil
}

func (g *gate) setBefore(hook func(method string, request any) types.BaseMethodFault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.before = hook
}

func (g *gate) ask(method string, request any) types.BaseMethodFault {
	g.mu.Lock()
	hook := g.before
	g.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(method, request)
}

// Call is what vcsim calls instead of the method asked for.
func (g *gate) Call(ctx *simulator.Context, d *diversion) soap.HasFault {
	if !g.enter() {
		return refusal("the simulator is closed", &types.SystemErrorFault{Reason: "the simulator is closed"})
	}
	defer g.inFlight.Done()
	m := &d.method
	target := ctx.Session.Get(m.This)
	if target == nil {
		return refusal("managed object not found: "+m.This.String(), &types.ManagedObjectNotFound{Obj: m.This})
	}
	if body := g.injected(m, target); body != nil {
		return body
	}
	if slices.Contains(unqueued, m.This.Type) {
		return g.read(ctx, m, target)
	}
	complete(m.Body)
	return g.change(ctx, m, target)
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inFlight.Add(1)
	return true
}

// injected applies the fault rules to the original call; vcsim applies them to the diverted one, where they do not match.
func (g *gate) injected(m *simulator.Method, target mo.Reference) soap.HasFault {
	g.mu.Lock()
	injector := g.model.Service.FaultInjector()
	rule := injector.ShouldInjectFault(m, target)
	g.mu.Unlock()
	if rule == nil {
		return nil
	}
	return injector.CreateFault(rule, m)
}

// read makes a call that needs no turn.
func (g *gate) read(ctx *simulator.Context, m *simulator.Method, target mo.Reference) (body soap.HasFault) {
	if w, ok := target.(canceler); ok && strings.HasPrefix(m.Name, "WaitForUpdates") {
		g.waiting(m.This, w)
		defer g.waiting(m.This, nil)
	}
	if f := g.contain(m.Name, func() { body = invoke(ctx, m, target) }); f != nil {
		g.freeLocks(ctx)
		return refusal("", f)
	}
	return body
}

func (g *gate) waiting(ref types.ManagedObjectReference, w canceler) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w == nil {
		delete(g.waits, ref)
		return
	}
	g.waits[ref] = w
}

// invoke calls the method as vcsim would have: under the object's lock, by reflection.
func invoke(ctx *simulator.Context, m *simulator.Method, target mo.Reference) soap.HasFault {
	name := strings.ToUpper(m.Name[:1]) + m.Name[1:]
	if base, ok := strings.CutSuffix(name, "_Task"); ok {
		name = base + "Task"
	}
	f := reflect.ValueOf(target).MethodByName(name)
	if !f.IsValid() {
		return refusal(m.This.String()+" does not implement: "+m.Name, &types.MethodNotFound{Receiver: m.This, Method: m.Name})
	}
	if e, ok := target.(mo.Entity); ok && slices.Contains(e.Entity().DisabledMethod, name) {
		return refusal(m.This.String()+" method is disabled: "+m.Name, &types.MethodDisabled{})
	}
	args := []reflect.Value{reflect.ValueOf(m.Body)}
	if f.Type().NumIn() == 2 {
		args = append([]reflect.Value{reflect.ValueOf(ctx)}, args...)
	}
	var res []reflect.Value
	ctx.WithLock(target, func() { res = f.Call(args) })
	return res[0].Interface().(soap.HasFault)
}

// close refuses further calls, ends property collectors' waits and waits until all calls and tasks have ended.
func (g *gate) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	for g.cancelWaits() {
		time.Sleep(time.Millisecond) // a wait that has just been let in cannot be cancelled yet
	}
	g.inFlight.Wait()
}

func (g *gate) cancelWaits() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for ref, w := range g.waits {
		w.CancelWaitForUpdates(&types.CancelWaitForUpdates{This: ref})
	}
	return len(g.waits) > 0
}

// faultBody is a call's answer that is a fault.
type faultBody struct {
	Reason *soap.Fault
}

// Fault is the SOAP fault.
func (b *faultBody) Fault() *soap.Fault { return b.Reason }

func refusal(text string, f types.BaseMethodFault) soap.HasFault {
	return &faultBody{Reason: simulator.Fault(text, f)}
}
