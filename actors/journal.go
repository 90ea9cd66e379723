package actors

import "vspherepool/vsphere"

// Journal is the pool's durable memory. One process has it open at a time.
type Journal interface {
	// Load reads everything; an empty journal gives the zero State.
	Load() (State, error)
	// Write makes all changes durable together before it returns, or none.
	Write(changes []Change) error
	Close() error
}

// State is all that a journal holds.
type State struct {
	// Pool is what is known of the pool itself.
	Pool PoolRecord
	// Machines are in no particular order.
	Machines []record
}

// PoolRecord is the durable part of the pool that is not about one machine.
type PoolRecord struct {
	// Desired is the size that was asked for, nil if nobody did yet.
	Desired *int `json:"desired,omitempty"`
	// Document is the configuration document in force, as posted.
	Document []byte `json:"document,omitempty"`
	// Started is false for a pool that was stopped, or configured over the API and not started yet.
	Started bool `json:"started"`
	// Rebuilt says that the members of this journal are complete: VMs with our mark that it doesn't know are orphans, not members
	// of a journal that was lost.
	Rebuilt bool `json:"rebuilt"`
	// Unread are the VMs in the pool's folder that vCenter could not tell about when the members were looked for.
	Unread []vsphere.Ref `json:"unread,omitempty"`
	// VCenter is the instance UUID of the vCenter that the machines live in.
	VCenter string `json:"vcenter,omitempty"`
}

// Change is one entry of a write: exactly one field is set.
type Change struct {
	pool    *PoolRecord
	machine *record
	forget  vsphere.MachineID
}
