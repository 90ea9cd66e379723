package vsphere_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

func twoHosts(template *vsphere.Template, _ *vim25.Client) {
	template.Hosts = []string{"/DC0/host/DC0_C0/DC0_C0_H1", "/DC0/host/DC0_C0/DC0_C0_H2"}
}

func TestHostsShareTheMachines(t *testing.T) {
	t.Parallel()
	s := newShop(t, simulator.Options{}, twoHosts)
	on := map[string]int{}
	for i := range 4 {
		vm, _ := s.make(t, fmt.Sprintf("web-%d", i))
		on[vm.Host]++
	}
	if on["DC0_C0_H1"] != 2 || on["DC0_C0_H2"] != 2 {
		t.Errorf("%v", on)
	}
}

func TestHostInMaintenanceIsPassedOver(t *testing.T) {
	t.Parallel()
	s := newShop(t, simulator.Options{}, twoHosts)
	vc, err := s.sim.Client(t.Context())
	must(t, err)
	h1, err := find.NewFinder(vc).HostSystem(t.Context(), "/DC0/host/DC0_C0/DC0_C0_H1")
	must(t, err)
	task, err := h1.EnterMaintenanceMode(t.Context(), 0, false, nil)
	wait(t, task, err)
	for i := range 2 {
		if vm, _ := s.make(t, fmt.Sprintf("web-%d", i)); vm.Host != "DC0_C0_H2" {
			t.Errorf("on %s", vm.Host)
		}
	}
}

func TestHostThatRefusesIsDropped(t *testing.T) {
	t.Parallel()
	s := newShop(t, simulator.Options{}, twoHosts)
	refused := map[types.ManagedObjectReference]int{}
	s.journal.refuse(func(request any) types.BaseMethodFault {
		if clone, ok := request.(*types.CloneVM_Task); ok && len(refused) < 2 {
			refused[*clone.Spec.Location.Host]++
			return &types.InvalidHostState{}
		}
		return nil
	})
	for i := range 2 {
		task, err := s.Clone(t.Context(), order(fmt.Sprintf("web-%d", i)))
		must(t, err)
		_, err = s.Await(t.Context(), task)
		wantKind(t, err, vsphere.Capacity)
	}
	if len(refused) != 2 {
		t.Errorf("%v", refused)
	}
	_, err := s.Clone(t.Context(), order("web-3"))
	wantKind(t, err, vsphere.Capacity)
	if !strings.Contains(err.Error(), "DC0_C0_H1 refused a machine") || !strings.Contains(err.Error(), "DC0_C0_H2 refused a machine") {
		t.Error(err)
	}
}

func TestHostsOfAnotherClusterAreAFlaw(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, simulator.Options{})
	vc, err := sim.Client(t.Context())
	must(t, err)
	folder, err := find.NewFinder(vc).Folder(t.Context(), "/DC0/host")
	must(t, err)
	task, err := folder.AddStandaloneHost(t.Context(), types.HostConnectSpec{HostName: "stranger"}, true, nil, nil)
	wait(t, task, err)
	template := sim.Template()
	template.Hosts = []string{"/DC0/host/DC0_C0/DC0_C0_H1", "/DC0/host/stranger/stranger"}
	c, err := vsphere.New(t.Context(), pool, vc, template)
	must(t, err)
	defer c.Close(t.Context())
	wantKind(t, c.Site().Flaw, vsphere.Misconfigured)
	if text := c.Site().Flaw.Error(); !strings.Contains(text, "stranger: not in the cluster of the resource pool /DC0/host/DC0_C0/Resources") {
		t.Error(text)
	}
}

// A client ends with each change of the configuration; what its clones were given, and who refused one, is known to the next.
func TestReconnectingForgetsNoRefusal(t *testing.T) {
	t.Parallel()
	sim, connection := served(t)
	j := &journal{answer: func(request any) types.BaseMethodFault {
		if _, ok := request.(*types.CloneVM_Task); ok {
			return &types.InvalidHostState{}
		}
		return nil
	}}
	sim.Before(j.hook)
	template := sim.Template()
	twoHosts(&template, nil)
	connector := vsphere.NewConnector("")
	for i := range 2 {
		c, err := connector.Connect(t.Context(), pool, connection, template)
		must(t, err)
		task, err := c.Clone(t.Context(), order(fmt.Sprintf("web-%d", i)))
		must(t, err)
		_, err = c.Await(t.Context(), task)
		wantKind(t, err, vsphere.Capacity)
		must(t, c.Close(t.Context()))
	}
	if made := recorded[*types.CloneVM_Task](j); len(made) != 2 || *made[0].Spec.Location.Host == *made[1].Spec.Location.Host {
		t.Errorf("%d clones, both to the same host", len(made))
	}
}
