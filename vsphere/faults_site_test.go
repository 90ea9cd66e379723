package vsphere_test

import (
	"strings"
	"testing"

	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
)

// Every trouble of the table, raised by the simulator at the end of a clone task.
func TestFaultsOfASite(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	troubles := map[string]types.BaseMethodFault{}
	vsphere.EachFault(func(trouble string, f types.BaseMethodFault, _ vsphere.Kind) { troubles[trouble] = f })
	s.sim.Before(func(_ string, request any) types.BaseMethodFault {
		if clone, ok := request.(*types.CloneVM_Task); ok {
			return troubles[clone.Name]
		}
		return nil
	})
	vsphere.EachFault(func(trouble string, _ types.BaseMethodFault, kind vsphere.Kind) {
		t.Run(trouble, func(t *testing.T) {
			t.Parallel()
			task, err := s.Clone(t.Context(), order(trouble))
			must(t, err)
			_, err = s.Await(t.Context(), task)
			if kind == vsphere.NotFound { // what a clone misses, the configuration asks for
				kind = vsphere.Misconfigured
			}
			wantKind(t, err, kind)
			if !strings.HasPrefix(err.Error(), "clone vm ") || !strings.Contains(err.Error(), string(task)) {
				t.Errorf("%q does not say what was being done, by which task", err)
			}
		})
	})
}

func TestAMissingPrivilegeNamesTheObjectByThePathOfTheConfiguration(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.sim.Before(func(method string, request any) types.BaseMethodFault {
		if clone, ok := request.(*types.CloneVM_Task); ok && method == "CloneVM_Task" {
			return &types.NoPermission{Object: &clone.Folder, PrivilegeId: "VirtualMachine.Inventory.CreateFromExisting"}
		}
		return nil
	})
	task, err := s.Clone(t.Context(), order("web-1"))
	if err == nil {
		_, err = s.Await(t.Context(), task)
	}
	wantKind(t, err, vsphere.Forbidden)
	want := "grant the privilege VirtualMachine.Inventory.CreateFromExisting on " + s.sim.Template().Folder + " (Folder group-"
	if !strings.Contains(err.Error(), want) {
		t.Errorf("%q lacks %q", err, want)
	}
}

func TestAMissingPrivilegeNamesTheVM(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	_, own := s.make(t, "web-1")
	s.sim.Before(func(method string, _ any) types.BaseMethodFault {
		if strings.HasPrefix(method, "PowerO") {
			return &types.NoPermission{
				Object: &types.ManagedObjectReference{Type: "VirtualMachine", Value: string(own.Ref)}, PrivilegeId: "VirtualMachine.Interact.PowerOn",
			}
		}
		return nil
	})
	err := s.PowerOn(t.Context(), own)
	if want := "VirtualMachine.Interact.PowerOn on web-1 (VirtualMachine " + string(own.Ref) + ")"; !strings.Contains(err.Error(), want) {
		t.Errorf("%q lacks %q", err, want)
	}
}
