package vsphere

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// history is a vCenter of which only the events are asked.
type history struct {
	script
	refuse  error
	begins  []time.Time
	creates int
	reads   int
	resets  int
	gone    bool
	events  []types.BaseEvent
}

var vcenterTime = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

func newHistory() (*history, *feed) {
	h := &history{}
	h.answer = func(_ int, req, res soap.HasFault) error { return h.respond(req, res) }
	vc := scripted(h)
	vc.ServiceContent.EventManager = &types.ManagedObjectReference{Type: "EventManager", Value: "EventManager"}
	return h, newFeed(vc)
}

func (h *history) respond(req, res soap.HasFault) error {
	switch body := res.(type) {
	case *methods.CurrentTimeBody:
		body.Res = &types.CurrentTimeResponse{Returnval: vcenterTime}
	case *methods.CreateCollectorForEventsBody:
		h.creates++
		if h.refuse != nil {
			return h.refuse
		}
		h.gone = false
		h.begins = append(h.begins, *req.(*methods.CreateCollectorForEventsBody).Req.Filter.Time.BeginTime)
		body.Res = &types.CreateCollectorForEventsResponse{Returnval: types.ManagedObjectReference{Type: "EventHistoryCollector", Value: "c"}}
	case *methods.ReadNextEventsBody:
		h.reads++
		if h.gone {
			return soapFault(types.ManagedObjectNotFound{})
		}
		n := min(len(h.events), int(req.(*methods.ReadNextEventsBody).Req.MaxCount))
		body.Res = &types.ReadNextEventsResponse{Returnval: h.events[:n]}
		h.events = h.events[n:]
	case *methods.ResetCollectorBody:
		h.resets++
		body.Res = &types.ResetCollectorResponse{}
	}
	return nil
}

func happened(ref string, at time.Duration) types.Event {
	return types.Event{CreatedTime: vcenterTime.Add(at), Vm: &types.VmEventArgument{Vm: vmRef(Ref(ref))}}
}

func TestRefusedEventCollectorsAreAskedForMoreRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, f := newHistory()
		h.refuse = soapFault(types.InvalidState{})
		begun := time.Now()
		var asked []time.Duration
		for range 1200 {
			before := h.creates
			if _, err := f.read(t.Context()); !isFault(err, fault[types.InvalidState]()) {
				t.Fatal(err)
			}
			if h.creates > before {
				asked = append(asked, time.Since(begun))
			}
			f.reset(t.Context())
			time.Sleep(time.Second)
		}
		var want []time.Duration
		for _, seconds := range []int{0, 30, 90, 210, 450, 750, 1050} {
			want = append(want, time.Duration(seconds)*time.Second)
		}
		if !slices.Equal(asked, want) {
			t.Errorf("asked after %v, want %v", asked, want)
		}
		if h.count() != h.creates+1 {
			t.Errorf("%d calls for %d tries", h.count(), h.creates)
		}
		h.refuse = nil
		time.Sleep(longestRefusal)
		if _, err := f.read(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.gone, h.refuse = true, soapFault(types.InvalidState{})
		_, _ = f.read(t.Context())
		_, _ = f.read(t.Context())
		time.Sleep(shortestRefusal)
		before := h.creates
		if _, _ = f.read(t.Context()); h.creates != before+1 {
			t.Error("after a success the pauses begin anew")
		}
	})
}

func TestUnreachableVCenterIsAskedForEventsEachTime(t *testing.T) {
	h, f := newHistory()
	h.refuse = errors.New("connection refused")
	for range 3 {
		if _, err := f.read(t.Context()); KindOf(wrap("read events", "", err)) != Unreachable {
			t.Fatal(err)
		}
	}
	if h.creates != 3 {
		t.Errorf("asked %d times", h.creates)
	}
}

func TestAPollForEventsIsOneCallWhateverHappens(t *testing.T) {
	h, f := newHistory()
	for i := range 12_000 {
		off := types.VmEvent{Event: happened(fmt.Sprint("vm-", i%3000), time.Duration(i))}
		h.events = append(h.events, &types.VmPoweredOffEvent{VmEvent: off})
	}
	_, err := f.read(t.Context())
	if err != nil || h.reads != 1 {
		t.Fatalf("%d reads, %v", h.reads, err)
	}
	for h.reads < 14 {
		before := h.count()
		refs, err := f.read(t.Context())
		if err != nil || len(refs) > eventPage || h.count() != before+1 {
			t.Fatalf("%d VMs in %d calls, %v", len(refs), h.count()-before, err)
		}
	}
	if len(h.events) != 0 {
		t.Errorf("%d events were never read", len(h.events))
	}
}

func TestNewCollectorGoesOnAfterTheLastEvent(t *testing.T) {
	h, f := newHistory()
	h.events = []types.BaseEvent{
		&types.VmPoweredOnEvent{VmEvent: types.VmEvent{Event: happened("vm-1", time.Minute)}},
		&types.VmPoweredOnEvent{VmEvent: types.VmEvent{Event: happened("vm-1", 2*time.Minute)}},
		&types.EventEx{Event: types.Event{CreatedTime: vcenterTime}},
	}
	if refs, err := f.read(t.Context()); err != nil || !slices.Equal(refs, []Ref{"vm-1"}) {
		t.Fatal(refs, err)
	}
	h.gone = true
	for range 2 {
		if refs, err := f.read(t.Context()); err != nil || len(refs) != 0 {
			t.Fatal(refs, err)
		}
	}
	if want := []time.Time{vcenterTime, vcenterTime.Add(2 * time.Minute)}; !slices.EqualFunc(h.begins, want, time.Time.Equal) {
		t.Errorf("collectors begin at %v, want %v", h.begins, want)
	}
}

func TestResetLosesNoEvent(t *testing.T) {
	h, f := newHistory()
	f.reset(t.Context())
	if h.count() != 0 {
		t.Error("there was nothing to reset")
	}
	_, _ = f.read(t.Context())
	for _, ref := range []string{"vm-1", "vm-2", "vm-1"} {
		h.events = append(h.events, &types.VmRemovedEvent{VmEvent: types.VmEvent{Event: happened(ref, 0)}})
		f.reset(t.Context())
	}
	h.events = append(h.events, &types.VmRemovedEvent{VmEvent: types.VmEvent{Event: happened("vm-3", 0)}})
	refs, err := f.read(t.Context())
	if err != nil || !slices.Equal(refs, []Ref{"vm-1", "vm-2", "vm-3"}) || h.resets != 3 {
		t.Errorf("%v, %v, %d resets", refs, err, h.resets)
	}
	if refs, _ := f.read(t.Context()); len(refs) != 0 {
		t.Errorf("told twice: %v", refs)
	}
	h.gone = true
	f.reset(t.Context())
	h.creates = 0
	if _, err := f.read(t.Context()); err != nil || h.creates != 1 {
		t.Errorf("a collector that is gone is not made anew: %v", err)
	}
}

func TestCustomizationEvents(t *testing.T) {
	about := func(ref string) types.CustomizationEvent {
		return types.CustomizationEvent{VmEvent: types.VmEvent{Event: happened(ref, 0)}}
	}
	failed := func(ref string) types.CustomizationFailed {
		return types.CustomizationFailed{CustomizationEvent: about(ref), Reason: "x"}
	}
	stages := []struct {
		event types.BaseEvent
		want  Customization
	}{
		{&types.VmPoweredOnEvent{VmEvent: types.VmEvent{Event: happened("vm-1", 0)}}, ""},
		{&types.CustomizationStartedEvent{CustomizationEvent: about("vm-1")}, CustomizationRunning},
		{&types.CustomizationSucceeded{CustomizationEvent: about("vm-1")}, CustomizationSucceeded},
		{new(failed("vm-1")), CustomizationFailed},
		{&types.CustomizationLinuxIdentityFailed{CustomizationFailed: failed("vm-2")}, CustomizationFailed},
		{&types.CustomizationNetworkSetupFailed{CustomizationFailed: failed("vm-3")}, CustomizationFailed},
		{&types.CustomizationSysprepFailed{CustomizationFailed: failed("vm-4")}, CustomizationFailed},
		{&types.CustomizationUnknownFailure{CustomizationFailed: failed("vm-5")}, CustomizationFailed},
	}
	h, f := newHistory()
	c := &Client{vim: f.vim, events: f}
	for _, version := range []string{"6.7.3", "8.0.3.0"} {
		c.vim.ServiceContent.About.ApiVersion = version
		for _, s := range stages {
			h.events = []types.BaseEvent{s.event}
			if _, err := f.read(t.Context()); err != nil {
				t.Fatal(err)
			}
			vm := s.event.GetEvent().Vm.Vm
			if got := c.sight(types.ObjectContent{Obj: vm}).Customization; got != s.want {
				t.Errorf("%s: %T: %q, want %q", version, s.event, got, s.want)
			}
		}
		f.outcomes.note("vm-1", "")
	}
}

func TestOutcomesAreBounded(t *testing.T) {
	var o outcomes
	for i := range 3 * outcomesKept {
		o.note(Ref(fmt.Sprint("vm-", i)), CustomizationRunning)
		o.note(Ref(fmt.Sprint("vm-", i)), CustomizationSucceeded)
	}
	last := Ref(fmt.Sprint("vm-", 3*outcomesKept-1))
	if len(o.known) != outcomesKept || len(o.order) != outcomesKept || o.of(last) != CustomizationSucceeded || o.of("vm-0") != "" {
		t.Errorf("%d known, %d in order", len(o.known), len(o.order))
	}
}

// TestHangingEventsHoldUpNoSweep is a vCenter whose events do not answer: a sweep goes on after a while, and at once if somebody waits for
// them already.
func TestHangingEventsHoldUpNoSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, f := newHistory()
		_, _ = f.read(t.Context())
		f.vim.RoundTripper = hanging(func() {})
		begun := time.Now()
		f.reset(t.Context())
		if took := time.Since(begun); took != tidyTimeout {
			t.Errorf("a reset took %v", took)
		}
		go func() { _, _ = f.read(t.Context()) }()
		synctest.Wait()
		begun = time.Now()
		f.reset(t.Context())
		if took := time.Since(begun); took != 0 || h.resets != 0 {
			t.Errorf("a reset took %v behind a reading", took)
		}
	})
}
