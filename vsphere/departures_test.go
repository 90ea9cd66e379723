package vsphere

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestDeparturesAreNoNewsForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d departures
		without := func() []Ref { return d.without([]Ref{"vm-1", "vm-2", "vm-3"}) }
		if got := without(); len(got) != 3 {
			t.Errorf("nobody leaves: %v", got)
		}
		d.note("vm-1", nil)
		d.note("vm-2", nil)
		d.note("vm-2", errors.New("it is held by a backup"))
		if got := without(); !slices.Equal(got, []Ref{"vm-2", "vm-3"}) {
			t.Errorf("vm-1 leaves, and vm-2 could not: %v", got)
		}
		time.Sleep(departureSpell / 2)
		d.note("vm-1", nil) // powered off, and destroyed a while later
		time.Sleep(departureSpell / 2)
		if got := without(); slices.Contains(got, "vm-1") {
			t.Errorf("vm-1 still leaves: %v", got)
		}
		time.Sleep(departureSpell / 2)
		if got := without(); len(got) != 3 || len(d.since) != 0 {
			t.Errorf("after a while: %v, and %d are remembered", got, len(d.since))
		}
	})
}
