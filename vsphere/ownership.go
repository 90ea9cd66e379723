package vsphere

import (
	"context"
	"errors"
	"slices"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"
)

// prove reads the VM anew and fails unless it is the pool's own and that machine. Nothing is destroyed, powered off or marked on
// older evidence, and never by name.
func (c *Client) prove(ctx context.Context, o Ownership) (VM, error) {
	vm, _, err := c.examine(ctx, o, c.reader)
	return vm, err
}

// examine is prove with more properties read by the same call.
func (c *Client) examine(ctx context.Context, o Ownership, by *reader, more ...string) (VM, types.ObjectContent, error) {
	a, err := by.ask(ctx, vmRef(o.Ref), append(slices.Clip(proofProperties), more...))
	if err != nil {
		return VM{}, types.ObjectContent{}, err
	}
	content, err := a.only(vmRef(o.Ref))
	if err != nil {
		return VM{}, content, err
	}
	vm := observe(content).VM
	return vm, content, c.judge(vm, o)
}

// judge is the proof itself. What is said of the VM later calls it by its name.
func (c *Client) judge(vm VM, o Ownership) error {
	c.labels.add(vmRef(o.Ref), vm.Name)
	switch {
	case vm.InstanceUUID == "":
		return &Error{
			Kind: Busy, Err: errors.New("vCenter cannot read its configuration"), Hint: "without its mark the VM cannot be proven ours",
		}
	case !vm.Owned(c.pool) || vm.Mark.Machine != o.Machine:
		return &Error{
			Kind: NotOurs, Err: errors.New("it does not carry this pool's mark for " + string(o.Machine)),
			Hint: "the VM is left alone; attach it to make it a member",
		}
	}
	return nil
}

// glance reads what a proof needs. NotFound: vCenter says that this very VM does not exist; an answer without it says nothing.
func (c *Client) glance(ctx context.Context, ref Ref) (VM, error) {
	o, err := c.only(ctx, vmRef(ref), proofProperties)
	if err != nil {
		return VM{}, err
	}
	return observe(o).VM, nil
}

// vanished says whether err is vCenter's word that this very VM does not exist.
func vanished(err error, ref Ref) bool {
	if known, ok := errors.AsType[*Error](err); ok && known.Fault == "" {
		return known.Kind == NotFound && known.Object == string(ref)
	}
	return deleted(err, vmRef(ref))
}

// unlessVanished makes a success of the VM's absence.
func unlessVanished(err error, ref Ref) error {
	if vanished(err, ref) {
		return nil
	}
	return err
}

// Write changes the marks of a VM that is provably ours. Kinds: NotOurs, NotFound, Conflict if change.IfVersion is outdated.
func (c *Client) Write(ctx context.Context, o Ownership, change Change) error {
	_, err := c.prove(ctx, o)
	if err == nil {
		err = c.mark(ctx, o.Ref, change)
	}
	return wrap("mark vm", string(o.Ref), err)
}

// Claim marks a VM that belongs to no pool. The write is a compare-and-set: if anything about the VM's configuration changes after it was
// read, the claim fails with Conflict. Our own mark, and one that betrays itself as copied, may be overwritten.
func (c *Client) Claim(ctx context.Context, ref Ref, change Change) error {
	vm, err := c.glance(ctx, ref)
	if err == nil {
		err = c.claimable(vm)
	}
	if change.IfVersion == "" {
		change.IfVersion = vm.ChangeVersion
	}
	if err == nil {
		err = c.mark(ctx, ref, change)
	}
	return wrap("claim vm", string(ref), err)
}

func (c *Client) claimable(vm VM) error {
	switch {
	case vm.InstanceUUID == "":
		return &Error{Kind: Busy, Err: errors.New("vCenter cannot read its configuration"), Hint: "attach it when it is accessible again"}
	case vm.Template:
		return &Error{Kind: WrongState, Err: errors.New("it is a template"), Hint: "only virtual machines can be members"}
	case vm.Marked && vm.Mark == nil:
		return &Error{
			Kind: NotOurs, Err: errors.New("its mark is of a kind that this version does not know"), Hint: "detach it with the version that made it",
		}
	case vm.Mark != nil && vm.Mark.Pool != c.pool && vm.Owned(vm.Mark.Pool):
		return &Error{Kind: NotOurs, Err: errors.New("it belongs to the pool " + vm.Mark.Pool), Hint: "detach it there first"}
	}
	return nil
}

func (c *Client) mark(ctx context.Context, ref Ref, change Change) error {
	values := marks(change)
	if len(values) == 0 {
		return nil
	}
	err := c.do(ctx, writeTask, func(ctx context.Context) (*object.Task, error) {
		return object.NewVirtualMachine(c.vim, vmRef(ref)).Reconfigure(ctx, types.VirtualMachineConfigSpec{
			ChangeVersion: change.IfVersion, ExtraConfig: options(values),
		})
	})
	return err
}

// marks are the keys to write; an empty value removes its key.
func marks(change Change) map[string]string {
	values := map[string]string{}
	if change.Mark != nil {
		values[markKey] = change.Mark.String()
	}
	if change.Status != nil {
		values[statusKey] = change.Status.String()
	}
	if change.Unmark {
		values[markKey], values[statusKey] = "", ""
	}
	return values
}
