package actors

import (
	"time"

	"vspherepool/vsphere"
)

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
	// Writer signs the marks: the id of this journal, and its epoch, which is higher than that of any writer whose members it has taken over.
	Writer vsphere.Writer `json:"writer,omitzero"`
	// Owed are the machines that were lost and not replaced yet, Churn the memory of replacements.
	Owed  int   `json:"owed,omitempty"`
	Churn churn `json:"churn,omitzero"`
	// Still, if set, is the order to begin nothing.
	Still *standstill `json:"still,omitempty"`
	// VCenter is the instance UUID of the vCenter that the machines live in.
	VCenter string `json:"vcenter,omitempty"`
}

// standstill is an order to begin nothing, until it is taken back.
type standstill struct {
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
}

// Change is one entry of a write: exactly one field is set.
type Change struct {
	pool    *PoolRecord
	machine *record
	forget  vsphere.MachineID
}
