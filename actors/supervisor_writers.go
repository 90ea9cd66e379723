package actors

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

// Every mark is signed by who wrote it: the id of a journal, and an epoch that is higher than that of any writer whose members it has
// taken over. Who meets a signature that outranks its own has been replaced, or has a twin: it stops, and leaves the pool to the other.

// outranks says whether a signature is one that its reader has to yield to: a later writer's, or a twin's.
func outranks(other, own vsphere.Writer) bool {
	return other.Epoch > own.Epoch || other.Epoch == own.Epoch && other.ID != own.ID && other.ID != ""
}

// signature makes sure that there is one: a journal of its own has no epoch until its members are known, one of an earlier version
// begins with the first.
func (s *supervisor) signature(ctx actor.Context) {
	before := s.pool.Writer
	if s.pool.Writer.ID == "" {
		s.pool.Writer.ID = s.NewID()
	}
	if s.pool.Rebuilt {
		s.pool.Writer.Epoch = max(s.pool.Writer.Epoch, 1)
	}
	if s.pool.Writer != before {
		s.commit(ctx, nil, silentStep{})
	}
}

// settings are the machines', with the signature in force.
func (s *supervisor) settings() settings {
	all := s.config.settings()
	all.Writer = s.pool.Writer
	return all
}

// outranked says whether somebody else keeps this pool.
func (s *supervisor) outranked() bool { return s.rival != vsphere.Writer{} }

// rivalry says that somebody else keeps this pool.
func (s *supervisor) rivalry() string {
	return fmt.Sprintf("another vspherepool (%s, epoch %d) keeps this pool, this one (%s, epoch %d) has stopped changing anything: "+
		"stop the other one, then thaw this one with takeOver (vspherepool thaw --take-over)",
		s.rival.ID, s.rival.Epoch, s.pool.Writer.ID, s.pool.Writer.Epoch)
}

// watchWriters looks at who signed the pool's marks.
func (s *supervisor) watchWriters(ctx actor.Context, vms []vsphere.VM) {
	if !s.pool.Rebuilt {
		return // this one has no epoch yet: it is about to take over
	}
	for _, vm := range vms {
		if !vm.Owned(s.config.Name) || !outranks(vm.Mark.Writer, s.pool.Writer) || !outranks(vm.Mark.Writer, s.rival) {
			continue
		}
		s.rival = vm.Mark.Writer
		s.Log.Error("another vspherepool keeps this pool; this one stops changing anything", "pool", s.config.Name, "vm", vm.Name,
			"reason", s.rivalry())
		s.broadcast(ctx)
	}
}

// hand is the provider that machines may work with; none while somebody else keeps the pool.
func (s *supervisor) hand() Provider {
	if s.outranked() {
		return nil
	}
	return s.provider
}

// sign makes sure that one VM at least carries this writer's signature, so that an earlier writer that still lives hears of it.
func (s *supervisor) sign(ctx actor.Context, view panorama) {
	if !s.pool.Rebuilt || s.frozen() != "" {
		return
	}
	for _, vm := range view.own {
		if vm.Mark.Writer == s.pool.Writer {
			return
		}
	}
	if seat := s.signatory(view); seat != nil {
		c := call{kind: signCall, until: time.Now().Add(callTime)}
		seat.open = append(seat.open, c)
		ctx.Send(seat.pid, perform{c})
	}
}

// signatory is a member whose VM can be signed now; nil if there is none.
func (s *supervisor) signatory(view panorama) *seat {
	var first *seat
	for id, vm := range view.own {
		seat := s.seats[id]
		if seat == nil || seat.pid == nil || seat.rec.Phase != running || len(seat.open) > 0 || !vm.Connected {
			continue
		}
		if first == nil || id < first.rec.ID {
			first = seat
		}
	}
	return first
}

func (s *supervisor) writerRail() Rail {
	r := Rail{Name: "writers", Limit: s.pool.Writer.Epoch, Value: max(s.pool.Writer.Epoch, s.rival.Epoch)}
	if s.outranked() {
		r.Holding, r.Reason = true, s.rivalry()
		r.Lift = `vspherepool thaw --take-over, or POST {"frozen": false, "takeOver": true} to /pool/freeze`
	}
	return r
}

// nextEpoch is higher than that of any writer whose members were found.
func nextEpoch(found []vsphere.VM) int {
	epoch := 0
	for _, vm := range found {
		epoch = max(epoch, vm.Mark.Writer.Epoch)
	}
	return epoch + 1
}

// warnOfOthers tells whose members are being taken over: of a server whose state was lost, one hopes.
func (s *supervisor) warnOfOthers(found []vsphere.VM) {
	for _, vm := range found {
		if other := vm.Mark.Writer; other.ID != "" && other.ID != s.pool.Writer.ID {
			s.Log.Warn("members of another state directory are taken over; if its server still runs, that one stops changing anything now",
				"pool", s.config.Name, "writer", other.ID, "count", len(found))
			return
		}
	}
}
