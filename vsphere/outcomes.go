package vsphere

import (
	"sync"

	"github.com/vmware/govmomi/vim25/types"
)

// customizationInfo says how far a guest customization has come. Older versions do not have it, and would refuse to read anything along
// with it. There, and where an older host leaves it out, the events tell.
const (
	customizationInfo  = "guest.customizationInfo"
	customizationSince = "7.0.2.0"
)

// customizing are the events of guest customizations, the failures' whole family by name.
var customizing = []string{
	"CustomizationStartedEvent", "CustomizationSucceeded", "CustomizationFailed", "CustomizationLinuxIdentityFailed",
	"CustomizationNetworkSetupFailed", "CustomizationSysprepFailed", "CustomizationUnknownFailure",
}

func customizationState(v any) Customization {
	info, _ := v.(types.GuestInfoCustomizationInfo)
	switch types.GuestInfoCustomizationStatus(info.CustomizationStatus) {
	case types.GuestInfoCustomizationStatusTOOLSDEPLOYPKG_PENDING, types.GuestInfoCustomizationStatusTOOLSDEPLOYPKG_RUNNING:
		return CustomizationRunning
	case types.GuestInfoCustomizationStatusTOOLSDEPLOYPKG_SUCCEEDED:
		return CustomizationSucceeded
	case types.GuestInfoCustomizationStatusTOOLSDEPLOYPKG_FAILED:
		return CustomizationFailed
	default:
		return ""
	}
}

// customizationEvent is the state that an event tells of; empty: it is about something else.
func customizationEvent(e types.BaseEvent) Customization {
	switch e.(type) {
	case *types.CustomizationStartedEvent:
		return CustomizationRunning
	case *types.CustomizationSucceeded:
		return CustomizationSucceeded
	case types.BaseCustomizationFailed:
		return CustomizationFailed
	default:
		return ""
	}
}

// outcomesKept bounds the memory of customizations.
const outcomesKept = 4096

// outcomes remembers what the events last said of the customization of VMs, the latest [outcomesKept] of them. The zero value is ready.
type outcomes struct {
	mu    sync.Mutex
	known map[Ref]Customization
	order []Ref
}

func (o *outcomes) of(ref Ref) Customization {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.known[ref]
}

func (o *outcomes) note(ref Ref, c Customization) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known == nil {
		o.known = map[Ref]Customization{}
	}
	if _, again := o.known[ref]; !again {
		o.order = append(o.order, ref)
	}
	o.known[ref] = c
	if len(o.order) > outcomesKept {
		delete(o.known, o.order[0])
		o.order = o.order[1:]
	}
}
