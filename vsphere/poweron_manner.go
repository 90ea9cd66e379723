package vsphere

import (
	"errors"
	"sync"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// plainSpell is how long VMs are powered on one by one after vCenter has refused to do it together for a reason that stays.
const plainSpell = 10 * time.Minute

// manner is how VMs are powered on here.
type manner struct {
	mu sync.Mutex
	// plain is until when the call for several VMs is not tried, and reason why.
	plain  time.Time
	reason string
}

// isPlain says whether VMs are powered on one by one for now.
func (m *manner) isPlain() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Before(m.plain)
}

// note tells the operator; empty while there is nothing to tell.
func (m *manner) note() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !time.Now().Before(m.plain) {
		return ""
	}
	return "machines are powered on one by one, because vCenter refuses PowerOnMultiVM_Task: " + m.reason
}

// refused says whether err is vCenter's refusal to begin anything. One that is about the method itself will not be another soon.
func (m *manner) refused(err error) bool {
	said := wrap("power on vms", "", err)
	if kind := KindOf(said); kind == Unreachable || kind == Cancelled {
		return false
	}
	if lasting(err) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.plain, m.reason = time.Now().Add(plainSpell), said.Error()
	}
	return true
}

// lasting says whether a refusal is about the method and not about one of the VMs: no privilege on the datacenter, or a vCenter, such as
// a gateway to one, that does not have the method.
func lasting(err error) bool {
	if f, ok := faultOf(err).(*types.NoPermission); ok {
		return f.Object == nil || f.Object.Type != "VirtualMachine"
	}
	return isFault(err, fault[types.NotSupported]()) || isFault(err, fault[types.NotImplemented]()) ||
		isFault(err, fault[types.MethodNotFound]()) || errors.Is(err, errNoDatacenter)
}
