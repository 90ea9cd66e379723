package soak

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/vmware/govmomi/object"
	vcsim "github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// troubles are what vCenter and the way to it do in a storm, for some seconds each.
var troubles = []simulator.Trouble{
	{Refuse: true},
	{Hang: true, Share: 0.5},
	{Status: http.StatusServiceUnavailable},
	{Status: http.StatusBadGateway, Share: 0.3},
	{Cut: 0.2},
	{Delay: 500 * time.Millisecond},
	{Inject: []simulator.Injection{{Method: "CloneVM_Task", Fault: &types.TaskInProgress{}, Probability: 0.5}}},
}

// disturb makes trouble until the storm is over.
func (s *soak) disturb(ctx context.Context, rnd *rand.Rand) {
	c := s.server.client()
	defer c.http.CloseIdleConnections()
	for ctx.Err() == nil {
		switch rnd.IntN(4) {
		case 0:
			s.dropSessions()
		case 1:
			s.meddle(ctx, c, rnd)
		default:
			s.troubled++
			s.make(troubles[rnd.IntN(len(troubles))])
			s.rest(ctx, time.Duration(500+rnd.IntN(2500))*time.Millisecond)
			s.make(simulator.Trouble{})
		}
		s.rest(ctx, time.Duration(500+rnd.IntN(3000))*time.Millisecond)
	}
}

// dropSessions is rare: a program whose sessions end within half a minute takes its time before it logs in again, minutes in the end, so as
// not to lock an account.
func (s *soak) dropSessions() {
	if time.Since(s.dropped) > 45*time.Second {
		s.dropped = time.Now()
		s.troubled++
		s.proxy.DropSessions()
	}
}

func (s *soak) make(t simulator.Trouble) {
	if err := s.proxy.Make(t); err != nil {
		s.violation("the proxy: %v", err)
	}
}

// meddle powers a machine off behind the pool's back, or deletes it.
func (s *soak) meddle(ctx context.Context, c *client, rnd *rand.Rand) {
	pool, ok := s.pool(ctx, c)
	if !ok || len(pool.Machines) == 0 {
		return
	}
	m := pool.Machines[rnd.IntN(len(pool.Machines))]
	if m.MachineState != "RUNNING" || m.Metadata.VM == "" {
		return
	}
	vm := object.NewVirtualMachine(s.vc, types.ManagedObjectReference{Type: "VirtualMachine", Value: m.Metadata.VM})
	// The pool may be at work on it, too: then vCenter refuses.
	s.await(vm.PowerOff(ctx))
	if rnd.IntN(2) == 0 {
		s.await(vm.Destroy(ctx))
	}
}

func (s *soak) await(task *object.Task, err error) {
	if err != nil {
		return
	}
	if t, ok := s.sim.Model().Map().Get(task.Reference()).(*vcsim.Task); ok {
		t.Wait()
	}
}

// discrepancies compare vCenter with the members, by their names: one VM for each, and no other, but for the stranger.
func (s *soak) discrepancies(ctx context.Context, members map[string]bool) (wrong []string) {
	all, err := view.NewManager(s.vc).CreateContainerView(ctx, s.vc.ServiceContent.RootFolder, []string{"VirtualMachine"}, true)
	if err != nil {
		return []string{err.Error()}
	}
	defer all.Destroy(ctx)
	var vms []mo.VirtualMachine
	if err := all.Retrieve(ctx, []string{"VirtualMachine"}, []string{"name", "runtime.powerState", "config.extraConfig"}, &vms); err != nil {
		return []string{err.Error()}
	}
	stranger := false
	for _, vm := range vms {
		switch {
		case vm.Name == strangerName:
			stranger = vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn
		case marked(vm) && !members[vm.Name]:
			wrong = append(wrong, "VM "+vm.Name+" is no member's, or a member's second one")
		}
		if marked(vm) {
			delete(members, vm.Name)
		}
	}
	for name := range members {
		wrong = append(wrong, "member "+name+" has no VM")
	}
	if !stranger {
		s.violation("the VM of somebody else was touched")
	}
	return wrong
}

func marked(vm mo.VirtualMachine) bool {
	for _, option := range vm.Config.ExtraConfig {
		if o := option.GetOptionValue(); o.Key == "vspherepool.mark" {
			text, _ := o.Value.(string)
			_, err := vsphere.ParseMark(text)
			return err == nil
		}
	}
	return false
}
