package vsphere

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	// gatherPause is how long a power-on waits for others to go with, and gatherMost how many go together.
	gatherPause = 100 * time.Millisecond
	gatherMost  = 16
)

// PowerOn powers on a VM that is provably ours and waits for it; a VM that is on already is a success. VMs of the pool's folder are
// powered on together with those that are asked for at the same time, placed by DRS unless the template names hosts; the end of ctx ends
// the wait only. Capacity: no host can take it now, or HA has to keep its reserve.
func (c *Client) PowerOn(ctx context.Context, o Ownership) error {
	err := c.powerOn(ctx, o)
	if already(err, types.VirtualMachinePowerStatePoweredOn) {
		return nil
	}
	return wrap("power on vm", string(o.Ref), err)
}

func (c *Client) powerOn(ctx context.Context, o Ownership) error {
	r, err := c.starts.join(ctx, o)
	switch {
	case err != nil:
		return err
	case r.alone:
		return c.do(ctx, powerTask, func(ctx context.Context) (*object.Task, error) { return c.powerOnAlone(ctx, o.Ref, r.host) })
	case r.task != "":
		return c.finish(ctx, powerTask, r.task)
	}
	return c.explain(ctx, c.labels.on(r.err))
}

func (c *Client) powerOnAlone(ctx context.Context, ref Ref, on types.ManagedObjectReference) (*object.Task, error) {
	res, err := methods.PowerOnVM_Task(ctx, c.vim, &types.PowerOnVM_Task{This: vmRef(ref), Host: given(on)})
	if err != nil {
		return nil, err
	}
	return object.NewTask(c.vim, res.Returnval), nil
}

// starts gathers the power-ons that arrive within a short time: one proof of ownership and one call for all of them, and DRS sees
// them together.
type starts struct {
	// power is given what was gathered, and tells each.
	power func([]*powerOn)
	life  context.Context

	mu      sync.Mutex
	open    *batch // those that go next
	closed  bool
	flights sync.WaitGroup
}

type batch struct {
	starts []*powerOn
	timer  *time.Timer
}

// powerOn is one power-on that somebody waits for.
type powerOn struct {
	own  Ownership
	told chan route
}

// route is how a start goes on: the zero value means that the VM is on.
type route struct {
	// task is the power-on itself, to be waited for.
	task Task
	// alone means that the VM is to be powered on by a call of its own, on the host if one is given.
	alone bool
	host  types.ManagedObjectReference
	err   error
}

func newStarts(life context.Context, power func([]*powerOn)) *starts {
	return &starts{life: life, power: power}
}

// tell ends the wait of each; nobody may be told twice.
func tell(r route, all ...*powerOn) {
	for _, s := range all {
		s.told <- r
	}
}

// join returns how the power-on goes on, or the end of the wait.
func (s *starts) join(ctx context.Context, o Ownership) (route, error) {
	one := &powerOn{own: o, told: make(chan route, 1)}
	if !s.gather(one) {
		return route{}, errClosed
	}
	select {
	case r := <-one.told:
		return r, nil
	case <-ctx.Done():
		s.leave(one)
		return route{}, ctx.Err()
	case <-s.life.Done():
		return route{}, errClosed
	}
}

// gather adds one to those that go next. The first one sets the time, and the last one that there is room for sees them off.
func (s *starts) gather(one *powerOn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.open == nil {
		b := &batch{}
		s.open = b
		s.flights.Add(1)
		b.timer = time.AfterFunc(gatherPause, func() { s.launch(b) })
	}
	b := s.open
	b.starts = append(b.starts, one)
	if len(b.starts) == gatherMost {
		s.open = nil
		if b.timer.Stop() {
			b.timer.Reset(0)
		}
	}
	return true
}

// leave takes one back, if it has not been sent yet.
func (s *starts) leave(one *powerOn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open != nil {
		s.open.starts = slices.DeleteFunc(s.open.starts, func(other *powerOn) bool { return other == one })
	}
}

func (s *starts) launch(b *batch) {
	defer s.flights.Done()
	s.mu.Lock()
	if s.open == b {
		s.open = nil
	}
	s.mu.Unlock()
	if len(b.starts) > 0 {
		s.power(b.starts)
	}
}

// close waits for what was gathered; the life must have ended.
func (s *starts) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.flights.Wait()
}
