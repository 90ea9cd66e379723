package vsphere_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// blinkers hide objects from what is read on the way up from the pool's folder, as vCenter does to an account that has no permission there.
type blinkers struct {
	soap.RoundTripper
	hidden func(types.ObjectContent) bool
	multi  int
}

func (b *blinkers) RoundTrip(ctx context.Context, req, res soap.HasFault) error {
	if _, together := req.(*methods.PowerOnMultiVM_TaskBody); together {
		b.multi++
	}
	err := b.RoundTripper.RoundTrip(ctx, req, res)
	asked, ok := req.(*methods.RetrievePropertiesExBody)
	if ok && err == nil && asked.Req.SpecSet[0].PropSet[0].Type == "ManagedEntity" {
		answer := res.(*methods.RetrievePropertiesExBody).Res.Returnval
		answer.Objects = slices.DeleteFunc(slices.Clone(answer.Objects), b.hidden)
	}
	return err
}

// TestHiddenAncestors connects and powers a machine on with an account that does not see everything above the pool's folder.
func TestHiddenAncestors(t *testing.T) {
	t.Parallel()
	kindOf := func(kinds ...string) func(types.ObjectContent) bool {
		return func(o types.ObjectContent) bool {
			return slices.Contains(kinds, o.Obj.Type) && !strings.Contains(name(o), "web")
		}
	}
	for hides, row := range map[string]struct {
		hidden   func(types.ObjectContent) bool
		region   string
		together bool
	}{
		"nothing":        {kindOf(), "DC0", true},
		"the datacenter": {kindOf("Datacenter"), "datacenter-", true},
		"all":            {kindOf("Datacenter", "Folder"), "", false},
	} {
		t.Run(hides, func(t *testing.T) {
			t.Parallel()
			sim := newSimulator(t, simulator.Options{})
			vc, err := sim.Client(t.Context())
			must(t, err)
			blind := &blinkers{RoundTripper: vc.RoundTripper, hidden: row.hidden}
			vc.RoundTripper = blind
			client, err := vsphere.New(t.Context(), pool, vc, sim.Template())
			must(t, err)
			t.Cleanup(func() { _ = client.Close(context.Background()) })
			if region := client.Site().Region; !strings.HasPrefix(region, row.region) || (region == "") != (row.region == "") {
				t.Errorf("the region is %q", region)
			}
			s := &site{client, sim}
			_, own := s.make(t, "web-1")
			must(t, s.PowerOn(t.Context(), own))
			if (blind.multi > 0) != row.together {
				t.Errorf("%d calls of PowerOnMultiVM_Task", blind.multi)
			}
			if _, err := s.Examine(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func name(o types.ObjectContent) string {
	for _, p := range o.PropSet {
		if text, ok := p.Val.(string); ok && p.Name == "name" {
			return text
		}
	}
	return ""
}
