package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vspherepool/actors"
)

// poolDoc is the document as a whole.
type poolDoc struct {
	Timestamp string       `json:"timestamp"`
	Machines  []machineDoc `json:"machines"`
}

// plainEncoding is the document made without any earlier one.
func plainEncoding(t rapid.TB, v actors.View) []byte {
	document := poolDoc{timestamp(v.Observed), []machineDoc{}}
	for _, m := range v.Machines {
		document.Machines = append(document.Machines, machineOf(m))
	}
	body, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// history plays changes of a pool: machines come, go, and change, which makes them others.
type history struct {
	view actors.View
	made int
}

func (h *history) step(t *rapid.T) {
	h.view.Observed = h.view.Observed.Add(time.Second)
	machines := slices.Clone(h.view.Machines)
	for range rapid.IntRange(0, 3).Draw(t, "changes") {
		i := rapid.IntRange(0, len(machines)).Draw(t, "which")
		switch {
		case i == len(machines):
			h.made++
			machines = append(machines, &actors.Machine{
				ID: testView.Machines[0].ID, Requested: time.Unix(int64(h.made/2), 0), Metadata: actors.Metadata{Name: fmt.Sprint("<", h.made)},
			})
		case rapid.Bool().Draw(t, "goes"):
			machines = slices.Delete(machines, i, i+1)
		default:
			changed := *machines[i]
			changed.State = rapid.SampledFrom([]actors.MachineState{actors.Running, actors.Pending}).Draw(t, "state")
			machines[i] = &changed
		}
	}
	if rapid.IntRange(0, 9).Draw(t, "disorder") == 0 {
		slices.Reverse(machines)
	}
	h.view.Machines = machines
}

// TestEncodingsInPiecesAreWhole: whatever a document is made of, it is the one made at once.
func TestEncodingsInPiecesAreWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, last := &history{}, &poolEncoding{}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			h.step(t)
			made, err := encodePool(h.view, last)
			if err != nil {
				t.Fatal(err)
			}
			if want := plainEncoding(t, h.view); !bytes.Equal(made.body, want) {
				t.Fatalf("%s\nshould be\n%s", made.body, want)
			}
			last = made
		}
	})
}

// manyMachines is a view of so many.
func manyMachines(n int) actors.View {
	v := actors.View{Observed: time.Unix(0, 0)}
	for i := range n {
		m := *testView.Machines[0]
		m.Requested = m.Requested.Add(time.Duration(i) * time.Second)
		v.Machines = append(v.Machines, &m)
	}
	return v
}

// TestAChangeIsEncodedAlone: the cost of encoding is in proportion to what changed; the rest is copied.
func TestAChangeIsEncodedAlone(t *testing.T) {
	v := manyMachines(1000)
	last, err := encodePool(v, &poolEncoding{})
	if err != nil {
		t.Fatal(err)
	}
	changed := *v.Machines[500]
	changed.State = actors.Terminating
	v.Machines = slices.Clone(v.Machines)
	v.Machines[500] = &changed
	one := testing.AllocsPerRun(20, func() { _, err = encodePool(v, last) })
	all := testing.AllocsPerRun(2, func() { _, err = encodePool(v, &poolEncoding{}) })
	if one > 20 || all < 1000 || err != nil {
		t.Errorf("%g allocations for one change, %g for all: %v", one, all, err)
	}
}

func BenchmarkEncodePool(b *testing.B) {
	v := manyMachines(1000)
	last, err := encodePool(v, &poolEncoding{})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("anew", func(b *testing.B) {
		for b.Loop() {
			_, _ = encodePool(v, &poolEncoding{})
		}
	})
	b.Run("unchanged", func(b *testing.B) {
		for b.Loop() {
			_, _ = encodePool(v, last)
		}
	})
}
