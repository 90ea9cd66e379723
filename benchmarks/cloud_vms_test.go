package benchmarks

import (
	"cmp"
	"context"
	"time"

	"vspherepool/vsphere"
)

// What the cloud shows of its VMs, and lets be done to them.

func (c *cloud) Locate(ctx context.Context, id vsphere.MachineID, _ string) (vsphere.VM, error) {
	err := c.enter(ctx, 0)
	defer c.mu.Unlock()
	return c.look(c.ids[id], err)
}

func (c *cloud) Find(ctx context.Context, query string) (vsphere.VM, error) {
	err := c.enter(ctx, 0)
	defer c.mu.Unlock()
	return c.look(cmp.Or(c.ids[vsphere.MachineID(query)], vsphere.Ref(query)), err)
}

// look is the VM as it is seen now. The caller holds the lock.
func (c *cloud) look(ref vsphere.Ref, err error) (vsphere.VM, error) {
	g := c.vms[ref]
	switch {
	case err != nil:
		return vsphere.VM{}, err
	case g == nil:
		return vsphere.VM{}, &vsphere.Error{Op: "find vm", Object: string(ref), Kind: vsphere.NotFound}
	}
	return g.seen(time.Now(), true), nil
}

// seen is the VM at that time.
func (g *guest) seen(now time.Time, detail bool) vsphere.VM {
	vm := g.vm
	vm.Detail = detail
	if vm.Power == vsphere.PoweredOn && !now.Before(g.boots) {
		vm.IPs, vm.ToolsRunning = g.addresses, true
	}
	return vm
}

// act changes a VM that the caller owns, and lets events tell of it.
func (c *cloud) act(ctx context.Context, takes time.Duration, o vsphere.Ownership, do func(*guest)) error {
	err := c.enter(ctx, takes)
	defer c.mu.Unlock()
	g := c.vms[o.Ref]
	switch {
	case err != nil:
		return err
	case g == nil:
		return &vsphere.Error{Op: "change vm", Object: string(o.Ref), Kind: vsphere.NotFound}
	case !g.vm.Owned(cloudPool) || g.vm.Mark.Machine != o.Machine:
		return &vsphere.Error{Op: "change vm", Object: string(o.Ref), Kind: vsphere.NotOurs}
	}
	do(g)
	c.hints = append(c.hints, o.Ref)
	return nil
}

func (c *cloud) PowerOn(ctx context.Context, o vsphere.Ownership) error {
	return c.act(ctx, c.power, o, func(g *guest) {
		if g.vm.Power != vsphere.PoweredOn {
			g.vm.Power, g.boots = vsphere.PoweredOn, time.Now().Add(c.boot)
		}
	})
}

func (c *cloud) PowerOff(ctx context.Context, o vsphere.Ownership) error {
	return c.act(ctx, c.power, o, func(g *guest) { g.vm.Power = vsphere.PoweredOff })
}

// ShutdownGuest finds no guest that listens.
func (c *cloud) ShutdownGuest(ctx context.Context, o vsphere.Ownership) error {
	if err := c.act(ctx, 0, o, func(*guest) {}); err != nil {
		return err
	}
	return &vsphere.Error{Op: "shut down guest", Object: string(o.Ref), Kind: vsphere.WrongState}
}

func (c *cloud) Destroy(ctx context.Context, o vsphere.Ownership) error {
	err := c.act(ctx, c.power, o, func(g *guest) {
		delete(c.vms, o.Ref)
		delete(c.ids, o.Machine)
		delete(c.names, g.vm.Name)
	})
	if vsphere.KindOf(err) == vsphere.NotFound {
		return nil
	}
	return err
}

func (c *cloud) Write(ctx context.Context, o vsphere.Ownership, change vsphere.Change) error {
	return c.act(ctx, 0, o, func(g *guest) {
		if change.Mark != nil || change.Unmark {
			g.vm.Mark = change.Mark
		}
		if change.Status != nil || change.Unmark {
			g.vm.Status = change.Status
		}
	})
}

// Claim has nothing to claim: there are no VMs but the pool's own.
func (c *cloud) Claim(_ context.Context, ref vsphere.Ref, _ vsphere.Change) error {
	return &vsphere.Error{Op: "claim vm", Object: string(ref), Kind: vsphere.NotOurs}
}

func (c *cloud) Read(ctx context.Context, refs []vsphere.Ref) (found []vsphere.VM, absent []vsphere.Ref, err error) {
	if err = c.enter(ctx, 0); err != nil {
		refs = nil
	}
	defer c.mu.Unlock()
	now := time.Now()
	for _, ref := range refs {
		if g := c.vms[ref]; g != nil {
			found = append(found, g.seen(now, true))
		} else {
			absent = append(absent, ref)
		}
	}
	return found, absent, err
}

func (c *cloud) Sweep(ctx context.Context, _ []vsphere.Ref) (vsphere.Inventory, error) {
	at := time.Now()
	vms, err := c.all(ctx, false)
	return vsphere.Inventory{At: at, VMs: vms}, err
}

func (c *cloud) Survey(ctx context.Context) ([]vsphere.VM, error) { return c.all(ctx, true) }

func (c *cloud) all(ctx context.Context, detail bool) ([]vsphere.VM, error) {
	err := c.enter(ctx, 0)
	defer c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	now, vms := time.Now(), make([]vsphere.VM, 0, len(c.vms))
	for _, g := range c.vms {
		vms = append(vms, g.seen(now, detail))
	}
	return vms, nil
}

func (c *cloud) Hints(ctx context.Context) ([]vsphere.Ref, error) {
	err := c.enter(ctx, 0)
	defer c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	hints := c.hints
	c.hints = nil
	return hints, nil
}
