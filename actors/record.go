package actors

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"vspherepool/vsphere"
)

// record is everything that must survive a crash about one machine: the journal's unit, and a value.
type record struct {
	ID    vsphere.MachineID `json:"id"`
	Name  string            `json:"name"`
	Phase phase             `json:"phase"`
	// Ref is the VM, once known; Task the clone task, once accepted.
	Ref  vsphere.Ref  `json:"ref,omitempty"`
	Task vsphere.Task `json:"task,omitempty"`
	// Source is what the clone was made from: where its task is to be looked for.
	Source vsphere.Ref `json:"source,omitempty"`
	// UUID is the VM's instance UUID where vCenter chose another one than the id.
	UUID string `json:"uuid,omitempty"`
	// Replacement says that it was requested in the place of a machine that was lost.
	Replacement bool `json:"replacement,omitempty"`
	// Attached says that its VM was made by somebody else.
	Attached bool `json:"attached,omitempty"`
	// Names counts the names that turned out to be taken.
	Names  int            `json:"names,omitempty"`
	Status vsphere.Status `json:"status"`

	// Requested is when the intent was made, Launched the VM's create date, PoweredOn when the power-on was done, Ended when a
	// terminal phase was entered.
	Requested time.Time `json:"requested,omitzero"`
	Launched  time.Time `json:"launched,omitzero"`
	PoweredOn time.Time `json:"poweredOn,omitzero"`
	Ended     time.Time `json:"ended,omitzero"`

	Region    string   `json:"region,omitempty"`
	CPUs      int      `json:"cpus,omitempty"`
	MemoryMiB int      `json:"memoryMiB,omitempty"`
	Host      string   `json:"host,omitempty"`
	Datastore string   `json:"datastore,omitempty"`
	IPs       []string `json:"ips,omitempty"`

	// Error is the last failure, Reason why it left or is leaving. Conflict says that an address it shows is another machine's.
	Error    string `json:"error,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Conflict string `json:"conflict,omitempty"`
}

func (r record) state() MachineState { return phases[r.Phase].state }

// allocated and active are the API's arithmetic: active = allocated, membership active, and no out-of-service hold.
func (r record) allocated() bool { return r.state().Allocated() }
func (r record) active() bool    { return r.allocated() && r.Status.Active && !r.Status.Hold }

// evictable says whether the machine may be terminated: a held one is protected like one that a caller protected.
func (r record) evictable() bool { return r.Status.Evictable && !r.Status.Hold }

// enter is the record after a transition: the phase, and what the outcome that caused it brought to light.
func (r record) enter(to phase, o outcome, now time.Time) record {
	from := phases[r.Phase]
	r.Phase = to
	if o.ref != "" {
		r.Ref = o.ref
	}
	if o.task != "" {
		r.Task = o.task
	}
	if o.err != nil {
		r.Error = o.err.Error()
	}
	if o.reason != "" {
		r.Reason = o.reason
	}
	switch {
	case to == booting:
		r.PoweredOn = now
	case to == running:
		r.Error = ""
	case !phases[to].state.lasting() && from.state.lasting():
		r.Ended = now
	}
	return r
}

// lasting states are those that a machine does not only stay in to be remembered.
func (s MachineState) lasting() bool { return s != Terminated && s != Rejected }

// withVM takes over what an observation tells about the machine.
func (r record) withVM(vm vsphere.VM) record {
	r.Name, r.IPs = vm.Name, vm.IPs
	if vm.InstanceUUID != string(r.ID) {
		r.UUID = vm.InstanceUUID
	}
	if vm.Detail {
		r.Launched, r.CPUs, r.MemoryMiB, r.Host, r.Datastore = vm.CreateDate, vm.CPUs, vm.MemoryMiB, vm.Host, vm.Datastore
	}
	return r
}

// seen is the record after an observation of the machine's own VM.
func (r record) seen(o observed) record {
	r = r.withVM(o.vm)
	r.Ref = o.vm.Ref // another one if the VM was registered anew
	r.Conflict = o.conflict
	return r
}

// looksLike compares what observations change. There are many of them, and few tell anything new.
func (r record) looksLike(o record) bool {
	return r.Ref == o.Ref && r.Name == o.Name && r.UUID == o.UUID && r.Conflict == o.Conflict && slices.Equal(r.IPs, o.IPs) &&
		r.CPUs == o.CPUs && r.MemoryMiB == o.MemoryMiB && r.Host == o.Host && r.Datastore == o.Datastore && r.Launched.Equal(o.Launched)
}

// machine is the record as readers see it.
func (r record) machine() Machine {
	m := Machine{
		ID: r.ID, State: r.state(), Service: ServiceState(r.Status.Service), Region: r.Region,
		Membership: membershipOf(r.Status),
		Requested:  r.Requested, Launched: r.Launched,
		Metadata: Metadata{Name: r.Name, VM: string(r.Ref), Host: r.Host, Datastore: r.Datastore, Error: r.trouble(), Reason: r.Reason},
	}
	if r.CPUs > 0 {
		m.Size = fmt.Sprintf("%dcpu-%dMiB", r.CPUs, r.MemoryMiB)
	}
	for _, ip := range r.IPs {
		if isPrivate(ip) {
			m.PrivateIPs = append(m.PrivateIPs, ip)
		} else {
			m.PublicIPs = append(m.PublicIPs, ip)
		}
	}
	return m
}

// trouble is what is wrong with the machine: of one that is on, first that its address is not its own.
func (r record) trouble() string {
	if r.Phase == booting || r.Phase == running {
		return cmp.Or(r.Conflict, r.Error)
	}
	return r.Error
}

// isPrivate goes by RFC 1918 and RFC 4193.
func isPrivate(ip string) bool {
	a, err := netip.ParseAddr(ip)
	return err == nil && a.IsPrivate()
}
