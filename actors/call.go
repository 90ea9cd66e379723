package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

// callKind is what a caller wants of one machine.
type callKind int

const (
	terminateCall callKind = iota
	detachCall
	serviceCall
	membershipCall
)

// call is a caller's request concerning one machine, on its way through the supervisor and the machine.
type call struct {
	kind  callKind
	asker *actor.PID
	// until is when the caller has given up waiting: nothing is started for it after that.
	until time.Time
	// decrement asks for the desired size to go down with the machine; resizes is the number of resizes seen when the call
	// arrived: a resize in between makes the decrement void.
	decrement bool
	resizes   int

	service ServiceState
	// hold says that the call came by API 2.0's path form, where OUT_OF_SERVICE holds the machine and any other state frees it.
	hold       bool
	membership Membership
}

// status is the machine's status after the call.
func (c call) status(s vsphere.Status) vsphere.Status {
	switch c.kind {
	case serviceCall:
		s.Service = string(c.service)
		if c.hold {
			s.Hold = c.service == OutOfService
		}
	case membershipCall:
		s.Active, s.Evictable = c.membership.Active, c.membership.Evictable
	case terminateCall, detachCall:
	}
	return s
}

// leaves says that the machine is no member any more after the call.
func (c call) leaves() bool { return c.kind == terminateCall || c.kind == detachCall }

// admit says why the call cannot be done to a machine with this record; nil: it can.
func (c call) admit(r record) error {
	switch {
	case !r.allocated():
		return refuse(NotFound, "unrecognized machine: %s is %s already, and no member any more", r.ID, r.state())
	case !c.leaves():
		return nil
	case !r.evictable():
		return refuse(Invalid, "machine %s is protected: set membershipStatus.evictable to true, or end its OUT_OF_SERVICE state, first", r.ID)
	case c.kind == detachCall && !detachable(r):
		return refuse(Invalid, "machine %s has no VM to detach yet: wait until it is PENDING, or terminate it", r.ID)
	}
	return nil
}

func detachable(r record) bool {
	_, ok := next(r.Phase, releaseOrdered)
	return ok
}

func notMember(id vsphere.MachineID) error {
	return refuse(NotFound, "unrecognized machine: %s is not a member of the pool; GET /pool lists the members", id)
}

// change is what the call's vSphere step writes.
func (c call) change(r record, pool string) vsphere.Change {
	switch c.kind {
	case terminateCall:
		return vsphere.Change{Mark: &vsphere.Mark{Pool: pool, Machine: r.ID, UUID: r.uuid(), Retiring: true}}
	case detachCall:
		return vsphere.Change{Unmark: true}
	default:
		status := c.status(r.Status)
		return vsphere.Change{Status: &status}
	}
}
