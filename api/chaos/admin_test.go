package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

// administrator changes vCenter behind the pool's back. What vCenter refuses him is no matter: he was too late.
type administrator struct {
	w      *world
	client *vim25.Client
	made   int
	// touched are the VMs that he has changed in a way that changes what is true of them as machines, by reference.
	destroyed map[string]bool
}

const adminTime = 2 * time.Minute

func (a *administrator) do(op string, n int) {
	ctx, cancel := context.WithTimeout(context.Background(), adminTime)
	defer cancel()
	if op == "stranger" {
		a.note(op, "", a.clone(ctx, nil))
		return
	}
	ours := a.w.spy.ours()
	if len(ours) == 0 {
		return
	}
	seen := ours[n%len(ours)]
	vm := object.NewVirtualMachine(a.client, seen.ref)
	a.note(op, seen.ref.Value+" "+seen.machine(), a.change(ctx, op, seen, vm))
}

// makeFolder makes the pool's folder before the pool does.
func (a *administrator) makeFolder() (types.ManagedObjectReference, error) {
	pools, err := find.NewFinder(a.client).Folder(background(), "/DC0/vm/pools")
	if err != nil {
		return types.ManagedObjectReference{}, err
	}
	folder, err := pools.CreateFolder(background(), poolName)
	if err != nil {
		return types.ManagedObjectReference{}, err
	}
	return folder.Reference(), nil
}

func (a *administrator) note(op, what string, err error) {
	if err != nil {
		a.w.book.say("administrator: %s %s: %v", op, what, err)
		return
	}
	a.w.book.say("administrator: %s %s", op, what)
}

func (a *administrator) change(ctx context.Context, op string, seen sighting, vm *object.VirtualMachine) error {
	switch op {
	case "powerOff":
		return wait(ctx)(vm.PowerOff(ctx))
	case "powerOn":
		return wait(ctx)(vm.PowerOn(ctx))
	case "suspend":
		return wait(ctx)(vm.Suspend(ctx))
	case "destroy":
		a.destroyed[seen.ref.Value] = true
		_ = wait(ctx)(vm.PowerOff(ctx))
		return wait(ctx)(vm.Destroy(ctx))
	case "unregister":
		a.destroyed[seen.ref.Value] = true
		_ = wait(ctx)(vm.PowerOff(ctx))
		return vm.Unregister(ctx)
	case "rename":
		a.made++
		return wait(ctx)(vm.Rename(ctx, fmt.Sprintf("renamed-%d", a.made)))
	case "move":
		folder, err := find.NewFinder(a.client).Folder(ctx, "/DC0/vm")
		if err != nil {
			return err
		}
		return wait(ctx)(folder.MoveInto(ctx, []types.ManagedObjectReference{seen.ref}))
	case "unmark":
		return a.write(ctx, vm, markKey, "")
	case "spoil":
		return a.write(ctx, vm, markKey, "v9;nonsense")
	case "edit":
		return a.write(ctx, vm, "administrator.note", "hello")
	case "copy":
		return a.clone(ctx, vm)
	}
	return fmt.Errorf("no such act: %s", op)
}

func (a *administrator) write(ctx context.Context, vm *object.VirtualMachine, key, value string) error {
	return wait(ctx)(vm.Reconfigure(ctx, types.VirtualMachineConfigSpec{
		ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: key, Value: value}},
	}))
}

// clone makes a VM of a template, or a copy of a machine with all its marks, in the pool's own folder, and powers it on.
func (a *administrator) clone(ctx context.Context, vm *object.VirtualMachine) error {
	finder := find.NewFinder(a.client)
	folder, err := finder.Folder(ctx, "/DC0/vm/pools/web")
	if err != nil {
		return err
	}
	pool, err := finder.ResourcePool(ctx, "/DC0/host/DC0_C0/Resources")
	if err != nil {
		return err
	}
	if vm == nil {
		if vm, err = finder.VirtualMachine(ctx, "/DC0/vm/templates/ubuntu-24.04"); err != nil {
			return err
		}
	}
	a.made++
	resources := pool.Reference()
	task, err := vm.Clone(ctx, folder, fmt.Sprintf("foreign-%d", a.made), types.VirtualMachineCloneSpec{
		PowerOn:  true,
		Location: types.VirtualMachineRelocateSpec{Pool: &resources},
		Config:   &types.VirtualMachineConfigSpec{InstanceUuid: fmt.Sprintf("ffffffff-0000-4000-8000-%012x", a.made)},
	})
	return wait(ctx)(task, err)
}

func wait(ctx context.Context) func(*object.Task, error) error {
	return func(task *object.Task, err error) error {
		if err != nil {
			return err
		}
		return task.Wait(ctx)
	}
}
