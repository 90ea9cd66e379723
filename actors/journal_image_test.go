package actors

import (
	"fmt"
	"maps"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"vspherepool/vsphere"
)

// anyChanges are some of the pool and of few machines, the same one more than once now and then.
func anyChanges(t *rapid.T) []Change {
	return rapid.SliceOf(rapid.Custom(func(t *rapid.T) Change {
		id, size := rapid.StringMatching("[a-d]").Draw(t, "id"), rapid.IntRange(0, 9).Draw(t, "size")
		return rapid.SampledFrom([]Change{
			{pool: &PoolRecord{Desired: &size}}, {machine: machineNamed(id, size)}, {forget: vsphere.MachineID(id)},
		}).Draw(t, "change")
	})).Draw(t, "changes")
}

func TestAWriteThatFailedLeavesTheImageAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := newImage()
		if _, err := i.take(anyChanges(t)); err != nil {
			t.Fatal(err)
		}
		before := i
		before.machines = maps.Clone(i.machines)
		changes := anyChanges(t)
		part := i.only(changes)
		if _, err := i.take(changes); err != nil {
			t.Fatal(err)
		}
		i.restore(part)
		if !reflect.DeepEqual(i, before) {
			t.Errorf("%s became %s", before.machines, i.machines)
		}
	})
}

// What a write costs must not grow with the pool.
func TestAWriteCostsWhatItChanges(t *testing.T) {
	cost := func(machines int) float64 {
		i := newImage()
		for n := range machines {
			i.set(machinesBucket, fmt.Sprintf("m-%d", n), []byte("{}"))
		}
		changes := []Change{{machine: machineNamed("m-1", 9)}}
		return testing.AllocsPerRun(10, func() {
			part := i.only(changes)
			if _, err := i.take(changes); err != nil {
				t.Error(err)
			}
			i.restore(part)
		})
	}
	if few, many := cost(10), cost(5000); many > few+5 { // longer numbers cost one
		t.Errorf("%v allocations in a pool of 5000, %v in one of 10", many, few)
	}
}
