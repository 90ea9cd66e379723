package simulator

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// booter plays the guests: whoever powers a VM on, tools and an address appear a while later, and are gone at power-off.
type booter struct {
	Self    types.ManagedObjectReference
	ctx     context.Context
	model   *simulator.Model
	delay   time.Duration
	workers sync.WaitGroup

	mu        sync.Mutex
	addresses counter
	guests    map[types.ManagedObjectReference]*guest
}

// guest is what outlives a power-off.
type guest struct {
	boots  int
	number uint32
}

func newBooter(ctx context.Context, model *simulator.Model, delay time.Duration) *booter {
	b := &booter{
		Self:   types.ManagedObjectReference{Type: "VspherepoolBooter", Value: "booter"},
		ctx:    ctx,
		model:  model,
		delay:  delay,
		guests: map[types.ManagedObjectReference]*guest{},
	}
	model.Map().AddHandler(b)
	return b
}

// Reference is the handler's key.
func (b *booter) Reference() types.ManagedObjectReference { return b.Self }

// PutObject does nothing.
func (b *booter) PutObject(*simulator.Context, mo.Reference) {}

// RemoveObject forgets a destroyed VM.
func (b *booter) RemoveObject(_ *simulator.Context, ref types.ManagedObjectReference) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.guests, ref)
}

// UpdateObject sees power states change, under the VM's lock.
func (b *booter) UpdateObject(ctx *simulator.Context, obj mo.Reference, changes []types.PropertyChange) {
	if obj.Reference().Type != "VirtualMachine" {
		return
	}
	for _, c := range changes {
		if c.Name == "runtime.powerState" {
			b.switched(ctx, obj.Reference(), fmt.Sprint(c.Val) == string(types.VirtualMachinePowerStatePoweredOn))
		}
	}
}

func (b *booter) switched(ctx *simulator.Context, ref types.ManagedObjectReference, on bool) {
	boot := b.count(ref)
	vm, ok := b.model.Map().Get(ref).(*simulator.VirtualMachine)
	if !ok || b.ctx.Err() != nil {
		return
	}
	if !on {
		ctx.Update(vm, silence(vm))
		return
	}
	b.workers.Go(func() { b.bring(vm, ref, boot) })
}

// count starts a new generation, which ends what was under way.
func (b *booter) count(ref types.ManagedObjectReference) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.guests[ref]
	if g == nil {
		g = &guest{number: b.addresses.next()}
		b.guests[ref] = g
	}
	g.boots++
	return g.boots
}

// bring lets the boot take its time and then publishes the guest, if it is still the same boot.
func (b *booter) bring(vm *simulator.VirtualMachine, ref types.ManagedObjectReference, boot int) {
	timer := time.NewTimer(b.delay)
	defer timer.Stop()
	select {
	case <-b.ctx.Done():
		return
	case <-timer.C:
	}
	c := &simulator.Context{Context: context.Background(), Map: b.model.Map(), Session: b.model.Service.Context.Session}
	c.WithLock(vm, func() {
		if address, ok := b.address(ref, boot); ok {
			c.Update(vm, speech(vm, address))
		}
	})
}

// address is the guest's, from 10.0.0.0/8 without .0 and .255 hosts; false if the boot was overtaken.
func (b *booter) address(ref types.ManagedObjectReference, boot int) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.guests[ref]
	if g == nil || g.boots != boot {
		return "", false
	}
	n := g.number - 1
	return fmt.Sprintf("10.%d.%d.%d", n/(254*256)%256, n/254%256, n%254+1), true
}

// speech is what VMware Tools tell of a guest that runs.
func speech(vm *simulator.VirtualMachine, address string) []types.PropertyChange {
	return published(vm, address, guestStatus{
		running: types.VirtualMachineToolsRunningStatusGuestToolsRunning, tools: types.VirtualMachineToolsStatusToolsOk,
		state: types.VirtualMachineGuestStateRunning, hostName: vm.Name,
	})
}

// silence is what is known of a guest that does not.
func silence(vm *simulator.VirtualMachine) []types.PropertyChange {
	return append(published(vm, "", guestStatus{
		running: types.VirtualMachineToolsRunningStatusGuestToolsNotRunning, tools: types.VirtualMachineToolsStatusToolsNotRunning,
		state: types.VirtualMachineGuestStateNotRunning,
	}), types.PropertyChange{Name: "summary.runtime.bootTime", Val: nil})
}

type guestStatus struct {
	running  types.VirtualMachineToolsRunningStatus
	tools    types.VirtualMachineToolsStatus
	state    types.VirtualMachineGuestState
	hostName string
}

func published(vm *simulator.VirtualMachine, address string, s guestStatus) []types.PropertyChange {
	version := string(types.VirtualMachineToolsVersionStatusGuestToolsUnmanaged)
	return []types.PropertyChange{
		{Name: "guest.toolsRunningStatus", Val: string(s.running)},
		{Name: "summary.guest.toolsRunningStatus", Val: string(s.running)},
		{Name: "guest.toolsStatus", Val: s.tools},
		{Name: "summary.guest.toolsStatus", Val: s.tools},
		{Name: "guest.toolsVersionStatus2", Val: version},
		{Name: "summary.guest.toolsVersionStatus2", Val: version},
		{Name: "guest.guestState", Val: string(s.state)},
		{Name: "guest.hostName", Val: s.hostName},
		{Name: "summary.guest.hostName", Val: s.hostName},
		{Name: "guest.ipAddress", Val: address},
		{Name: "summary.guest.ipAddress", Val: address},
		{Name: "guest.net", Val: nets(vm, address)},
	}
}

// nets are the guest's network cards; the first one has the address.
func nets(vm *simulator.VirtualMachine, address string) []types.GuestNicInfo {
	list := []types.GuestNicInfo{}
	for _, d := range vm.Config.Hardware.Device {
		nic, ok := d.(types.BaseVirtualEthernetCard)
		if !ok {
			continue
		}
		card := nic.GetVirtualEthernetCard()
		info := types.GuestNicInfo{MacAddress: card.MacAddress, DeviceConfigId: card.Key, Connected: address != ""}
		if i := len(list); i < len(vm.Guest.Net) {
			info.Network = vm.Guest.Net[i].Network
		}
		if len(list) == 0 && address != "" {
			info.IpAddress = []string{address}
			info.IpConfig = &types.NetIpConfigInfo{IpAddress: []types.NetIpConfigInfoIpAddress{{
				IpAddress: address, PrefixLength: 8, State: string(types.NetIpConfigInfoIpAddressStatusPreferred),
			}}}
		}
		list = append(list, info)
	}
	return list
}
