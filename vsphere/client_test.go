package vsphere_test

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

const pool = "web"

// site is a simulated vCenter and a client of it, both closed with the test.
type site struct {
	*vsphere.Client
	sim *simulator.Simulator
}

func newSite(t *testing.T, edit func(*vsphere.Template)) *site {
	t.Helper()
	sim := newSimulator(t, simulator.Options{})
	template := sim.Template()
	if edit != nil {
		edit(&template)
	}
	vc, err := sim.Client(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := vsphere.New(t.Context(), pool, vc, template)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return &site{Client: c, sim: sim}
}

func newSimulator(t *testing.T, o simulator.Options) *simulator.Simulator {
	t.Helper()
	sim, err := simulator.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	return sim
}

func order(name string) vsphere.CloneOrder {
	return vsphere.CloneOrder{ID: vsphere.MachineID(uuid.NewString()), Name: name, Status: vsphere.DefaultStatus()}
}

// make clones a machine and reads it.
func (s *site) make(t *testing.T, name string) (vsphere.VM, vsphere.Ownership) {
	t.Helper()
	o := order(name)
	task, err := s.Clone(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	made, err := s.Await(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	return s.read(t, made.Ref), vsphere.Ownership{Ref: made.Ref, Machine: o.ID}
}

func (s *site) read(t *testing.T, ref vsphere.Ref) vsphere.VM {
	t.Helper()
	found, absent, err := s.Read(t.Context(), []vsphere.Ref{ref})
	if err != nil || len(found) != 1 || len(absent) != 0 {
		t.Fatalf("read %s: found %v, absent %v, %v", ref, found, absent, err)
	}
	return found[0]
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, err error, want vsphere.Kind) {
	t.Helper()
	if err == nil || vsphere.KindOf(err) != want {
		t.Fatalf("kind %d of %v, want %d", vsphere.KindOf(err), err, want)
	}
}

func TestLifeOfAMachine(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := t.Context()
	vm, own := s.make(t, "web-1")
	if !vm.Owned(pool) || vm.Mark.Machine != own.Machine || vm.InstanceUUID != string(own.Machine) || *vm.Status != vsphere.DefaultStatus() {
		t.Fatalf("clone is %+v", vm)
	}
	if vm.Power != vsphere.PoweredOff || !vm.Connected {
		t.Fatalf("clone is %+v", vm)
	}
	if !vm.Detail || vm.CPUs == 0 || vm.MemoryMiB == 0 || vm.Host == "" || vm.Datastore == "" || vm.CreateDate.IsZero() {
		t.Fatalf("clone is %+v", vm)
	}
	must(t, s.PowerOn(ctx, own))
	must(t, s.PowerOn(ctx, own))
	if got := s.read(t, own.Ref); got.Power != vsphere.PoweredOn {
		t.Fatalf("power is %s", got.Power)
	}
	wantKind(t, s.Destroy(ctx, own), vsphere.WrongState)
	must(t, s.ShutdownGuest(ctx, own))
	must(t, s.PowerOff(ctx, own))
	must(t, s.PowerOff(ctx, own))
	wantKind(t, s.ShutdownGuest(ctx, own), vsphere.WrongState)
	must(t, s.Destroy(ctx, own))
	must(t, s.Destroy(ctx, own))
	must(t, s.PowerOff(ctx, own))
	found, absent, err := s.Read(ctx, []vsphere.Ref{own.Ref})
	if err != nil || len(found) != 0 || len(absent) != 1 {
		t.Fatalf("found %v, absent %v, %v", found, absent, err)
	}
}
