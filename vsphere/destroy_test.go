package vsphere

import (
	"io"
	"testing"

	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// TestAbsenceOfSeveral asks for two VMs at once: what an answer leaves out is absent only if it shows the pool's folder and hides nothing.
func TestAbsenceOfSeveral(t *testing.T) {
	folder := types.ManagedObjectReference{Type: "Folder", Value: "group-v1"}
	shown := types.ObjectContent{Obj: folder, PropSet: []types.DynamicProperty{{Name: "name", Val: "web"}}}
	unseen := lacking("vm-2", "name", &types.NoPermission{})
	for name, row := range map[string]struct {
		objects []types.ObjectContent
		fails   bool
		absent  []bool
	}{
		"both are gone":           {objects: []types.ObjectContent{shown}, absent: []bool{true, true}},
		"one is still there":      {objects: []types.ObjectContent{shown, vmContent("vm-2")}, absent: []bool{true, false}},
		"nothing is shown":        {absent: []bool{false, false}},
		"not the folder":          {objects: []types.ObjectContent{vmContent("vm-3")}, absent: []bool{false, false}},
		"one hides what it is":    {objects: []types.ObjectContent{shown, unseen}, absent: []bool{false, false}},
		"vCenter does not answer": {fails: true, absent: []bool{false, false}},
	} {
		c := &Client{vim: scripted(&script{answer: func(_ int, _, res soap.HasFault) error {
			if row.fails {
				return io.EOF
			}
			page(res, "", row.objects...)
			return nil
		}})}
		c.place.folder = folder
		refs := []types.ManagedObjectReference{vmRef("vm-1"), vmRef("vm-2")}
		a, err := c.presence(t.Context(), objects(refs, proofProperties, true))
		if (err != nil) != row.fails {
			t.Errorf("%s: %v", name, err)
		}
		for i, ref := range refs {
			if a.vanished[ref] != row.absent[i] {
				t.Errorf("%s: %s is absent: %t", name, ref.Value, a.vanished[ref])
			}
		}
	}
}
