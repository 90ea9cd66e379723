package api

import (
	"context"

	"vspherepool/actors"
)

// Service is the pool as the handlers need it; *actors.Pool is the real one. Every method may be called concurrently, honours ctx (of
// those that only read, no more than its deadline), and fails with an [actors.Error], whose kind decides the status of the answer. Those
// that change something tell what they found and left.
type Service interface {
	// View is the whole pool as last seen.
	View(ctx context.Context) (actors.View, error)
	// Size is the pool in numbers.
	Size(ctx context.Context) (actors.Size, error)
	// Resize asks for a size of 0 or more. It returns when the number is durable.
	Resize(ctx context.Context, desired int) (actors.Changed[int], error)
	// Terminate removes a member for good, Detach lets its VM go on outside of the pool. decrement lowers the desired size along with it,
	// which is what they tell of.
	Terminate(ctx context.Context, id string, decrement bool) (actors.Changed[int], error)
	Detach(ctx context.Context, id string, decrement bool) (actors.Changed[int], error)
	// Attach makes a VM a member, by instance UUID, managed object id or inventory path, and tells of the desired size too.
	Attach(ctx context.Context, id string) (actors.Changed[int], error)
	// SetServiceState notes what somebody reported about a machine's service. With hold it has the effect of API 2.0: OUT_OF_SERVICE
	// takes the machine out of the active size, any other state puts it back.
	SetServiceState(ctx context.Context, id string, state actors.ServiceState, hold bool) (actors.Changed[actors.Service], error)
	// SetMembership sets the membership status.
	SetMembership(ctx context.Context, id string, m actors.Membership) (actors.Changed[actors.Membership], error)
	// Config is the configuration document as JSON, secrets masked.
	Config(ctx context.Context) ([]byte, error)
	// Configure replaces the configuration by a document in YAML or JSON.
	Configure(ctx context.Context, document []byte) (actors.Reconfigured, error)
	// Start and Stop switch the pool on and off; repeating either is a success.
	Start(ctx context.Context) (actors.Changed[bool], error)
	Stop(ctx context.Context) (actors.Changed[bool], error)
	// Freeze makes the pool hold still for the given reason; Thaw lifts that, and whatever rail holds the pool now. With takeOver a pool
	// that stopped because of a second writer becomes the one that is right.
	Freeze(ctx context.Context, reason string) (actors.Changed[bool], error)
	Thaw(ctx context.Context, takeOver bool) (actors.Changed[bool], error)
	// Frozen says whether and why the pool holds back, with all rails.
	Frozen(ctx context.Context) (actors.Freeze, error)
	// Orphans are the VMs that carry the pool's mark without being members.
	Orphans(ctx context.Context) ([]actors.Stray, error)
	// Status is the life of the pool; it never fails for the pool being stopped or unconfigured.
	Status(ctx context.Context) (actors.Status, error)
}
