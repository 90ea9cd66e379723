package actors

import (
	"context"

	"vspherepool/vsphere"
)

// Provider is vSphere as the actors need it: one vCenter session with the pool's provisioning template resolved. Every method may
// block, honours ctx, may be called concurrently, and fails with a *[vsphere.Error]. Providers are told apart with ==.
// *[vsphere.Client] is the real one.
type Provider interface {
	// Site is what connecting found out. It never blocks.
	Site() vsphere.Site

	// Clone starts the clone of one machine, powered off, with its mark inside the clone spec, and returns its task. NameTaken may
	// mean that an earlier, lost attempt succeeded; Unreachable that this one may have. May also be learned from the task's end.
	Clone(ctx context.Context, order vsphere.CloneOrder) (vsphere.Task, error)
	// Await waits for a clone task's end and returns the VM that it made. NotFound: vCenter does not know the task any more, which
	// says nothing about its outcome.
	Await(ctx context.Context, task vsphere.Task) (vsphere.Cloned, error)
	// Cancel asks vCenter to end a task. It may end all the same with its work done; one that has ended, or is not known, is a success.
	Cancel(ctx context.Context, task vsphere.Task) error
	// Clones lists the clone tasks of the given VM that are queued or running now, anybody's; without one, of all VMs.
	Clones(ctx context.Context, source vsphere.Ref) ([]vsphere.Task, error)
	// Locate finds the pool's own VM of that machine in a complete listing, by mark, wherever its name went, or by mark and name if
	// vCenter gave the clone another instance UUID. NotFound: there is none.
	Locate(ctx context.Context, id vsphere.MachineID, name string) (vsphere.VM, error)

	// PowerOn powers the VM on and waits for it; a VM that is on already is a success.
	PowerOn(ctx context.Context, vm vsphere.Ownership) error
	// ShutdownGuest asks the guest to shut down and returns at once. WrongState: it cannot (no tools, or off already).
	ShutdownGuest(ctx context.Context, vm vsphere.Ownership) error
	// PowerOff cuts the power and waits for it; a VM that is off already is a success.
	PowerOff(ctx context.Context, vm vsphere.Ownership) error
	// Destroy deletes a powered-off VM, its own disks included, disks that are not its own detached first, and waits until it is
	// proven absent. A VM that was gone already is a success.
	Destroy(ctx context.Context, vm vsphere.Ownership) error
	// Write changes the marks of a VM that is provably ours. NotOurs: it isn't.
	Write(ctx context.Context, vm vsphere.Ownership, change vsphere.Change) error
	// Claim marks a VM that belongs to no pool yet, for attach. NotOurs: another pool's mark is on it.
	Claim(ctx context.Context, ref vsphere.Ref, change vsphere.Change) error

	// Read reads VMs in detail. absent are those that vCenter says do not exist; a VM in neither list could not be read.
	Read(ctx context.Context, refs []vsphere.Ref) (found []vsphere.VM, absent []vsphere.Ref, err error)
	// Sweep reads the pool's folder and the given references, completely or not at all.
	Sweep(ctx context.Context, elsewhere []vsphere.Ref) (vsphere.Inventory, error)
	// Survey finds the pool's own VMs wherever they are. Dear; made once, to rebuild a pool.
	Survey(ctx context.Context) ([]vsphere.VM, error)
	// Hints names VMs that something happened to since the last call. It may miss some and may repeat some.
	Hints(ctx context.Context) ([]vsphere.Ref, error)
	// Find looks a VM up by instance UUID, managed object id or inventory path, in detail. NotFound: there is none.
	Find(ctx context.Context, query string) (vsphere.VM, error)

	// Examine checks everything that a pool needs of this vCenter: privileges, template, space, network, clock. It changes nothing.
	Examine(ctx context.Context) ([]vsphere.Finding, error)

	// Close logs out. Calls in flight fail with Unreachable.
	Close(ctx context.Context) error
}

// Connect opens a session, resolves the template's references and checks them. It changes nothing in vCenter but for the pool's
// folder, which it creates when only that is missing. A provider that can follow machines but make none is no error: its site has a
// Flaw. Misconfigured, BadLogin and Forbidden say that the configuration is at fault.
type Connect func(ctx context.Context, pool string, connection vsphere.Connection, template vsphere.Template) (Provider, error)
