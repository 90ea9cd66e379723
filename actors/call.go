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
	// signCall has a VM's mark signed anew, by the supervisor's own wish.
	signCall
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
	// before is the machine's status when the call was carried out.
	before vsphere.Status
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
	case terminateCall, detachCall, signCall:
	}
	return s
}

// leaves says that the machine is no member any more after the call.
func (c call) leaves() bool { return c.kind == terminateCall || c.kind == detachCall }

// idle says that there is nothing to write to the machine's VM.
func (c call) idle(r record) bool {
	return !c.leaves() && c.kind != signCall && c.status(r.Status) == r.Status
}

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
func (c call) change(r record, s settings) vsphere.Change {
	mark := vsphere.Mark{Pool: s.Pool, Machine: r.ID, UUID: r.uuid(), Attached: r.Attached, Writer: s.Writer}
	switch c.kind {
	case terminateCall:
		mark.Retiring = true
		return vsphere.Change{Mark: &mark}
	case signCall:
		return vsphere.Change{Mark: &mark}
	case detachCall:
		return vsphere.Change{Unmark: true}
	default:
		status := c.status(r.Status)
		return vsphere.Change{Status: &status}
	}
}
