package simulator

import (
	"testing"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// TestPowerOnOfSeveral has three VMs, of which one fails and one takes its time: neither is in the way of the task for all.
func TestPowerOnOfSeveral(t *testing.T) {
	l := newLab(t, Options{})
	var refs []types.ManagedObjectReference
	for _, name := range []string{"good", "bad", "slow"} {
		refs = append(refs, l.clone(name).Reference())
	}
	release := make(chan struct{})
	l.sim.Before(func(_ string, request any) types.BaseMethodFault {
		r, ok := request.(*types.PowerOnVM_Task)
		switch {
		case ok && r.This == refs[1]:
			return &types.NoDiskSpace{}
		case ok && r.This == refs[2]:
			<-release
		}
		return nil
	})
	dc := must(l.find.Datacenter(t.Context(), "/DC0"))(t)
	res := must(methods.PowerOnMultiVM_Task(t.Context(), l.client, &types.PowerOnMultiVM_Task{This: dc.Reference(), Vm: refs}))(t)
	info := l.wait(taskOf(l, res.Returnval), nil)
	attempted := info.Result.(types.ClusterPowerOnVmResult).Attempted
	if len(attempted) != 3 {
		t.Fatalf("attempted %+v", attempted)
	}
	l.wait(taskOf(l, *attempted[0].Task), nil)
	l.refuses("bad", &types.NoDiskSpace{}, taskOf(l, *attempted[1].Task), nil)
	if e := l.state(*attempted[2].Task).Info.Entity; *e != refs[2] {
		t.Errorf("the waiting task shows %v", e)
	}
	close(release)
	l.wait(taskOf(l, *attempted[2].Task), nil)
}

func taskOf(l *lab, ref types.ManagedObjectReference) *object.Task {
	return object.NewTask(l.client, ref)
}

// state reads a task as a client does.
func (l *lab) state(ref types.ManagedObjectReference) (t mo.Task) {
	l.Helper()
	if err := property.DefaultCollector(l.client).RetrieveOne(l.Context(), ref, []string{"info"}, &t); err != nil {
		l.Fatal(err)
	}
	return t
}
