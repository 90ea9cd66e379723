package vsphere

import "time"

// MachineID identifies a pool member for its whole life: the instance UUID chosen before the clone starts, or, for an attached
// VM, the instance UUID it already had. Lower-case RFC 4122 text form.
type MachineID string

// Ref is the managed object id of a virtual machine, for example "vm-1042". It is valid within one vCenter and only as long as
// the VM stays registered; [MachineID] is the durable key.
type Ref string

// Task is the managed object id of a vCenter task, for example "task-77". vCenter forgets a task about ten minutes after its end.
type Task string

// PowerState is a VM's power state, in vSphere's own words.
type PowerState string

// The power states of the vSphere API (VirtualMachinePowerState).
const (
	PoweredOn  PowerState = "poweredOn"
	PoweredOff PowerState = "poweredOff"
	Suspended  PowerState = "suspended"
)

// Unreadable is the [VM].Connection of a VM of which vCenter hides something, mostly for want of a privilege.
const Unreadable = "unreadable"

// VM is one observation of a virtual machine. Values only: copies share nothing that is ever written again.
type VM struct {
	Ref          Ref
	Name         string
	InstanceUUID string
	Power        PowerState
	// Connected is false while vCenter calls the VM disconnected, inaccessible, orphaned or invalid: nothing may be concluded
	// from such an observation. Connection is vCenter's own word for it (VirtualMachineConnectionState), or [Unreadable].
	Connected  bool
	Connection string
	// ToolsRunning says that VMware Tools answer in the guest.
	ToolsRunning bool
	// IPs are the guest's usable addresses, in order of preference: no loopback, link-local, multicast or unspecified ones.
	IPs []string
	// Mark is the ownership mark; nil without one. A mark that does not parse counts as none, but is told by Marked.
	Mark *Mark
	// Marked says that there is a mark, be it one that this version cannot read.
	Marked bool
	// Status is what the mark's companion key says; nil when absent or damaged.
	Status *Status
	// Template says that the VM is marked as a template.
	Template bool
	// Customization is how far a guest customization has come; empty while vCenter says nothing of one.
	Customization Customization
	// ChangeVersion is the configuration's version, for a compare-and-set by [Change].IfVersion. Only with Detail.
	ChangeVersion string
	// Detail says that the fields below were read too. A sweep leaves them out.
	Detail     bool
	CreateDate time.Time
	CPUs       int
	MemoryMiB  int
	Host       string
	Datastore  string
}

// Owned reports whether the VM provably belongs to the pool: its mark names the pool, and the instance UUID in the mark is the
// VM's own, so that a copy made by an administrator, extraConfig and all, is not taken for a member. A VM that was made a template
// is none either.
func (v VM) Owned(pool string) bool {
	return v.Mark != nil && v.Mark.Pool == pool && v.Mark.UUID == v.InstanceUUID && !v.Template
}

// Customization is a state of a guest customization that was part of the clone.
type Customization string

// The states of a guest customization.
const (
	CustomizationRunning   Customization = "running"
	CustomizationSucceeded Customization = "succeeded"
	CustomizationFailed    Customization = "failed"
)

// Cloned is the result of a clone task.
type Cloned struct {
	Ref Ref
	// Queued is how long the task waited in vCenter before it was started (TaskInfo, queueTime to startTime).
	Queued time.Duration
}

// Writer is who keeps the pool: one state directory, at one time. Of two writers of the same pool the one with the higher epoch is
// right, see [Mark].
type Writer struct {
	ID    string
	Epoch int
}

// CloneOrder asks for one machine. Everything else about it comes from the provisioning template of the client.
type CloneOrder struct {
	// ID becomes the instance UUID.
	ID MachineID
	// Name is the VM's name, unique in the pool's folder.
	Name string
	// Status is written next to the mark, in the clone itself.
	Status Status
	// Writer signs the mark.
	Writer Writer
}

// Ownership names a VM together with the proof that a verb checks before it changes anything: see [VM.Owned].
type Ownership struct {
	Ref     Ref
	Machine MachineID
}

// Change is one reconfiguration of a VM's marks. Nil fields stay as they are.
type Change struct {
	// Mark is written, or, if Unmark is set, mark and status are both removed.
	Mark   *Mark
	Unmark bool
	Status *Status
	// IfVersion, if not empty, makes vCenter refuse the write with kind Conflict when the VM's ChangeVersion is another by now.
	// (vcsim does not check it.)
	IfVersion string
}

// Inventory is one complete view of the pool: a sweep either yields all of it or an error.
type Inventory struct {
	// At is when the sweep was started, by this process's clock.
	At time.Time
	// VMs are the VMs of the pool's folder, and those of the asked-for references elsewhere that still exist.
	VMs []VM
}

// Site is what connecting to a vCenter and resolving a provisioning template found out.
type Site struct {
	// VCenter is the vCenter's own instance UUID (about.instanceUuid).
	VCenter string
	// Region is the name of the datacenter that holds the pool's folder.
	Region string
	// Source is the template VM's reference.
	Source Ref
	// CloneMode is the mode in force, [CloneLinked] or [CloneFull].
	CloneMode string
	// CPUs and MemoryMiB are the size of machines to come.
	CPUs      int
	MemoryMiB int
	// Customized says that machines are customized by a specification of vCenter's, and so are not ready before that has succeeded.
	Customized bool
	// NameLimit is the longest VM name, in characters, that a machine may have: 15 where it becomes a Windows computer name; 0: vCenter's
	// own limit of 80.
	NameLimit int
	// Notes are sentences for the operator about choices made for him, such as a clone mode he left open.
	Notes []string
	// Flaw says why no machine can be made: the template, or something else that it refers to, is not there or does not fit. The rest
	// works: machines are followed, stopped and removed. Nil: they can be made.
	Flaw error
}
