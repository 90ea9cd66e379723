package actors

import (
	"testing"
	"time"

	"vspherepool/vsphere"
)

// TestSeatsAreIndexed lets a pool live through launches, a loss and an end, and looks at what the supervisor keeps beside the seats.
func TestSeatsAreIndexed(t *testing.T) {
	s := crowd(t, 20, 20)
	s.followed = map[vsphere.MachineID]*seat{}
	s.views = newViews(time.Now())
	for i, p := range []phase{booting, draining, terminated, cloning, retiring} {
		seat := s.seats[memberRecord(i).ID]
		rec := seat.rec
		rec.Phase = p
		s.note(seat, rec)
	}
	s.seek(s.seats[memberRecord(9).ID])
	s.unseat(memberRecord(10).ID)
	for id, seat := range s.seats {
		if got := s.vms()[seat.rec.Ref] == id; got != seat.rec.live() {
			t.Errorf("%s in %s: indexed %t", id, seat.rec.Phase, got)
		}
		closely := seat.rec.Phase == booting || seat.rec.Phase == draining || id == memberRecord(9).ID
		if got := s.followed[id] == seat; got != closely {
			t.Errorf("%s in %s: followed %t", id, seat.rec.Phase, got)
		}
	}
	if n := len(s.vms()); n != 18 {
		t.Errorf("%d VMs of 18 live members", n)
	}
	moved := s.seats[memberRecord(12).ID]
	rec := moved.rec
	rec.Ref = "vm-new"
	s.note(moved, rec)
	if s.vms()["vm-new"] != rec.ID {
		t.Error("a VM that was registered anew is not found")
	}
}
