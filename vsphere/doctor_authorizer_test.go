package vsphere_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// authorizer is vCenter's authorization in front of a simulator that has none. It answers what the account is granted, and refuses what
// it is not: by what the API reference says of each method, and not by the table under test.
type authorizer struct {
	next soap.RoundTripper

	mu sync.Mutex
	// grants are the account's privileges by object; VMs without an entry have the folder's. Nil grants everything.
	grants map[types.ManagedObjectReference][]string
	folder types.ManagedObjectReference
	// broken are the methods that answer with a fault of their own.
	broken map[string]types.BaseMethodFault
	// ignorant has the account's name not recognized: what is asked of it has an empty answer.
	ignorant bool
	calls    int
}

// need is one privilege that a call takes.
type need struct {
	on types.ManagedObjectReference
	id string
}

// RoundTrip implements [soap.RoundTripper].
func (a *authorizer) RoundTrip(ctx context.Context, req, res soap.HasFault) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls++
	if a.grants == nil {
		return a.next.RoundTrip(ctx, req, res)
	}
	if f := a.refusal(req); f != nil {
		return soap.WrapSoapFault(fault(f))
	}
	if a.inform(req, res) {
		return nil
	}
	return a.next.RoundTrip(ctx, req, res)
}

func fault(f types.AnyType) *soap.Fault {
	fault := &soap.Fault{Code: "ServerFaultCode", String: "refused"}
	fault.Detail.Fault = f
	return fault
}

func (a *authorizer) granted(ref types.ManagedObjectReference) []string {
	if own, known := a.grants[ref]; known || ref.Type != "VirtualMachine" {
		return own
	}
	return a.grants[a.folder]
}

func (a *authorizer) refusal(req soap.HasFault) types.BaseMethodFault {
	if f := a.broken[methodOf(req)]; f != nil {
		return f
	}
	for _, n := range needs(req) {
		if !slices.Contains(a.granted(n.on), n.id) {
			return &types.NoPermission{Object: &n.on, PrivilegeId: n.id}
		}
	}
	return nil
}

func methodOf(req soap.HasFault) string {
	switch req.(type) {
	case *methods.FetchUserPrivilegeOnEntitiesBody:
		return "FetchUserPrivilegeOnEntities"
	case *methods.HasUserPrivilegeOnEntitiesBody:
		return "HasUserPrivilegeOnEntities"
	case *methods.HasPrivilegeOnEntitiesBody:
		return "HasPrivilegeOnEntities"
	case *methods.CurrentTimeBody:
		return "CurrentTime"
	}
	return ""
}

// needs are the privileges that the API reference demands of a call.
func needs(req soap.HasFault) []need {
	switch body := req.(type) {
	case *methods.CloneVM_TaskBody:
		return cloneNeeds(body.Req)
	case *methods.ReconfigVM_TaskBody:
		return configNeeds(body.Req.This, &body.Req.Spec)
	case *methods.PowerOnVM_TaskBody:
		return []need{{body.Req.This, "VirtualMachine.Interact.PowerOn"}}
	case *methods.PowerOnMultiVM_TaskBody:
		return powerNeeds(body.Req)
	case *methods.PowerOffVM_TaskBody:
		return []need{{body.Req.This, "VirtualMachine.Interact.PowerOff"}}
	case *methods.ShutdownGuestBody:
		return []need{{body.Req.This, "VirtualMachine.Interact.PowerOff"}}
	case *methods.AnswerVMBody:
		return []need{{body.Req.This, "VirtualMachine.Interact.AnswerQuestion"}}
	case *methods.Destroy_TaskBody:
		return []need{{body.Req.This, "VirtualMachine.Inventory.Delete"}}
	case *methods.CreateFolderBody:
		return []need{{body.Req.This, "Folder.Create"}}
	}
	return nil
}

func powerNeeds(r *types.PowerOnMultiVM_Task) []need {
	out := []need{{r.This, "VirtualMachine.Interact.PowerOn"}}
	for _, vm := range r.Vm {
		out = append(out, need{vm, "VirtualMachine.Interact.PowerOn"})
	}
	return out
}

func cloneNeeds(r *types.CloneVM_Task) []need {
	out := []need{
		{r.This, "VirtualMachine.Provisioning.DeployTemplate"},
		{r.Folder, "VirtualMachine.Inventory.CreateFromExisting"},
		{r.Folder, "VirtualMachine.Config.AddNewDisk"},
		{*r.Spec.Location.Pool, "Resource.AssignVMToPool"},
		{*r.Spec.Location.Datastore, "Datastore.AllocateSpace"},
	}
	out = append(out, configNeeds(r.Folder, r.Spec.Config)...)
	location := &types.VirtualMachineConfigSpec{DeviceChange: r.Spec.Location.DeviceChange}
	return append(out, configNeeds(r.Folder, location)...)
}

func configNeeds(on types.ManagedObjectReference, spec *types.VirtualMachineConfigSpec) []need {
	var out []need
	for _, c := range []struct {
		changed bool
		takes   string
	}{
		{len(spec.ExtraConfig) > 0, "VirtualMachine.Config.AdvancedConfig"},
		{spec.InstanceUuid != "", "VirtualMachine.Config.Settings"},
		{spec.NumCPUs > 0, "VirtualMachine.Config.CPUCount"},
		{spec.MemoryMB > 0, "VirtualMachine.Config.Memory"},
		{spec.VAppConfigRemoved != nil, "VApp.ApplicationConfig"},
		{spec.Annotation != "", "VirtualMachine.Config.Rename"},
	} {
		if c.changed {
			out = append(out, need{on, c.takes})
		}
	}
	for _, change := range spec.DeviceChange {
		out = append(out, deviceNeeds(on, change.GetVirtualDeviceConfigSpec())...)
	}
	return out
}

func deviceNeeds(on types.ManagedObjectReference, change *types.VirtualDeviceConfigSpec) []need {
	_, disk := change.Device.(*types.VirtualDisk)
	switch {
	case disk && change.Operation == types.VirtualDeviceConfigSpecOperationRemove:
		return []need{{on, "VirtualMachine.Config.RemoveDisk"}}
	case disk:
		return []need{{on, "VirtualMachine.Config.DiskExtend"}, {on, "VirtualMachine.Config.EditDevice"}}
	case change.Operation == types.VirtualDeviceConfigSpecOperationRemove:
		return []need{{on, "VirtualMachine.Config.AddRemoveDevice"}}
	}
	out := []need{{on, "VirtualMachine.Config.AddRemoveDevice"}, {on, "VirtualMachine.Config.EditDevice"}}
	port, ok := change.Device.GetVirtualDevice().Backing.(*types.VirtualEthernetCardDistributedVirtualPortBackingInfo)
	if ok {
		group := types.ManagedObjectReference{Type: "DistributedVirtualPortgroup", Value: port.Port.PortgroupKey}
		out = append(out, need{group, "Network.Assign"})
	}
	return out
}

// inform answers questions about privileges.
func (a *authorizer) inform(req, res soap.HasFault) bool {
	switch body := req.(type) {
	case *methods.FetchUserPrivilegeOnEntitiesBody:
		answer := &types.FetchUserPrivilegeOnEntitiesResponse{}
		for _, ref := range body.Req.Entities {
			result := types.UserPrivilegeResult{Entity: ref}
			if !a.ignorant {
				result.Privileges = a.granted(ref)
			}
			answer.Returnval = append(answer.Returnval, result)
		}
		res.(*methods.FetchUserPrivilegeOnEntitiesBody).Res = answer
	case *methods.HasUserPrivilegeOnEntitiesBody:
		res.(*methods.HasUserPrivilegeOnEntitiesBody).Res = &types.HasUserPrivilegeOnEntitiesResponse{
			Returnval: a.availability(body.Req.Entities, body.Req.PrivId),
		}
	case *methods.HasPrivilegeOnEntitiesBody:
		res.(*methods.HasPrivilegeOnEntitiesBody).Res = &types.HasPrivilegeOnEntitiesResponse{
			Returnval: a.availability(body.Req.Entity, body.Req.PrivId),
		}
	default:
		return false
	}
	return true
}

func (a *authorizer) availability(refs []types.ManagedObjectReference, ids []string) []types.EntityPrivilege {
	var out []types.EntityPrivilege
	for _, ref := range refs {
		p := types.EntityPrivilege{Entity: ref}
		for _, id := range ids {
			p.PrivAvailability = append(p.PrivAvailability, types.PrivilegeAvailability{
				PrivId: id, IsGranted: slices.Contains(a.granted(ref), id),
			})
		}
		out = append(out, p)
	}
	return out
}

// guarded is a site behind an authorizer.
type guarded struct {
	*site
	*authorizer
	template vsphere.Template
	objects  map[vsphere.Scope]types.ManagedObjectReference
}

// newGuarded connects with all rights and then leaves the account those that the table says its template needs.
func newGuarded(t *testing.T, edit func(*vsphere.Template)) *guarded {
	t.Helper()
	sim := newSimulator(t, simulator.Options{})
	template := sim.Template()
	if edit != nil {
		edit(&template)
	}
	vc, err := sim.Client(t.Context())
	must(t, err)
	finder := find.NewFinder(vc)
	guard := &authorizer{next: vc.RoundTripper, broken: map[string]types.BaseMethodFault{}}
	vc.RoundTripper = guard
	client, err := vsphere.New(t.Context(), pool, vc, template)
	must(t, err)
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	g := &guarded{&site{client, sim}, guard, template, map[vsphere.Scope]types.ManagedObjectReference{
		vsphere.OnRoot: vc.ServiceContent.RootFolder,
	}}
	for scope, path := range map[vsphere.Scope]string{
		vsphere.OnDatacenter: "/DC0", vsphere.OnCluster: "/DC0/host/DC0_C0", vsphere.OnTemplate: template.Template,
		vsphere.OnFolder: template.Folder, vsphere.OnParent: "/DC0/vm/pools", vsphere.OnResourcePool: template.ResourcePool,
		vsphere.OnDatastore: "/DC0/datastore/LocalDS_0", vsphere.OnNetwork: "/DC0/network/DC0_DVPG0",
	} {
		list, err := finder.ManagedObjectList(t.Context(), path)
		if err != nil || len(list) != 1 {
			t.Fatalf("%s: %v, %v", path, list, err)
		}
		g.objects[scope] = list[0].Object.Reference()
	}
	g.folder = g.objects[vsphere.OnFolder]
	g.grant(func(vsphere.Privilege) bool { return true })
	return g
}

// grant gives the account those privileges of the table that the template needs and keep says yes to.
func (g *guarded) grant(keep func(vsphere.Privilege) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.grants = map[types.ManagedObjectReference][]string{}
	for _, ref := range g.objects {
		g.grants[ref] = nil
	}
	for _, p := range g.template.Privileges() {
		if keep(p) {
			ref := g.objects[p.On]
			g.grants[ref] = append(g.grants[ref], p.ID)
		}
	}
}

// without takes one privilege away.
func (g *guarded) without(gone vsphere.Privilege) {
	g.grant(func(p vsphere.Privilege) bool { return p.ID != gone.ID || p.On != gone.On })
}

// sized needs most of the table.
func sized(t *vsphere.Template) {
	t.CloneMode, t.CPUs, t.MemoryMiB, t.DiskGiB = vsphere.CloneFull, 1, 1024, 20
	t.Networks = []string{"/DC0/network/DC0_DVPG0"}
}
