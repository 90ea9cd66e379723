package actors

import (
	"context"
	"testing"
	"time"

	"vspherepool/vsphere"
)

// blind is a vCenter that shows no VM by itself.
type blind struct {
	fusedProvider
	kind vsphere.Kind
}

func (p blind) Read(ctx context.Context, refs []vsphere.Ref) ([]vsphere.VM, []vsphere.Ref, error) {
	if len(refs) == 1 {
		return nil, nil, &vsphere.Error{Kind: p.kind}
	}
	return p.fusedProvider.Read(ctx, refs)
}

// TestClonesThatCannotBeCheckedStopTheNextOnes: a clone's turn is the next one's as soon as it is made, but not if it cannot be verified.
func TestClonesThatCannotBeCheckedStopTheNextOnes(t *testing.T) {
	for _, kind := range []vsphere.Kind{vsphere.Forbidden, vsphere.Busy, vsphere.Unknown, vsphere.HalfMade} {
		t.Run(kind.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.crash()
				r.wrap = func(p fusedProvider) Provider { return blind{p, kind} }
				r.start()
				r.resize(200)
				r.after(10 * time.Minute)
				if n := r.world.clones(); n < 1 || n > 3*8 {
					t.Errorf("%d clones with 8 at a time", n)
				}
			})
		})
	}
}
