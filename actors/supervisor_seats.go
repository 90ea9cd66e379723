package actors

import "vspherepool/vsphere"

// Whatever is done to the seats that readers or the planner could see is done here, but for what is known of a VM's connection, which
// glimpse notes.

// seat gives a member its seat.
func (s *supervisor) seat(rec record) *seat {
	taken := &seat{member: member{rec: rec}}
	s.seats[rec.ID] = taken
	s.lineup, s.directory = nil, nil
	if len(rec.IPs) > 0 {
		s.sight.tenants = nil
	}
	s.views.touch(rec.ID)
	return taken
}

// unseat takes a member's seat away.
func (s *supervisor) unseat(id vsphere.MachineID) {
	delete(s.seats, id)
	s.lineup, s.directory = nil, nil
	s.views.touch(id)
}

// note takes over what is true of a member by now.
func (s *supervisor) note(seat *seat, rec record) {
	if rec.Ref != seat.rec.Ref || rec.live() != seat.rec.live() {
		s.directory = nil
	}
	seat.rec = rec
	s.views.touch(rec.ID)
}

// members are all of them, for reading; going through a map takes several times as long.
func (s *supervisor) members() []*member {
	if s.lineup == nil {
		s.lineup = make([]*member, 0, len(s.seats))
		for _, seat := range s.seats {
			s.lineup = append(s.lineup, &seat.member)
		}
	}
	return s.lineup
}

// directory are the VMs of the live members, and whose they are. It is never written after it was made, for the observer has it too.
type directory struct {
	members map[vsphere.Ref]bool
	ids     map[vsphere.Ref]vsphere.MachineID
}

func (s *supervisor) vms() *directory {
	if s.directory != nil {
		return s.directory
	}
	d := directory{make(map[vsphere.Ref]bool, len(s.seats)), make(map[vsphere.Ref]vsphere.MachineID, len(s.seats))}
	for id, seat := range s.seats {
		if seat.rec.Ref != "" && seat.rec.live() {
			d.members[seat.rec.Ref], d.ids[seat.rec.Ref] = true, id
		}
	}
	s.directory = &d
	return s.directory
}
