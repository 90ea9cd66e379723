package vsphere

import (
	"context"

	"github.com/vmware/govmomi/event"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	eventPage = 200
	// eventPages bounds one reading; what is left waits for the next one.
	eventPages = 50
)

// hinting are the events after which a VM is worth a look. Types are matched exactly, so members of a family are named one by one.
var hinting = []string{
	"VmPoweredOnEvent", "DrsVmPoweredOnEvent", "VmPoweredOffEvent", "VmSuspendedEvent", "VmGuestShutdownEvent", "VmResettingEvent",
	"VmRemovedEvent", "VmRegisteredEvent", "VmReconfiguredEvent", "VmRenamedEvent", "VmRelocatedEvent", "VmMigratedEvent",
	"DrsVmMigratedEvent", "VmResourcePoolMovedEvent", "VmDisconnectedEvent", "VmConnectedEvent", "VmOrphanedEvent",
	"VmRestartedOnAlternateHostEvent", "VmInstanceUuidChangedEvent",
}

// feed reads vCenter's events through one history collector of its own, from the moment it is first asked. A collector is part of
// the session and is made anew when it went with it; what happened meanwhile is not told, which costs nothing but time: the sweep
// sees it.
type feed struct {
	vim *vim25.Client
	// turn holds the collector while nobody uses it; nil in it means that there is none.
	turn chan *event.HistoryCollector
}

func newFeed(vim *vim25.Client) *feed {
	f := &feed{vim: vim, turn: make(chan *event.HistoryCollector, 1)}
	f.turn <- nil
	return f
}

// Hints names VMs that something happened to since the last call, anybody's, each once. It may miss some and repeat some.
func (c *Client) Hints(ctx context.Context) ([]Ref, error) {
	refs, err := c.events.read(ctx)
	return refs, wrap("read events", "", err)
}

func (f *feed) read(ctx context.Context) ([]Ref, error) {
	collector, err := f.take(ctx)
	if err != nil {
		return nil, err
	}
	if collector == nil {
		if collector, err = f.open(ctx); err != nil {
			f.turn <- nil
			return nil, err
		}
	}
	refs, err := drain(ctx, collector)
	f.put(collector, err)
	if gone(err) {
		return refs, nil
	}
	return refs, err
}

func (f *feed) take(ctx context.Context) (*event.HistoryCollector, error) {
	select {
	case collector := <-f.turn:
		return collector, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// put gives the collector back, unless it is gone.
func (f *feed) put(collector *event.HistoryCollector, err error) {
	if gone(err) {
		collector = nil
	}
	f.turn <- collector
}

func gone(err error) bool { return isFault(err, fault[types.ManagedObjectNotFound]()) }

// open makes a collector of what happens from now on, by vCenter's own clock. It has no entity filter: vCenter and vcsim would walk
// the inventory for each event, and the caller knows its VMs anyway.
func (f *feed) open(ctx context.Context) (*event.HistoryCollector, error) {
	now, err := methods.GetCurrentTime(ctx, f.vim)
	if err != nil {
		return nil, err
	}
	return event.NewManager(f.vim).CreateCollectorForEvents(ctx, types.EventFilterSpec{
		EventTypeId: hinting,
		Time:        &types.EventFilterSpecByTime{BeginTime: now},
	})
}

func drain(ctx context.Context, collector *event.HistoryCollector) ([]Ref, error) {
	var refs []Ref
	seen := map[Ref]bool{}
	for range eventPages {
		page, err := collector.ReadNextEvents(ctx, eventPage)
		if err != nil {
			return refs, err
		}
		for _, e := range page {
			if vm := e.GetEvent().Vm; vm != nil && !seen[Ref(vm.Vm.Value)] {
				seen[Ref(vm.Vm.Value)] = true
				refs = append(refs, Ref(vm.Vm.Value))
			}
		}
		if len(page) < eventPage {
			break
		}
	}
	return refs, nil
}

// reset puts the cursor at the newest events. A reader that falls more than the collector's page behind is silently stuck for
// ever (seen on vcsim, likely on vCenter); this revives it at each sweep, at the price of repeats. Failure only costs latency.
func (f *feed) reset(ctx context.Context) {
	collector, err := f.take(ctx)
	if err != nil {
		return
	}
	if collector != nil {
		err = collector.Reset(ctx)
	}
	f.put(collector, err)
}

// close destroys the collector: vCenter and vcsim allow a session few of them, and keep them busy until it ends.
func (f *feed) close(ctx context.Context) {
	collector, err := f.take(ctx)
	if err != nil {
		return
	}
	if collector != nil {
		_ = collector.Destroy(ctx)
	}
	f.turn <- nil
}
