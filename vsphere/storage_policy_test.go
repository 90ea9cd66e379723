package vsphere_test

import (
	"context"
	"strings"
	"testing"

	vcsim "github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

func TestStoragePolicy(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		policy string
		method string
		fault  types.BaseMethodFault
		kind   vsphere.Kind
		says   string
	}{
		"known":   {policy: "vSAN Default Storage Policy"},
		"unknown": {policy: "Gold", kind: vsphere.Misconfigured, says: "vSAN Default Storage Policy"},
		"forbidden": {
			policy: "Gold", method: "PbmQueryProfile", fault: &types.NoPermission{}, kind: vsphere.Forbidden, says: "StorageProfile.View",
		},
		"broken": {
			policy: "Gold", method: "PbmRetrieveServiceContent", fault: &types.SystemErrorFault{},
			kind: vsphere.Storage, says: "PBM) does not answer",
		},
	} {
		t.Run(name, func(t *testing.T) {
			sim, connection := served(t)
			if row.fault != nil {
				sim.Model().Service.AddFaultRule(&vcsim.FaultInjectionRule{
					MethodName: row.method, ObjectType: "*", ObjectName: "*", Probability: 1, Enabled: true,
					FaultType: vcsim.FaultTypeCustom, Fault: row.fault,
				})
			}
			template := sim.Template()
			template.StoragePolicy = row.policy
			c, err := vsphere.NewConnector("").Connect(t.Context(), pool, connection, template)
			must(t, err)
			t.Cleanup(func() { _ = c.Close(context.Background()) })
			if _, err := c.Sweep(t.Context(), nil); err != nil {
				t.Errorf("machines cannot be followed: %v", err)
			}
			if row.says == "" {
				clonesWithPolicy(t, sim, c)
				return
			}
			wantKind(t, c.Site().Flaw, row.kind)
			if !strings.Contains(c.Site().Flaw.Error(), row.says) || !strings.Contains(c.Site().Flaw.Error(), "storagePolicy "+row.policy) {
				t.Error(c.Site().Flaw)
			}
			_, err = c.Clone(t.Context(), order("web-1"))
			wantKind(t, err, row.kind)
		})
	}
}

func clonesWithPolicy(t *testing.T, sim *simulator.Simulator, c *vsphere.Client) {
	t.Helper()
	must(t, c.Site().Flaw)
	j := &journal{}
	sim.Before(j.hook)
	task, err := c.Clone(t.Context(), order("web-1"))
	must(t, err)
	_, err = c.Await(t.Context(), task)
	must(t, err)
	location := recorded[*types.CloneVM_Task](j)[0].Spec.Location
	id := func(profiles []types.BaseVirtualMachineProfileSpec) string {
		return profiles[0].(*types.VirtualMachineDefinedProfileSpec).ProfileId
	}
	if len(location.Profile) != 1 || len(location.Disk) != 1 {
		t.Fatalf("%+v", location)
	}
	if home := id(location.Profile); home == "" || home != id(location.Disk[0].Profile) {
		t.Errorf("profile %q", home)
	}
	if d := location.Disk[0]; d.DiskMoveType != location.DiskMoveType || d.Datastore != *location.Datastore || d.DiskId == 0 {
		t.Errorf("%+v", d)
	}
}

func TestStoragePolicyInProcess(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, simulator.Options{})
	vc, err := sim.Client(t.Context())
	must(t, err)
	template := sim.Template()
	template.StoragePolicy = "Gold"
	c, err := vsphere.New(t.Context(), pool, vc, template)
	must(t, err)
	defer c.Close(t.Context())
	wantKind(t, c.Site().Flaw, vsphere.Storage)
}
