package vsphere_test

import (
	"testing"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// TestClonesStartFromTheSnapshot adds a card to the template after its snapshot was taken: clones do not have that card, and a spec that
// removes it would be refused.
func TestClonesStartFromTheSnapshot(t *testing.T) {
	t.Parallel()
	const network = "/DC0/network/DC0_DVPG0"
	s := newShop(t, simulator.Options{}, func(template *vsphere.Template, admin *vim25.Client) {
		template.Networks, template.Datastore = []string{network}, "/DC0/datastore/LocalDS_0"
		finder := find.NewFinder(admin)
		source, err := finder.VirtualMachine(t.Context(), template.Template)
		must(t, err)
		target, err := finder.Network(t.Context(), network)
		must(t, err)
		backing, err := target.EthernetCardBackingInfo(t.Context())
		must(t, err)
		card, err := object.EthernetCardTypes().CreateEthernetCard("vmxnet3", backing)
		must(t, err)
		pool, err := finder.ResourcePool(t.Context(), template.ResourcePool)
		must(t, err)
		must(t, source.MarkAsVirtualMachine(t.Context(), *pool, nil)) // a template does not change
		must(t, source.AddDevice(t.Context(), card))
		must(t, source.MarkAsTemplate(t.Context()))
	})
	s.make(t, "web-1")
	removed := 0
	for _, request := range recorded[*types.CloneVM_Task](s.journal) {
		for _, change := range request.Spec.Config.DeviceChange {
			if change.GetVirtualDeviceConfigSpec().Operation == types.VirtualDeviceConfigSpecOperationRemove {
				removed++
			}
		}
	}
	if removed != 1 {
		t.Errorf("%d cards are removed, the snapshot has one", removed)
	}
}

// TestClusterAsResourcePool takes a cluster, by path or by id, for its root pool.
func TestClusterAsResourcePool(t *testing.T) {
	t.Parallel()
	const path = "/DC0/host/DC0_C0"
	for _, byID := range []bool{false, true} {
		var root types.ManagedObjectReference
		s := newShop(t, simulator.Options{}, func(template *vsphere.Template, admin *vim25.Client) {
			template.ResourcePool, template.Datastore = path, "/DC0/datastore/LocalDS_0"
			finder := find.NewFinder(admin)
			cluster, err := finder.ClusterComputeResource(t.Context(), path)
			must(t, err)
			if byID {
				template.ResourcePool = cluster.Reference().Value
			}
			pool, err := finder.ResourcePool(t.Context(), path+"/Resources")
			must(t, err)
			root = pool.Reference()
		})
		s.make(t, "web-1")
		if got := recorded[*types.CloneVM_Task](s.journal)[0].Spec.Location.Pool; *got != root {
			t.Errorf("cloned to %v, want %v", got, root)
		}
	}
}
