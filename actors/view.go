package actors

import (
	"cmp"
	"slices"
	"time"

	"vspherepool/vsphere"
)

// MachineState is a machine's state in the API's words.
type MachineState string

// The six states of the API.
const (
	Requested   MachineState = "REQUESTED"
	Rejected    MachineState = "REJECTED"
	Pending     MachineState = "PENDING"
	Running     MachineState = "RUNNING"
	Terminating MachineState = "TERMINATING"
	Terminated  MachineState = "TERMINATED"
)

// Allocated says whether machines in this state count as the pool's resources.
func (s MachineState) Allocated() bool {
	return s == Requested || s == Pending || s == Running
}

// ServiceState is what somebody outside reported about the service on a machine. It has no effect of its own.
type ServiceState string

// The five service states of the API.
const (
	Booting      ServiceState = "BOOTING"
	InService    ServiceState = "IN_SERVICE"
	Unhealthy    ServiceState = "UNHEALTHY"
	OutOfService ServiceState = "OUT_OF_SERVICE"
	UnknownState ServiceState = "UNKNOWN"
)

// Valid says whether the state is one of the five.
func (s ServiceState) Valid() bool {
	switch s {
	case Booting, InService, Unhealthy, OutOfService, UnknownState:
		return true
	}
	return false
}

// Membership is a machine's membership status. Active ones count towards the desired size; only evictable ones are ever terminated.
type Membership struct {
	Active    bool
	Evictable bool
}

// Machine is one member as readers see it. A value: nothing in it changes after it left the actor.
type Machine struct {
	ID    vsphere.MachineID
	State MachineState
	// Membership is the effective one: a machine on hold shows as neither active nor evictable.
	Membership Membership
	Service    ServiceState
	// Region is the datacenter, Size "2cpu-4096MiB".
	Region string
	Size   string
	// Requested is when this server decided to make it, Launched when vCenter created the VM; zero while unknown.
	Requested time.Time
	Launched  time.Time
	PublicIPs []string
	// PrivateIPs are those of RFC 1918 and RFC 4193.
	PrivateIPs []string
	Metadata   Metadata
}

// Compare is negative for a machine that comes before another one in views, and positive for one that comes after it.
func (m *Machine) Compare(other *Machine) int {
	return cmp.Or(m.Requested.Compare(other.Requested), cmp.Compare(m.ID, other.ID))
}

// Metadata is what else is known of a machine; empty fields are unknown.
type Metadata struct {
	// Name is the VM's name now, VM its managed object id.
	Name      string
	VM        string
	Host      string
	Datastore string
	// Error is the last failure, Reason why the machine is in a terminal or leaving state.
	Error  string
	Reason string
}

// View is the pool at one moment, immutable. Equal (Epoch, Version) means equal content.
type View struct {
	// Epoch names this incarnation of the supervisor, Version counts its changes.
	Epoch   string
	Version uint64
	// Observed is when vSphere was last seen whole.
	Observed time.Time
	// Machines are sorted by Requested, then ID. The pointer to a member's is the same in successive views as long as its content is, so
	// that encoders may keep what they made of it; what it points to never changes.
	Machines []*Machine
	Size     Size
}

// Size is the pool in numbers.
type Size struct {
	Observed time.Time
	// Desired is the size in force: what was asked for, clamped to the bounds. Requested is what was asked for.
	Desired   int
	Requested int
	// Allocated counts REQUESTED, PENDING and RUNNING machines; Active those of them that are active.
	Allocated int
	Active    int
}

// Rail is one of the limits that keep a pool from doing harm, as it stands.
type Rail struct {
	// Name is the rail's: "creates", "powerOps", "deletes", "replacements", "freeze", "shrink", "ceiling", "churn", "ownership",
	// "orphans", "writers".
	Name string
	// Limit and Value are in the rail's own unit; a limit of 0 is none. See the README for each one's meaning.
	Limit, Value int
	// Holding says that the rail keeps something from being done now; Reason is the sentence that says what and why, Lift what to do
	// about it by hand. Both empty when it holds nothing.
	Holding bool
	Reason  string
	Lift    string
}

// inForce are the rails that hold something back now.
func inForce(rails []Rail) []Rail {
	return slices.DeleteFunc(slices.Clone(rails), func(r Rail) bool { return !r.Holding })
}

// Freeze says whether the pool holds back by itself or by order, and why.
type Freeze struct {
	// Frozen: replacements wait (or everything, see Reasons). Manual: because somebody said so.
	Frozen bool
	Manual bool
	// Since is when it began; zero unless Frozen.
	Since   time.Time
	Reasons []string
	Rails   []Rail
}

// Stray is a VM that is marked as this pool's without being a member: an orphan.
type Stray struct {
	VM      string
	Name    string
	Machine vsphere.MachineID
	State   string
	Created time.Time
	// Seen is when it was first seen astray, Reason what is known about it and what will become of it.
	Seen   time.Time
	Reason string
}

// Status is the life of the pool as a whole.
type Status struct {
	Started    bool
	Configured bool
	// Pool is the pool's name, empty while unconfigured.
	Pool string
	// Outage says what keeps vCenter from being read, whoever is to blame, Blocked what keeps machines from being made, Frozen why
	// replacements wait; each is a sentence for a person, empty when all is well.
	Outage  string
	Blocked string
	Frozen  string
	// Journal says why nothing can be recorded, and so nothing is begun; empty when all is well.
	Journal string
	// Observed is when vSphere was last seen whole; zero: not yet.
	Observed time.Time
	// Holding are the rails that hold something back now.
	Holding []Rail
	// Unreachable counts the machines whose VMs vCenter cannot tell about.
	Unreachable int
	// Orphans counts VMs that are marked as this pool's without being members, Foreign other VMs in the pool's folder.
	Orphans int
	Foreign int
	// Notes are choices made at the operator's place.
	Notes []string
}
