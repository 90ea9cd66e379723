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
	s.attend(taken)
	s.views.touch(rec.ID)
	return taken
}

// unseat takes a member's seat away.
func (s *supervisor) unseat(id vsphere.MachineID) {
	delete(s.seats, id)
	delete(s.followed, id)
	s.lineup, s.directory = nil, nil
	s.views.touch(id)
}

// note takes over what is true of a member by now.
func (s *supervisor) note(seat *seat, rec record) {
	if rec.Ref != seat.rec.Ref || rec.live() != seat.rec.live() {
		s.directory = nil
	}
	seat.rec = rec
	s.attend(seat)
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

// vms are the live members by VM. The map is never written after it was made, for the observer has it too.
func (s *supervisor) vms() map[vsphere.Ref]vsphere.MachineID {
	if s.directory == nil {
		s.directory = make(map[vsphere.Ref]vsphere.MachineID, len(s.seats))
		for id, seat := range s.seats {
			if seat.rec.Ref != "" && seat.rec.live() {
				s.directory[seat.rec.Ref] = id
			}
		}
	}
	return s.directory
}
