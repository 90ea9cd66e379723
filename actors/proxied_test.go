package actors

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// proxied is the pool over the real driver, in real time: it reaches a served simulator through a proxy that makes trouble. The
// administrator beside it is not troubled.
type proxied struct {
	*stack
	proxy *simulator.Proxy
}

// comeToRest is how long a pool may take to come to rest.
const comeToRest = 3 * time.Minute

// throughProxy starts a pool without machines. The keys of the document replace those that make everything quick.
func throughProxy(t *testing.T, seed uint64, keys map[string]any, change ...func(*vsphere.Connection)) *proxied {
	t.Helper()
	sim, err := simulator.New(simulator.Options{CloneDelay: 100 * time.Millisecond, BootDelay: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	sim.Model().Map().EventManager().MaxCollector = 1000 // sessions that are dropped leave theirs
	if _, err := sim.Serve("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	proxy, err := simulator.NewProxy(sim.Connection().URL, seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	p := &proxied{&stack{rig: &rig{t: t, journal: newMemory(), fuse: &fuse{}}, sim: sim}, proxy}
	if p.admin, err = sim.Client(t.Context()); err != nil {
		t.Fatal(err)
	}
	connection := proxy.Connection()
	for _, f := range change {
		f(&connection)
	}
	document := map[string]any{
		"name": "web", "cloudApiSettings": connection, "provisioningTemplate": sim.Template(), "retention": "5s",
		"poolFetch": map[string]any{
			"refreshInterval": "500ms", "eventInterval": "200ms", "retries": map[string]any{"initialBackoffDelay": "200ms"},
		},
	}
	maps.Copy(document, keys)
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	p.config = string(text)
	p.begin()
	t.Cleanup(func() {
		p.make(simulator.Trouble{})
		p.stop()
	})
	return p
}

// begin is launch over the network.
func (p *proxied) begin() {
	p.t.Helper()
	connector := vsphere.NewConnector("test")
	pool, err := start(Options{
		Journal: p.journal, Config: []byte(p.config), Log: slog.New(slog.NewTextHandler(&p.log, nil)),
		Connect: func(ctx context.Context, pool string, c vsphere.Connection, t vsphere.Template) (Provider, error) {
			client, err := connector.Connect(ctx, pool, c, t)
			if err != nil {
				return nil, err
			}
			return client, nil
		},
	}, audit(p.t))
	if err != nil {
		p.t.Fatal(err)
	}
	p.pool = pool
	if err := pool.Ready(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *proxied) make(t simulator.Trouble) {
	p.t.Helper()
	if err := p.proxy.Make(t); err != nil {
		p.t.Error(err)
	}
}

// within waits until something is so.
func (p *proxied) within(d time.Duration, what string, so func() bool) {
	p.t.Helper()
	if !p.holds(d, func() bool { return !so() }) {
		return
	}
	st, _ := p.pool.Status(p.t.Context())
	v, err := p.pool.View(p.t.Context())
	p.t.Fatalf("after %v still not so: %s; status %+v; view %+v, %v\n%s", d, what, st, values(v), err, p.log.String())
}

// holds says whether something stays so for a while.
func (p *proxied) holds(d time.Duration, so func() bool) bool {
	end := time.After(d)
	for {
		if !so() {
			return false
		}
		select {
		case <-end:
			return true
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// settled says whether the pool is at rest with n machines.
func (p *proxied) settled(n int) bool {
	v, err := p.pool.View(p.t.Context())
	if err != nil {
		return false
	}
	live := 0
	for _, m := range v.Machines {
		switch m.State {
		case Running:
			live++
		case Requested, Pending, Terminating:
			return false
		case Rejected, Terminated:
		}
	}
	return live == n
}

func (p *proxied) grow(n int) {
	p.t.Helper()
	p.resize(n)
	p.within(comeToRest, "as many machines as asked for", func() bool { return p.settled(n) })
}

// recover waits until vSphere has been read again and the pool is at rest.
func (p *proxied) recover(what string, n int) {
	p.t.Helper()
	now := time.Now()
	p.within(comeToRest, what, func() bool {
		v, err := p.pool.View(p.t.Context())
		return err == nil && v.Observed.After(now) && p.settled(n)
	})
}

// running are the ids of the machines that run, sorted.
func (p *proxied) running() []string {
	p.t.Helper()
	var ids []string
	for _, m := range p.in(Running) {
		ids = append(ids, string(m.ID))
	}
	slices.Sort(ids)
	return ids
}

func (p *proxied) logins() int { return p.proxy.Calls()["Login"] }

// foreigner is a VM of somebody else in the pool's folder.
func (p *proxied) foreigner() func() bool {
	p.t.Helper()
	finder := find.NewFinder(p.admin)
	template, err := finder.VirtualMachine(p.t.Context(), p.sim.Template().Template)
	if err != nil {
		p.t.Fatal(err)
	}
	folder, err := finder.Folder(p.t.Context(), p.sim.Template().Folder)
	if err != nil {
		p.t.Fatal(err)
	}
	resources, err := finder.ResourcePool(p.t.Context(), p.sim.Template().ResourcePool)
	if err != nil {
		p.t.Fatal(err)
	}
	made := p.done(template.Clone(p.t.Context(), folder, "somebody-elses", types.VirtualMachineCloneSpec{
		Location: types.VirtualMachineRelocateSpec{Pool: new(resources.Reference())},
	}))
	vm := p.vm(Machine{Metadata: Metadata{VM: made.Result.(types.ManagedObjectReference).Value}})
	return func() bool { return p.exists(vm) }
}

// account checks vSphere itself: one VM per machine, as many as desired.
func (p *proxied) account(desired int) {
	p.t.Helper()
	vms, err := p.provider().Survey(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	machines := map[vsphere.MachineID]bool{}
	for _, vm := range vms {
		machines[vm.Mark.Machine] = true
	}
	if len(vms) != desired || len(machines) != desired {
		p.t.Errorf("%d VMs of %d machines, desired %d", len(vms), len(machines), desired)
	}
}

// long says whether there is time: VSPHEREPOOL_TEST_SEEDS then is how many seeds to try.
func long() bool { return os.Getenv("VSPHEREPOOL_TEST_SEEDS") != "" }

// lasting is a time that is long enough to see something in; a longer one if there is time.
func lasting(d time.Duration) time.Duration {
	if long() {
		return 4 * d
	}
	return d
}

// seeds are those to try: a few, or as many as VSPHEREPOOL_TEST_SEEDS says, from VSPHEREPOOL_TEST_SEED on if that is given.
func seeds(t *testing.T, few int) []uint64 {
	t.Helper()
	first := uint64(time.Now().UnixNano())
	if text := os.Getenv("VSPHEREPOOL_TEST_SEED"); text != "" {
		first, _ = strconv.ParseUint(text, 10, 64)
	}
	if n, err := strconv.Atoi(os.Getenv("VSPHEREPOOL_TEST_SEEDS")); err == nil {
		few = n
	}
	list := make([]uint64, few)
	for i := range list {
		list[i] = first + uint64(i)
	}
	return list
}

// together runs subtests at the same time, a few at once, whatever -parallel says: they wait for most of theirs.
func together[K cmp.Ordered, V any](t *testing.T, tests map[K]V, test func(*testing.T, V)) {
	t.Helper()
	var running sync.WaitGroup
	defer running.Wait()
	turns := make(chan struct{}, 8)
	for name, v := range tests {
		turns <- struct{}{}
		running.Go(func() {
			defer func() { <-turns }()
			t.Run(fmt.Sprint(name), func(t *testing.T) { test(t, v) })
		})
	}
}
