package vsphere

import (
	"sync"

	"github.com/vmware/govmomi/vim25/types"
)

// wirings bounds the memory of network cards.
const wirings = 8192

// wiring remembers which network cards VMs have, so that only the first detailed read of a VM, and the first one after its configuration
// changed, asks for its devices, the largest part of a VM by far. The zero value is ready.
type wiring struct {
	mu    sync.Mutex
	known map[Ref]wired
}

// wired are a VM's cards in one version of its configuration.
type wired struct {
	version string
	own     hardware
}

// split parts the VMs by whether their devices have to be read.
func (w *wiring) split(refs []Ref) (known, unknown []Ref) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ref := range refs {
		if _, ok := w.known[ref]; ok {
			known = append(known, ref)
		} else {
			unknown = append(unknown, ref)
		}
	}
	return known, unknown
}

// of are the cards of the VM that was seen, nil if they are not known; it notes those that the sight has.
func (w *wiring) of(s sight) hardware {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.own != nil {
		w.note(s.Ref, wired{s.ChangeVersion, s.own})
		return s.own
	}
	cards, ok := w.known[s.Ref]
	if !ok || cards.version != s.ChangeVersion {
		delete(w.known, s.Ref)
		return nil
	}
	return cards.own
}

func (w *wiring) note(ref Ref, cards wired) {
	if w.known == nil || len(w.known) >= wirings {
		w.known = map[Ref]wired{}
	}
	w.known[ref] = cards
}

// ownCards are the MAC addresses of a VM's cards; nil if one has none yet, for then nothing can be told by them.
func ownCards(v any) hardware {
	devices, ok := v.(types.ArrayOfVirtualDevice)
	if !ok {
		return nil
	}
	own := hardware{}
	for _, d := range devices.VirtualDevice {
		card, ok := d.(types.BaseVirtualEthernetCard)
		if !ok {
			continue
		}
		mac := card.GetVirtualEthernetCard().MacAddress
		if mac == "" {
			return nil
		}
		own[plainMAC(mac)] = true
	}
	return own
}
