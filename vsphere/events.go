package vsphere

import (
	"context"
	"slices"
	"time"

	"github.com/vmware/govmomi/event"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	// eventPage is the most events of one reading, which is one call; what is left waits for the next one.
	eventPage = 1000
	// After a refusal to make a collector the next try waits, longer each time.
	shortestRefusal = 30 * time.Second
	longestRefusal  = 5 * time.Minute
)

// hinting are the events after which a VM is worth a look. Types are matched exactly, so members of a family are named one by one.
var hinting = []string{
	"VmPoweredOnEvent", "DrsVmPoweredOnEvent", "VmPoweredOffEvent", "VmSuspendedEvent", "VmGuestShutdownEvent", "VmResettingEvent",
	"VmRemovedEvent", "VmRegisteredEvent", "VmReconfiguredEvent", "VmRenamedEvent", "VmRelocatedEvent", "VmMigratedEvent",
	"DrsVmMigratedEvent", "VmResourcePoolMovedEvent", "VmDisconnectedEvent", "VmConnectedEvent", "VmOrphanedEvent",
	"VmRestartedOnAlternateHostEvent", "VmInstanceUuidChangedEvent",
}

// feed reads vCenter's events through one history collector of its own, from the moment it is first asked. A collector is part of
// the session and is made anew when it went with it, and goes on after the last event seen, by vCenter's clock. What is missed all the
// same costs nothing but time: the sweep sees it.
type feed struct {
	vim *vim25.Client
	// turn holds what one caller at a time may use.
	turn chan *cursor
	// outcomes are those of guest customizations.
	outcomes outcomes
}

// cursor is where the feed stands.
type cursor struct {
	// collector is nil while there is none.
	collector *event.HistoryCollector
	// last is the time of the last event seen, by vCenter's clock.
	last time.Time
	// untold are VMs of events that were read while nobody asked.
	untold []Ref
	// refusal is why no collector could be made, and until holds further tries off.
	refusal error
	pause   time.Duration
	until   time.Time
}

func newFeed(vim *vim25.Client) *feed {
	f := &feed{vim: vim, turn: make(chan *cursor, 1)}
	f.turn <- &cursor{}
	return f
}

// Hints names VMs that something happened to since the last call, anybody's, each once, but for those that the pool itself is powering
// off or destroying. It may miss some and repeat some. It makes one call; an error says that there are no hints for a while, and is no
// reason to ask more often.
func (c *Client) Hints(ctx context.Context) ([]Ref, error) {
	refs, err := c.events.read(ctx)
	return c.departures.without(refs), wrap("read events", "", err)
}

func (f *feed) read(ctx context.Context) ([]Ref, error) {
	at, err := f.take(ctx)
	if err != nil {
		return nil, err
	}
	defer f.put(at)
	if at.collector == nil {
		if err := f.open(ctx, at); err != nil {
			return nil, err
		}
	}
	err = f.drain(ctx, at)
	refs := at.untold
	at.untold = nil
	return refs, err
}

func (f *feed) take(ctx context.Context) (*cursor, error) {
	select {
	case at := <-f.turn:
		return at, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *feed) put(at *cursor) { f.turn <- at }

func gone(err error) bool { return isFault(err, fault[types.ManagedObjectNotFound]()) }

// open makes a collector, or repeats why vCenter refuses to while the pause after that lasts. A vCenter out of reach refuses nothing: it
// is asked each time, which is how its return is noticed.
func (f *feed) open(ctx context.Context, at *cursor) error {
	if time.Now().Before(at.until) {
		return at.refusal
	}
	collector, err := f.create(ctx, at)
	if err == nil {
		at.collector, at.pause = collector, 0
		return nil
	}
	if KindOf(wrap("collect events", "", err)) != Unreachable {
		at.refusal, at.pause = err, min(max(2*at.pause, shortestRefusal), longestRefusal)
		at.until = time.Now().Add(at.pause)
	}
	return err
}

// create makes a collector of what happens from now on, or after the last event seen, by vCenter's own clock. It has no entity filter:
// vCenter and vcsim would walk the inventory for each event, and the caller knows its VMs anyway.
func (f *feed) create(ctx context.Context, at *cursor) (*event.HistoryCollector, error) {
	if at.last.IsZero() {
		now, err := methods.GetCurrentTime(ctx, f.vim)
		if err != nil {
			return nil, err
		}
		at.last = *now
	}
	return event.NewManager(f.vim).CreateCollectorForEvents(ctx, types.EventFilterSpec{
		EventTypeId: append(slices.Clone(hinting), customizing...),
		Time:        &types.EventFilterSpecByTime{BeginTime: &at.last},
	})
}

// drain reads one page of events.
func (f *feed) drain(ctx context.Context, at *cursor) error {
	page, err := at.collector.ReadNextEvents(ctx, eventPage)
	if gone(err) {
		at.collector = nil
		return nil
	}
	seen := map[Ref]bool{}
	for _, ref := range at.untold {
		seen[ref] = true
	}
	for _, e := range page {
		ref := f.learn(e, at)
		if ref != "" && !seen[ref] {
			seen[ref] = true
			at.untold = append(at.untold, ref)
		}
	}
	return err
}

// learn keeps what an event says, and names its VM. An event of a type that govmomi does not know yet is nil.
func (f *feed) learn(e types.BaseEvent, at *cursor) Ref {
	if e == nil {
		return ""
	}
	base := e.GetEvent()
	if base.CreatedTime.After(at.last) {
		at.last = base.CreatedTime
	}
	if base.Vm == nil {
		return ""
	}
	ref := Ref(base.Vm.Vm.Value)
	if state := customizationEvent(e); state != "" {
		f.outcomes.note(ref, state)
	}
	return ref
}

// reset puts the cursor at the newest events, once what is there was read. A reader that falls more than the collector's page behind
// is silently stuck for ever (seen on vcsim, likely on vCenter); this revives it at each sweep, at the price of repeats. Failure only
// costs latency, and so that it never costs a sweep, it waits neither for a reading under way nor long for its own: vCenter's events may
// hang in its database while all else answers.
func (f *feed) reset(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, tidyTimeout)
	defer cancel()
	var at *cursor
	select {
	case at = <-f.turn:
	default:
		return
	}
	defer f.put(at)
	if at.collector == nil || f.drain(ctx, at) != nil || at.collector == nil {
		return
	}
	if gone(at.collector.Reset(ctx)) {
		at.collector = nil
	}
}

// close destroys the collector: vCenter and vcsim allow a session few of them, and keep them busy until it ends.
func (f *feed) close(ctx context.Context) {
	at, err := f.take(ctx)
	if err != nil {
		return
	}
	defer f.put(at)
	if at.collector != nil {
		_ = at.collector.Destroy(ctx)
	}
	at.collector = nil
}
