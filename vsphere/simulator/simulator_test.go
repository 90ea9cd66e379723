package simulator

import (
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func TestInventory(t *testing.T) {
	l := newLab(t, Options{})
	v := l.read(l.template)
	if !v.Config.Template || v.Config.Hardware.NumCPU != 2 || v.Config.Hardware.MemoryMB != 4096 {
		t.Errorf("template=%t cpus=%d memory=%d", v.Config.Template, v.Config.Hardware.NumCPU, v.Config.Hardware.MemoryMB)
	}
	if v.Snapshot == nil || v.Snapshot.CurrentSnapshot == nil {
		t.Error("template has no snapshot to link to")
	}
	if n := len(cards(v)); n != 1 {
		t.Errorf("template has %d network cards", n)
	}
	if hosts := must(l.find.HostSystemList(t.Context(), clusterPath+"/*"))(t); len(hosts) != 3 {
		t.Errorf("%d hosts", len(hosts))
	}
	if vms := must(l.find.VirtualMachineList(t.Context(), "/DC0/vm/..."))(t); len(vms) != 1 {
		t.Errorf("%d VMs", len(vms))
	}
	tpl := l.sim.Template()
	must(l.find.VirtualMachine(t.Context(), tpl.Template))(t)
	must(l.find.ResourcePool(t.Context(), tpl.ResourcePool))(t)
	must(l.find.Folder(t.Context(), tpl.Folder[:strings.LastIndex(tpl.Folder, "/")]))(t)
	l.sim.Close()
	l.sim.Close()
	if _, err := l.template.PowerState(t.Context()); err == nil {
		t.Error("a closed simulator answers")
	}
}

func cards(v mo.VirtualMachine) object.VirtualDeviceList {
	return object.VirtualDeviceList(v.Config.Hardware.Device).SelectByType((*types.VirtualEthernetCard)(nil))
}

func TestLifeInVirtualTime(t *testing.T) {
	bubble(t, Options{CloneDelay: 3 * time.Hour, BootDelay: 4 * time.Hour}, func(l *lab) {
		start := time.Now()
		spec := l.spec()
		spec.Config = &types.VirtualMachineConfigSpec{
			InstanceUuid: "5029d6b2-bd3e-4a0e-9f8e-1a2b3c4d5e6f", NumCPUs: 4, MemoryMB: 2048,
			ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "vspherepool.mark", Value: "v1"}},
		}
		task := must(l.template.Clone(l.Context(), l.pools, "web-1", spec))(l)
		time.Sleep(time.Hour)
		l.whileCloning(task)
		ref := l.wait(task, nil).Result.(types.ManagedObjectReference)
		if d := time.Since(start).Round(time.Minute); d != 3*time.Hour {
			l.Errorf("the clone took %v", d)
		}
		vm := object.NewVirtualMachine(l.client, ref)
		l.cloned(l.read(vm))
		l.powerCycle(vm)
		l.wait(vm.Destroy(l.Context()))
		if names := l.names(); len(names) != 0 {
			l.Errorf("after destroy: %v", names)
		}
	})
}

func (l *lab) whileCloning(task *object.Task) {
	l.Helper()
	if names := l.names(); len(names) != 0 {
		l.Errorf("exists during the clone: %v", names)
	}
	recent := l.read(l.template).RecentTask
	if recent[len(recent)-1] != task.Reference() {
		l.Errorf("recent tasks %v lack %v", recent, task.Reference())
	}
	var m mo.Task
	if err := task.Properties(l.Context(), task.Reference(), []string{"info"}, &m); err != nil {
		l.Fatal(err)
	}
	if *m.Info.Entity != l.template.Reference() || !strings.HasPrefix(m.Info.DescriptionId, "VirtualMachine.clone") ||
		m.Info.State != types.TaskInfoStateRunning {
		l.Errorf("task: entity %v description %q state %s", m.Info.Entity, m.Info.DescriptionId, m.Info.State)
	}
}

func (l *lab) cloned(v mo.VirtualMachine) {
	l.Helper()
	if v.Name != "web-1" || v.Config.InstanceUuid != "5029d6b2-bd3e-4a0e-9f8e-1a2b3c4d5e6f" {
		l.Errorf("name %q uuid %q", v.Name, v.Config.InstanceUuid)
	}
	if v.Config.Hardware.NumCPU != 4 || v.Config.Hardware.MemoryMB != 2048 || v.Config.Template {
		l.Errorf("cpus %d memory %d template %t", v.Config.Hardware.NumCPU, v.Config.Hardware.MemoryMB, v.Config.Template)
	}
	if d := time.Since(*v.Config.CreateDate); d < 0 || d > time.Minute {
		l.Errorf("created %v ago", d)
	}
	if mark, ok := object.OptionValueList(v.Config.ExtraConfig).GetString("vspherepool.mark"); !ok || mark != "v1" {
		l.Errorf("mark %q", mark)
	}
	if v.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOff {
		l.Errorf("cloned %s", v.Runtime.PowerState)
	}
}

func (l *lab) powerCycle(vm *object.VirtualMachine) {
	l.Helper()
	l.wait(vm.PowerOn(l.Context()))
	time.Sleep(4*time.Hour - time.Minute)
	l.silent(vm)
	if err := vm.ShutdownGuest(l.Context()); !fault.Is(err, &types.ToolsUnavailable{}) {
		l.Errorf("shutdown without tools: %v", err)
	}
	l.wait(vm.PowerOff(l.Context()))
	l.wait(vm.PowerOn(l.Context()))
	time.Sleep(2 * time.Minute) // the first boot would be over now
	l.silent(vm)
	time.Sleep(4 * time.Hour)
	first := l.talks(vm)
	l.wait(vm.Suspend(l.Context()))
	l.silent(vm)
	l.wait(vm.PowerOn(l.Context()))
	time.Sleep(5 * time.Hour)
	if again := l.talks(vm); again != first {
		l.Errorf("address changed from %s to %s", first, again)
	}
	if err := vm.ShutdownGuest(l.Context()); err != nil {
		l.Fatal(err)
	}
	time.Sleep(30 * time.Minute)
	l.talks(vm)
	time.Sleep(time.Hour)
	l.silent(vm)
	if s := l.read(vm).Runtime.PowerState; s != types.VirtualMachinePowerStatePoweredOff {
		l.Errorf("after shutdown: %s", s)
	}
}

func (l *lab) silent(vm *object.VirtualMachine) {
	l.Helper()
	v := l.read(vm)
	if v.Guest.IpAddress != "" || v.Summary.Guest.IpAddress != "" || v.Guest.HostName != "" || len(v.Guest.Net[0].IpAddress) != 0 ||
		v.Guest.ToolsRunningStatus != string(types.VirtualMachineToolsRunningStatusGuestToolsNotRunning) {
		l.Errorf("guest still talks: %+v", v.Guest)
	}
}

func (l *lab) talks(vm *object.VirtualMachine) string {
	l.Helper()
	v := l.read(vm)
	g, nic := v.Guest, v.Guest.Net[0]
	card := cards(v)[0].(types.BaseVirtualEthernetCard).GetVirtualEthernetCard()
	if !strings.HasPrefix(g.IpAddress, "10.") || v.Summary.Guest.IpAddress != g.IpAddress || nic.IpAddress[0] != g.IpAddress {
		l.Errorf("addresses %q %q %v", g.IpAddress, v.Summary.Guest.IpAddress, nic.IpAddress)
	}
	if g.HostName != v.Name || g.ToolsRunningStatus != string(types.VirtualMachineToolsRunningStatusGuestToolsRunning) {
		l.Errorf("host %q tools %s", g.HostName, g.ToolsRunningStatus)
	}
	if nic.MacAddress != card.MacAddress || nic.DeviceConfigId != card.Key || !nic.Connected {
		l.Errorf("network card %+v is not %s/%d", nic, card.MacAddress, card.Key)
	}
	return g.IpAddress
}

func TestClonesRunInParallelAndDiffer(t *testing.T) {
	bubble(t, Options{CloneDelay: time.Hour, BootDelay: time.Minute}, func(l *lab) {
		start := time.Now()
		var tasks []*object.Task
		for _, name := range []string{"a", "b", "c", "d"} {
			tasks = append(tasks, must(l.cloneTask(name))(l))
		}
		seen := map[string]bool{}
		var vms []*object.VirtualMachine
		for _, task := range tasks {
			vm := object.NewVirtualMachine(l.client, l.wait(task, nil).Result.(types.ManagedObjectReference))
			l.wait(vm.PowerOn(l.Context()))
			vms = append(vms, vm)
		}
		time.Sleep(2 * time.Minute)
		for _, vm := range vms {
			seen[l.talks(vm)] = true
			seen[l.read(vm).Guest.Net[0].MacAddress] = true
		}
		if d := time.Since(start); d > 70*time.Minute {
			l.Errorf("four clones took %v", d)
		}
		if len(seen) != 8 {
			l.Errorf("addresses are not distinct: %v", seen)
		}
	})
}

func TestEndpoint(t *testing.T) {
	l := newLab(t, Options{})
	at := must(l.sim.Serve("127.0.0.1:0"))(t)
	conn := l.sim.Connection()
	if conn.URL != at || conn.InsecureSkipVerify || len(conn.Thumbprints) != 1 {
		t.Errorf("connection %+v for %s", conn, at)
	}
	if _, err := l.dial(conn.Password, conn.Thumbprints[0]); err != nil {
		t.Errorf("right password: %v", err)
	}
	if _, err := l.dial("wrong", conn.Thumbprints[0]); !fault.Is(err, &types.InvalidLogin{}) {
		t.Errorf("wrong password: %v", err)
	}
	if _, err := l.dial(conn.Password, ""); err == nil {
		t.Error("an unpinned certificate was accepted")
	}
	if _, err := l.sim.Serve("127.0.0.1:0"); err == nil {
		t.Error("served twice")
	}
}

// dial logs in over HTTPS and reads something; the session ends with the test.
func (l *lab) dial(password, thumbprint string) (*vim25.Client, error) {
	u := must(url.Parse(l.sim.Connection().URL))(l)
	sc := soap.NewClient(u, false)
	if thumbprint != "" {
		sc.SetThumbprint(u.Host, thumbprint)
	}
	l.Cleanup(sc.CloseIdleConnections)
	vc, err := vim25.NewClient(l.Context(), sc)
	if err != nil {
		return nil, err
	}
	if err := session.NewManager(vc).Login(l.Context(), url.UserPassword(User, password)); err != nil {
		return nil, err
	}
	_, err = object.NewVirtualMachine(vc, l.template.Reference()).PowerState(l.Context())
	return vc, err
}

func TestManySimulators(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s, err := New(Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if _, err := s.Client(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestJanitor(t *testing.T) {
	bubble(t, Options{}, func(l *lab) {
		vm := l.clone("old")
		l.wait(vm.PowerOn(l.Context()))
		time.Sleep(taskRetention - time.Second)
		if n := len(l.sim.Model().Map().AllReference("Task")); n == 0 {
			l.Error("tasks were forgotten too early")
		}
		time.Sleep(2 * sweepInterval)
		if n := len(l.sim.Model().Map().AllReference("Task")); n != 0 {
			l.Errorf("%d tasks are left", n)
		}
		if recent := l.read(vm).RecentTask; len(recent) != 0 {
			l.Errorf("still mentioned: %v", recent)
		}
	})
}

func TestHundredClones(t *testing.T) {
	l := newLab(t, Options{})
	start := time.Now()
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 25 {
				task, err := l.cloneTask(string(rune('a'+worker)) + "-" + strings.Repeat("x", i+1))
				if _, err = l.result(task, err); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("100 clones in %v", time.Since(start))
}
