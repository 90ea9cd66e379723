package simulator

import (
	"io"
	"log"
	"os"
	"testing"
	"testing/synctest"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // vcsim reports each refused call
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			_, _ = os.Stderr.WriteString(err.Error() + "\n")
			code = 1
		}
	}
	os.Exit(code)
}

// lab is a simulator with a client and what the tests use of its inventory.
type lab struct {
	*testing.T
	sim       *Simulator
	virtual   bool
	client    *vim25.Client
	find      *find.Finder
	template  *object.VirtualMachine
	pool      *object.ResourcePool
	pools     *object.Folder
	templates *object.Folder
}

func newLab(t *testing.T, opts Options) *lab {
	t.Helper()
	sim, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	l := &lab{T: t, sim: sim}
	l.client = must(sim.Client(t.Context()))(t)
	l.find = find.NewFinder(l.client)
	l.template = must(l.find.VirtualMachine(t.Context(), templatePath))(t)
	l.pool = must(l.find.ResourcePool(t.Context(), clusterPath+"/Resources"))(t)
	l.pools = must(l.find.Folder(t.Context(), poolsPath))(t)
	l.templates = must(l.find.Folder(t.Context(), vmPath+"/templates"))(t)
	return l
}

// bubble runs a test in virtual time.
func bubble(t *testing.T, opts Options, test func(*lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, opts)
		l.virtual = true
		test(l)
	})
}

func must[V any](v V, err error) func(testing.TB) V {
	return func(t testing.TB) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (l *lab) spec() types.VirtualMachineCloneSpec {
	pool := l.pool.Reference()
	return types.VirtualMachineCloneSpec{Location: types.VirtualMachineRelocateSpec{Pool: &pool}}
}

func (l *lab) cloneTask(name string) (*object.Task, error) {
	return l.template.Clone(l.Context(), l.pools, name, l.spec())
}

func (l *lab) clone(name string) *object.VirtualMachine {
	l.Helper()
	ref := l.wait(l.cloneTask(name)).Result.(types.ManagedObjectReference)
	return object.NewVirtualMachine(l.client, ref)
}

func (l *lab) wait(task *object.Task, err error) *types.TaskInfo {
	l.Helper()
	info, err := l.result(task, err)
	if err != nil {
		l.Fatal(err)
	}
	return info
}

// result waits for a task. In real time it does so without a property collector, of which each costs CPU at every change in the
// inventory; in virtual time vcsim's own wait would take 360 000 polls an hour.
func (l *lab) result(handle *object.Task, err error) (*types.TaskInfo, error) {
	if err != nil {
		return nil, err
	}
	if l.virtual {
		return handle.WaitForResult(l.Context())
	}
	t := l.sim.Model().Map().Get(handle.Reference()).(*simulator.Task)
	t.Wait()
	if t.Info.Error != nil {
		return nil, task.Error{LocalizedMethodFault: t.Info.Error}
	}
	return &t.Info, nil
}

func (l *lab) read(vm *object.VirtualMachine) mo.VirtualMachine {
	l.Helper()
	var v mo.VirtualMachine
	properties := []string{"name", "parent", "config", "runtime", "guest", "summary", "snapshot", "recentTask"}
	if err := vm.Properties(l.Context(), vm.Reference(), properties, &v); err != nil {
		l.Fatal(err)
	}
	return v
}

func (l *lab) names() []string {
	l.Helper()
	var names []string
	for _, c := range must(l.pools.Children(l.Context()))(l) {
		names = append(names, must(object.NewCommon(l.client, c.Reference()).ObjectName(l.Context()))(l))
	}
	return names
}
