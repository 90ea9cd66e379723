package simulator

import (
	"fmt"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// complete adds what vcsim needs of a request and vCenter does not: it recommends datastores only for the placements that the request
// lists, not for its storage pod.
func complete(req any) {
	r, ok := req.(*types.RecommendDatastores)
	if !ok {
		return
	}
	pods := &r.StorageSpec.PodSelectionSpec
	if pods.StoragePod != nil && len(pods.InitialVmConfig) == 0 {
		pods.InitialVmConfig = []types.VmPodConfigForPlacement{{StoragePod: *pods.StoragePod}}
	}
}

// SetFreeSpace sets how many bytes vCenter says are free on a datastore. vcsim itself takes the disks of new VMs off it, and never runs
// out. Unknown names are an error.
func (s *Simulator) SetFreeSpace(datastore string, bytes int64) error {
	for _, e := range s.model.Map().All("Datastore") {
		if ds := e.(*simulator.Datastore); ds.Name == datastore {
			c := &simulator.Context{Context: s.gate.ctx, Map: s.model.Map(), Session: s.model.Service.Context.Session}
			c.WithLock(ds, func() {
				c.Update(ds, []types.PropertyChange{{Name: "summary.freeSpace", Val: bytes}})
			})
			return nil
		}
	}
	return fmt.Errorf("set free space of %s: there is no such datastore", datastore)
}
