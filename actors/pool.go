package actors

import (
	"context"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

// Pool is the only door to a pool's actors. Its methods may be called concurrently; every error is an *[Error].
type Pool struct {
	system     *actor.ActorSystem
	supervisor *actor.PID
	recorder   *actor.PID
	ops        *operations
	recorderOp *operations
	events     *events
	readers    readers
}

// callTime is how long a machine's vSphere step may take where the caller set no limit: clients give up after a minute.
const callTime = 50 * time.Second

// View is the whole pool. NotStarted: it is stopped. Unavailable: vSphere has not been read for longer than reachabilityTimeout.
func (p *Pool) View(ctx context.Context) (View, error) {
	l, err := p.lease(ctx)
	if err != nil {
		return View{}, err
	}
	return l.view, nil
}

// Size is the pool in numbers; it fails as View does.
func (p *Pool) Size(ctx context.Context) (Size, error) {
	l, err := p.lease(ctx)
	if err != nil {
		return Size{}, err
	}
	return l.view.Size, nil
}

// Status never fails for the pool's own reasons.
func (p *Pool) Status(ctx context.Context) (Status, error) {
	return query[Status](ctx, p, statusQuery{})
}

// Ready returns once the first view of the pool, or the outage that prevents it, is known; at once for a pool without configuration.
func (p *Pool) Ready(ctx context.Context) error {
	return askUntil(ctx, p.system.Root, p.supervisor, readyQuery{})
}

// Resize sets the desired size, durably when it returns. Invalid: negative, or outside bounds that reject.
func (p *Pool) Resize(ctx context.Context, desired int) (Changed[int], error) {
	return query[Changed[int]](ctx, p, resize{desired})
}

// Terminate ends one member; when it returns that is decided for good. With decrement the desired size goes down with it, otherwise a
// replacement is made. NotFound: no member. Invalid: protected, or the decrement would go below bounds.min. Unavailable: vSphere
// failed the first step; nothing changed.
func (p *Pool) Terminate(ctx context.Context, id string, decrement bool) (Changed[int], error) {
	return query[Changed[int]](ctx, p, calling(ctx, id, call{kind: terminateCall, decrement: decrement}))
}

// Detach lets a member go without touching it otherwise; the rest as Terminate.
func (p *Pool) Detach(ctx context.Context, id string, decrement bool) (Changed[int], error) {
	return query[Changed[int]](ctx, p, calling(ctx, id, call{kind: detachCall, decrement: decrement}))
}

// Attach makes a running VM a member and raises the desired size by one; of a current member it changes nothing. The id is an instance
// UUID, a managed object id or an inventory path. NotFound: no such VM. Invalid: not running, or another pool's.
func (p *Pool) Attach(ctx context.Context, id string) (Changed[int], error) {
	return query[Changed[int]](ctx, p, attach{id})
}

// SetServiceState notes what somebody says of the service on a member. With hold, API 2.0's form, OUT_OF_SERVICE takes the machine out
// of the active size until another state is set this way.
func (p *Pool) SetServiceState(ctx context.Context, id string, state ServiceState, hold bool) (Changed[Service], error) {
	if !state.Valid() {
		return Changed[Service]{}, refuse(Invalid, "serviceState %q is none of BOOTING, IN_SERVICE, UNHEALTHY, OUT_OF_SERVICE, UNKNOWN", state)
	}
	return query[Changed[Service]](ctx, p, calling(ctx, id, call{kind: serviceCall, service: state, hold: hold}))
}

// SetMembership sets a member's membership status.
func (p *Pool) SetMembership(ctx context.Context, id string, m Membership) (Changed[Membership], error) {
	return query[Changed[Membership]](ctx, p, calling(ctx, id, call{kind: membershipCall, membership: m}))
}

// Config is the configuration document in force as JSON, secrets masked. NotFound: none was set.
func (p *Pool) Config(ctx context.Context) ([]byte, error) {
	return query[[]byte](ctx, p, configQuery{})
}

// Configure puts a document in force that is valid and that vCenter accepts; otherwise the old one stays. Whether the pool is started
// does not change.
func (p *Pool) Configure(ctx context.Context, document []byte) (Reconfigured, error) {
	return query[Reconfigured](ctx, p, configure{document})
}

// Start lets the pool work; Invalid without a configuration.
func (p *Pool) Start(ctx context.Context) (Changed[bool], error) {
	return query[Changed[bool]](ctx, p, startPool{})
}

// Stop makes the pool refuse requests and leave its machines as they are.
func (p *Pool) Stop(ctx context.Context) (Changed[bool], error) {
	return query[Changed[bool]](ctx, p, stopPool{})
}

// Freeze makes the pool start and end nothing by itself until Thaw, across restarts too. What callers ask for by name is still done.
func (p *Pool) Freeze(ctx context.Context, reason string) (Changed[bool], error) {
	return query[Changed[bool]](ctx, p, freezePool{reason})
}

// Thaw ends a freeze, and lifts what holds the pool back now: a mass failure, the settling time, the shrink guard, the churn cap. With
// takeOver a pool that stopped for a second writer takes the pool over from it.
func (p *Pool) Thaw(ctx context.Context, takeOver bool) (Changed[bool], error) {
	return query[Changed[bool]](ctx, p, thawPool{takeOver})
}

// Frozen says whether and why the pool holds back. It never fails for the pool's own reasons.
func (p *Pool) Frozen(ctx context.Context) (Freeze, error) {
	return query[Freeze](ctx, p, freezeQuery{})
}

func (p *Pool) standing(ctx context.Context) (standing, error) {
	return query[standing](ctx, p, standingQuery{})
}

// Orphans are the VMs that carry the pool's mark without being members; it fails as View does.
func (p *Pool) Orphans(ctx context.Context) ([]Stray, error) {
	return query[[]Stray](ctx, p, orphansQuery{})
}

// calling is a request concerning a machine, with the time that the caller waits for it.
func calling(ctx context.Context, id string, c call) callMachine {
	c.until = time.Now().Add(callTime)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(c.until) {
		c.until = deadline
	}
	return callMachine{vsphere.MachineID(strings.ToLower(id)), c}
}

// lease is the answer that stands, or a new one.
func (p *Pool) lease(ctx context.Context) (*lease, error) {
	if l := p.readers.lease.Load(); l != nil && l.holds() {
		return l, nil
	}
	return p.readers.inquire(ctx, p.system.Root, p.supervisor)
}

func query[T any](ctx context.Context, p *Pool, command any) (T, error) {
	value, err := ask(ctx, p.system.Root, p.supervisor, command)
	typed, _ := value.(T)
	return typed, err
}
