package vsphere

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// asking is a vCenter that takes a second for each read.
type asking struct {
	mu sync.Mutex
	// sizes are how many objects each call asked for.
	sizes []int
	// refused is what calls for several objects end with, omitted what they leave out.
	refused error
	omitted types.ManagedObjectReference
	gone    types.ManagedObjectReference
}

func (a *asking) alone(ctx context.Context, ref types.ManagedObjectReference, _ []string) (answer, error) {
	a.mu.Lock()
	a.sizes = append(a.sizes, 1)
	a.mu.Unlock()
	time.Sleep(time.Second)
	if ref == a.gone {
		return answer{vanished: map[types.ManagedObjectReference]bool{ref: true}}, ctx.Err()
	}
	return answer{whole: []types.ObjectContent{{Obj: ref}}}, ctx.Err()
}

func (a *asking) together(ctx context.Context, specs ...types.PropertyFilterSpec) (answer, error) {
	a.mu.Lock()
	a.sizes = append(a.sizes, len(specs[0].ObjectSet))
	a.mu.Unlock()
	time.Sleep(time.Second)
	if a.refused != nil {
		return answer{}, a.refused
	}
	var out answer
	for _, o := range specs[0].ObjectSet {
		if o.Obj != a.omitted {
			out.whole = append(out.whole, types.ObjectContent{Obj: o.Obj})
		}
	}
	return out, ctx.Err()
}

// askAll has so many ask at once, and returns their errors and the time that it took.
func askAll(t *testing.T, a *asking, askers int) (errs []error, took time.Duration) {
	t.Helper()
	life, end := context.WithCancel(t.Context())
	r := &reader{life: life, alone: a.alone, together: a.together}
	begun := time.Now()
	errs = make([]error, askers)
	var all sync.WaitGroup
	for i := range askers {
		all.Go(func() {
			ref := vmRef(Ref(fmt.Sprintf("vm-%d", i)))
			var found answer
			if found, errs[i] = r.ask(t.Context(), ref, []string{"name"}); errs[i] == nil {
				_, errs[i] = found.only(ref)
			}
		})
	}
	all.Wait()
	took = time.Since(begun)
	end()
	r.close()
	if _, err := r.ask(t.Context(), vmRef("vm-1"), nil); err == nil {
		t.Error("a closed reader answers")
	}
	return errs, took
}

func TestReaderGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asking{}
		errs, took := askAll(t, a, 100)
		for i, err := range errs {
			if err != nil {
				t.Errorf("vm-%d: %v", i, err)
			}
		}
		if took > time.Second+linger || len(a.sizes) != 1 {
			t.Errorf("%v, in calls of %v", took, a.sizes)
		}
	})
}

// TestReaderGoesOnBesideOneThatHangs has reads come one after the other, sooner than vCenter answers.
func TestReaderGoesOnBesideOneThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		life, end := context.WithCancel(t.Context())
		a := &asking{}
		r := newReader(life, a.alone, a.together)
		begun := time.Now()
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				if _, err := r.ask(t.Context(), vmRef(Ref(fmt.Sprintf("vm-%d", i))), nil); err != nil {
					t.Errorf("vm-%d: %v", i, err)
				}
			})
			time.Sleep(linger * 2)
		}
		all.Wait()
		if took := time.Since(begun); took > 3*time.Second || len(a.sizes) > 2*readsAtOnce {
			t.Errorf("%v, in calls of %v", took, a.sizes)
		}
		end()
		r.close()
	})
}

func TestReaderKeepsTroubleApart(t *testing.T) {
	for name, row := range map[string]struct {
		*asking
		bad int
	}{
		"one is left out":    {&asking{omitted: vmRef("vm-50")}, 0},
		"one is gone":        {&asking{omitted: vmRef("vm-50"), gone: vmRef("vm-50")}, 1},
		"refused together":   {&asking{refused: soapFault(types.InvalidProperty{})}, 0},
		"the network is out": {&asking{refused: io.EOF}, 100},
	} {
		synctest.Test(t, func(t *testing.T) {
			errs, took := askAll(t, row.asking, 100)
			if most := (3 + 100/apartAtOnce) * time.Second; took > most {
				t.Errorf("%s: it took %v, more than %v", name, took, most)
			}
			bad := 0
			for _, err := range errs {
				if err != nil {
					bad++
				}
			}
			if bad < row.bad-1 || bad > row.bad+1 {
				t.Errorf("%s: %d of 100 learned nothing", name, bad)
			}
		})
	}
}

// TestNobodyAsksForThoseWhoGaveUp has a vCenter refuse what it is asked together, and the askers lose patience.
func TestNobodyAsksForThoseWhoGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		life, end := context.WithCancel(t.Context())
		a := &asking{refused: soapFault(types.InvalidProperty{})}
		r := newReader(life, a.alone, a.together)
		impatient, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() { _, _ = r.ask(impatient, vmRef(Ref(fmt.Sprintf("vm-%d", i))), nil) })
		}
		all.Wait()
		begun := time.Now()
		if _, err := r.ask(t.Context(), vmRef("vm-1"), nil); err != nil || time.Since(begun) > 3*time.Second {
			t.Errorf("the next read: %v after %v", err, time.Since(begun))
		}
		end()
		r.close()
	})
}
