package vsphere

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// powerOnEach powers on vm-1 to vm-n at once and returns their errors.
func powerOnEach(ctx context.Context, c *Client, n int) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = c.PowerOn(ctx, own(fmt.Sprintf("vm-%d", i+1))) })
	}
	wg.Wait()
	return errs
}

// everything attempts all, with tasks.
func (p *plant) everything(vms []string) (any, types.BaseMethodFault, error) {
	var r types.ClusterPowerOnVmResult
	for _, vm := range vms {
		r.Attempted = append(r.Attempted, p.attempt(vm, nil, true))
	}
	return r, nil, nil
}

const (
	works = Kind(-1)
)

// TestPowerOnTogether has three VMs, of which vm-2 is treated specially.
func TestPowerOnTogether(t *testing.T) {
	t.Parallel()
	shortage := &types.InsufficientFailoverResourcesFault{}
	refuse := func(f types.BaseMethodFault) func(*plant) {
		return func(p *plant) {
			p.multi = func([]string) (any, types.BaseMethodFault, error) { return nil, nil, soapFault(f) }
		}
	}
	special := func(change func(p *plant, r *types.ClusterPowerOnVmResult)) func(*plant) {
		return func(p *plant) {
			p.multi = func(vms []string) (any, types.BaseMethodFault, error) {
				r, _, _ := p.everything(slices.DeleteFunc(slices.Clone(vms), func(vm string) bool { return vm == "vm-2" }))
				result := r.(types.ClusterPowerOnVmResult)
				change(p, &result)
				return result, nil, nil
			}
		}
	}
	for name, row := range map[string]struct {
		prepare func(*plant)
		kinds   [3]Kind
		// calls are those that change something, in any order.
		calls []string
	}{
		"all": {func(p *plant) { p.multi = p.everything }, [3]Kind{works, works, works}, []string{"multi vm-1 vm-2 vm-3"}},
		"already on": {func(p *plant) {
			p.multi = p.everything
			p.on("vm-2")
		}, [3]Kind{works, works, works}, []string{"multi vm-1 vm-3"}},
		"not ours": {func(p *plant) {
			p.multi = p.everything
			p.vms["vm-2"]["config.instanceUuid"] = "another"
		}, [3]Kind{works, NotOurs, works}, []string{"multi vm-1 vm-3"}},
		"unreadable": {func(p *plant) {
			p.multi = p.everything
			delete(p.vms["vm-2"], "config.instanceUuid")
		}, [3]Kind{works, Busy, works}, []string{"multi vm-1 vm-3"}},
		"gone": {func(p *plant) {
			p.multi = p.everything
			delete(p.vms, "vm-2")
		}, [3]Kind{works, NotFound, works}, []string{"multi vm-1 vm-3"}},
		"in another folder": {func(p *plant) {
			p.multi = p.everything
			p.vms["vm-2"]["parent"] = types.ManagedObjectReference{Type: "Folder", Value: "group-v2"}
		}, [3]Kind{works, works, works}, []string{"multi vm-1 vm-3", "power on vm-2"}},
		"not attempted": {special(func(_ *plant, r *types.ClusterPowerOnVmResult) {
			r.NotAttempted = []types.ClusterNotAttemptedVmInfo{{Vm: vmRef("vm-2"), Fault: types.LocalizedMethodFault{Fault: shortage}}}
		}), [3]Kind{works, Capacity, works}, []string{"multi vm-1 vm-2 vm-3"}},
		"not attempted, for it is on": {special(func(_ *plant, r *types.ClusterPowerOnVmResult) {
			on := &types.InvalidPowerState{ExistingState: types.VirtualMachinePowerStatePoweredOn}
			r.NotAttempted = []types.ClusterNotAttemptedVmInfo{{Vm: vmRef("vm-2"), Fault: types.LocalizedMethodFault{Fault: on}}}
		}), [3]Kind{works, works, works}, []string{"multi vm-1 vm-2 vm-3"}},
		"not attempted, without a fault": {special(func(_ *plant, r *types.ClusterPowerOnVmResult) {
			r.NotAttempted = []types.ClusterNotAttemptedVmInfo{{Vm: vmRef("vm-2")}}
		}), [3]Kind{works, Unknown, works}, []string{"multi vm-1 vm-2 vm-3"}},
		"recommended": {special(func(_ *plant, r *types.ClusterPowerOnVmResult) {
			target := vmRef("vm-2")
			r.Recommendations = []types.ClusterRecommendation{{Key: "7", Action: []types.BaseClusterAction{
				&types.ClusterInitialPlacementAction{ClusterAction: types.ClusterAction{Target: &target}},
			}}}
		}), [3]Kind{works, works, works}, []string{"multi vm-1 vm-2 vm-3", "power on vm-2"}},
		"left out": {
			special(func(*plant, *types.ClusterPowerOnVmResult) {}),
			[3]Kind{works, works, works},
			[]string{"multi vm-1 vm-2 vm-3", "power on vm-2"},
		},
		"its task fails": {special(func(p *plant, r *types.ClusterPowerOnVmResult) {
			r.Attempted = append(r.Attempted, p.attempt("vm-2", &types.GenericVmConfigFault{Reason: "full"}, true))
		}), [3]Kind{works, Storage, works}, []string{"multi vm-1 vm-2 vm-3"}},
		"no task named, and on": {special(func(p *plant, r *types.ClusterPowerOnVmResult) {
			r.Attempted = append(r.Attempted, p.attempt("vm-2", nil, false))
		}), [3]Kind{works, works, works}, []string{"multi vm-1 vm-2 vm-3"}},
		"no task named, and it fails": {special(func(p *plant, r *types.ClusterPowerOnVmResult) {
			r.Attempted = append(r.Attempted, p.attempt("vm-2", shortage, false))
		}), [3]Kind{works, Capacity, works}, []string{"multi vm-1 vm-2 vm-3"}},
		"no task at all": {special(func(_ *plant, r *types.ClusterPowerOnVmResult) {
			r.Attempted = append(r.Attempted, types.ClusterAttemptedVmInfo{Vm: vmRef("vm-2")})
		}), [3]Kind{works, Busy, works}, []string{"multi vm-1 vm-2 vm-3"}},
		"refused for one": {
			refuse(&types.InvalidArgument{InvalidProperty: "vm"}),
			[3]Kind{works, works, works},
			[]string{"multi vm-1 vm-2 vm-3", "power on vm-1", "power on vm-2", "power on vm-3"},
		},
		"refused by the task": {
			func(p *plant) {
				p.multi = func([]string) (any, types.BaseMethodFault, error) { return nil, &types.NotSupported{}, nil }
			},
			[3]Kind{works, works, works},
			[]string{"multi vm-1 vm-2 vm-3", "power on vm-1", "power on vm-2", "power on vm-3"},
		},
		"cancelled": {
			func(p *plant) {
				p.multi = func([]string) (any, types.BaseMethodFault, error) { return nil, &types.RequestCanceled{}, nil }
			},
			[3]Kind{Cancelled, Cancelled, Cancelled},
			[]string{"multi vm-1 vm-2 vm-3"},
		},
		"lost": {
			func(p *plant) {
				p.multi = func([]string) (any, types.BaseMethodFault, error) { return nil, nil, io.ErrUnexpectedEOF }
			},
			[3]Kind{Unreachable, Unreachable, Unreachable},
			[]string{"multi vm-1 vm-2 vm-3"},
		},
		"one is refused alone as well": {
			func(p *plant) {
				refuse(&types.NotSupported{})(p)
				p.single = func(_, vm string) (types.BaseMethodFault, error) {
					if vm == "vm-2" {
						return shortage, nil
					}
					return nil, nil
				}
			},
			[3]Kind{works, Capacity, works},
			[]string{"multi vm-1 vm-2 vm-3", "power on vm-1", "power on vm-2", "power on vm-3"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, c := newPlant(t, 3)
				row.prepare(p)
				errs := powerOnEach(t.Context(), c, 3)
				for i, err := range errs {
					if (err == nil) != (row.kinds[i] == works) || err != nil && KindOf(err) != row.kinds[i] {
						t.Errorf("vm-%d: %v", i+1, err)
					}
				}
				calls := p.calls()
				slices.Sort(calls)
				if !slices.Equal(calls, row.calls) {
					t.Errorf("calls %q, want %q", calls, row.calls)
				}
			})
		})
	}
}

// TestPowerOnKeepsToTheHosts is that DRS does not get to choose among hosts that the template leaves out.
func TestPowerOnKeepsToTheHosts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newPlant(t, 2)
		p.multi = p.everything
		p.set("vm-1", "runtime.host", oneHost)
		p.set("vm-2", "runtime.host", anotherHost)
		c.place.hosts = []types.ManagedObjectReference{oneHost}
		if err := errors.Join(powerOnEach(t.Context(), c, 2)...); err != nil {
			t.Error(err)
		}
		calls := p.calls()
		slices.Sort(calls)
		if want := []string{"multi vm-2", "power on at host-1 vm-1"}; !slices.Equal(calls, want) {
			t.Errorf("calls %q, want %q", calls, want)
		}
	})
}

func TestPowerOnCostsOneProofAndOneCallForSixteen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newPlant(t, 40)
		p.multi = p.everything
		if err := errors.Join(powerOnEach(t.Context(), c, 40)...); err != nil {
			t.Error(err)
		}
		if calls := p.calls(); len(calls) != 3 || p.reads != 3 {
			t.Errorf("%d proofs, calls %q", p.reads, calls)
		}
	})
}

func TestPowerOnOfOneVMTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newPlant(t, 1)
		p.multi = p.everything
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if err := c.PowerOn(t.Context(), own("vm-1")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if calls := p.calls(); !slices.Equal(calls, []string{"multi vm-1"}) {
			t.Errorf("calls %q", calls)
		}
	})
}

func TestPowerOnStaysPlainForAWhile(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		refusal types.BaseMethodFault
		stays   bool
	}{
		"no privilege on the datacenter": {&types.NoPermission{Object: &datacenter, PrivilegeId: "VirtualMachine.Interact.PowerOn"}, true},
		"no privilege on a VM":           {&types.NoPermission{Object: new(vmRef("vm-1"))}, false},
		"not supported":                  {&types.NotSupported{}, true},
		"not implemented":                {&types.NotImplemented{}, true},
		"unknown method":                 {&types.MethodNotFound{}, true},
		"bad argument":                   {&types.InvalidArgument{}, false},
		"one VM gone":                    {&types.ManagedObjectNotFound{Obj: vmRef("vm-1")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, c := newPlant(t, 3)
				p.multi = func([]string) (any, types.BaseMethodFault, error) { return nil, nil, soapFault(row.refusal) }
				for i, want := range []bool{true, !row.stays, true} {
					vm := fmt.Sprintf("vm-%d", i+1)
					if err := c.PowerOn(t.Context(), own(vm)); err != nil {
						t.Error(err)
					}
					if tried := slices.Contains(p.calls(), "multi "+vm); tried != want {
						t.Errorf("%s: tried together: %t", vm, tried)
					}
					if notes := c.Site().Notes; len(notes) == 1 != row.stays || row.stays && !strings.Contains(notes[0], nameOf(row.refusal)) {
						t.Errorf("notes %q", notes)
					}
					if i == 1 {
						time.Sleep(plainSpell)
					}
				}
			})
		})
	}
}

func TestImpatientPowerOnsEndAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newPlant(t, 3)
		release := make(chan struct{})
		p.multi = p.everything
		c.starts.power = func(all []*powerOn) {
			<-release
			c.powerOnAll(all)
		}
		early, cancelEarly := context.WithTimeout(t.Context(), gatherPause/2)
		defer cancelEarly()
		late, cancelLate := context.WithTimeout(t.Context(), time.Minute)
		defer cancelLate()
		var wg sync.WaitGroup
		for i, ctx := range []context.Context{early, late, t.Context()} {
			wg.Go(func() {
				err := c.PowerOn(ctx, own(fmt.Sprintf("vm-%d", i+1)))
				if (err == nil) != (i == 2) || err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("vm-%d: %v", i+1, err)
				}
			})
		}
		time.Sleep(2 * time.Minute)
		close(release)
		wg.Wait()
		if calls := p.calls(); !slices.Equal(calls, []string{"multi vm-2 vm-3"}) {
			t.Errorf("calls %q", calls)
		}
	})
}

func TestPowerOnEndsWithTheClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newPlant(t, 1)
		p.multi = p.everything
		time.AfterFunc(gatherPause/2, func() { _ = c.Close(t.Context()) })
		for range 2 {
			if err := c.PowerOn(t.Context(), own("vm-1")); !errors.Is(err, errClosed) {
				t.Error(err)
			}
		}
		if calls := p.calls(); len(calls) > 0 {
			t.Errorf("calls %q", calls)
		}
	})
}

// TestPowerOnSurvivesForgetfulVCenter loses all tasks at once, as a restart does.
func TestPowerOnSurvivesForgetfulVCenter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newPlant(t, 1)
		p.multi, p.amnesia = p.everything, true
		err := c.PowerOn(t.Context(), own("vm-1"))
		if KindOf(err) != Busy {
			t.Errorf("a power-on that nobody remembers: %v", err)
		}
		if err := c.PowerOn(t.Context(), own("vm-1")); err != nil {
			t.Errorf("asked again: %v", err)
		}
	})
}

func TestTraceOnlyBelievesYoungTasks(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for name, row := range map[string]struct {
		kind   string
		queued time.Duration
		found  bool
	}{
		"of DRS":      {"Drm.ExecuteVmPowerOnLRO", time.Second, true},
		"of a host":   {"VirtualMachine.powerOn", 0, true},
		"an old one":  {"VirtualMachine.powerOn", -time.Second, false},
		"another one": {"VirtualMachine.reconfigure", time.Second, false},
	} {
		ref, task := begun(types.ObjectContent{Obj: types.ManagedObjectReference{Type: "Task", Value: "task-1"}, PropSet: []types.DynamicProperty{
			{Name: "info.entity", Val: vmRef("vm-1")},
			{Name: "info.descriptionId", Val: row.kind},
			{Name: "info.queueTime", Val: since.Add(row.queued)},
		}}, since)
		if found := ref == "vm-1" && task == "task-1"; found != row.found {
			t.Errorf("%s: %q %q", name, ref, task)
		}
	}
}
