package main

import (
	"context"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// asServer makes the test binary the program itself, so that it can be killed.
const asServer = "VSPHEREPOOL_TEST_AS_SERVER"

// TestKill kills the server with SIGKILL at random moments while the pool grows, shrinks and loses machines: whatever it had
// acknowledged holds, nothing is duplicated and nothing forgotten.
func TestKill(t *testing.T) {
	sim, err := simulator.New(simulator.Options{CloneDelay: 150 * time.Millisecond, BootDelay: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	if _, err := sim.Serve("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	v := newVictim(t, os.Args[0], asServer+"=1")
	document, err := demoDocument(sim.Connection(), sim.Template())
	if err != nil {
		t.Fatal(err)
	}
	v.configure(document)
	const rounds = 8
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	v.desired = 1
	for range rounds {
		v.start()
		v.settleDoubt()
		v.harass(rnd, time.Duration(rnd.IntN(900))*time.Millisecond)
	}
	v.start()
	defer v.kill()
	v.settleDoubt()
	v.converge()
	v.inventory(sim)
}

// harass sends requests until the server has been killed in the middle of it.
func (v *victim) harass(rnd *rand.Rand, life time.Duration) {
	process := v.cmd.Process
	time.AfterFunc(life, func() { _ = process.Kill() })
	for {
		if rnd.IntN(2) == 0 {
			v.resize(rnd.IntN(9))
		} else {
			v.terminateAny(rnd)
		}
		select {
		case <-v.dead:
			v.kill()
			return
		case <-time.After(time.Duration(rnd.IntN(100)) * time.Millisecond):
		}
	}
}

func (v *victim) terminateAny(rnd *rand.Rand) {
	machines := v.machines()
	if len(machines) == 0 {
		return
	}
	if m := machines[rnd.IntN(len(machines))]; m.allocated() {
		v.terminate(m.ID, true)
	}
}

// markedVMs are the VMs in all of vCenter that carry a mark of their own, by name. It is read from the plain inventory, so that it does not
// lean on what it is to check.
func markedVMs(ctx context.Context, vc *vim25.Client) (map[string]vsphere.Mark, error) {
	all, err := view.NewManager(vc).CreateContainerView(ctx, vc.ServiceContent.RootFolder, []string{"VirtualMachine"}, true)
	if err != nil {
		return nil, err
	}
	defer all.Destroy(ctx)
	var vms []mo.VirtualMachine
	if err := all.Retrieve(ctx, []string{"VirtualMachine"}, []string{"name", "config.instanceUuid", "config.extraConfig"}, &vms); err != nil {
		return nil, err
	}
	marked := map[string]vsphere.Mark{}
	for _, vm := range vms {
		for _, option := range vm.Config.ExtraConfig {
			if o := option.GetOptionValue(); o.Key == "vspherepool.mark" {
				text, _ := o.Value.(string)
				if mark, err := vsphere.ParseMark(text); err == nil && mark.UUID == vm.Config.InstanceUuid {
					marked[vm.Name] = mark
				}
			}
		}
	}
	return marked, nil
}
