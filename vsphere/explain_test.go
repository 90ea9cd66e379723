package vsphere_test

import (
	"strings"
	"testing"

	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

func TestVanishedReferencesAreNamed(t *testing.T) {
	t.Parallel()
	s := newShop(t, simulator.Options{}, nil)
	var fault func(*types.CloneVM_Task) types.BaseMethodFault
	s.journal.refuse(func(request any) types.BaseMethodFault {
		if clone, ok := request.(*types.CloneVM_Task); ok {
			return fault(clone)
		}
		return nil
	})
	missing := func(ref types.ManagedObjectReference) types.BaseMethodFault {
		return &types.ManagedObjectNotFound{Obj: ref}
	}
	for says, f := range map[string]func(*types.CloneVM_Task) types.BaseMethodFault{
		"snapshot base of template /DC0/vm/templates/ubuntu-24.04": func(c *types.CloneVM_Task) types.BaseMethodFault {
			return missing(*c.Spec.Snapshot)
		},
		"template /DC0/vm/templates/ubuntu-24.04 ": func(c *types.CloneVM_Task) types.BaseMethodFault { return missing(c.This) },
		"folder /DC0/vm/pools/web":                 func(c *types.CloneVM_Task) types.BaseMethodFault { return missing(c.Folder) },
		"resource pool /DC0/host/DC0_C0/Resources cannot": func(c *types.CloneVM_Task) types.BaseMethodFault {
			return missing(*c.Spec.Location.Pool)
		},
		"snapshot base of template": func(*types.CloneVM_Task) types.BaseMethodFault {
			return &types.InvalidSnapshotFormat{}
		},
	} {
		fault = f
		task, err := s.Clone(t.Context(), order("web-1"))
		must(t, err)
		_, err = s.Await(t.Context(), task)
		wantKind(t, err, vsphere.Misconfigured)
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%q does not say %q", err, says)
		}
	}
}
