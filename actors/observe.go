package actors

import (
	"cmp"

	"vspherepool/vsphere"
)

// owns says whether the VM is provably this machine.
func (r record) owns(vm vsphere.VM, pool string) bool {
	return vm.Owned(pool) && vm.Mark.Machine == r.ID
}

// ordered says whether the VM carries the mark that the machine's clone was ordered with, whatever instance UUID vCenter gave it.
func (r record) ordered(vm vsphere.VM, pool string) bool {
	return vm.Mark != nil && vm.Mark.Pool == pool && vm.Mark.Machine == r.ID && vm.Mark.UUID == string(r.ID)
}

// uuid is the VM's instance UUID: the machine's id, unless vCenter chose another one for the clone.
func (r record) uuid() string { return cmp.Or(r.UUID, string(r.ID)) }

// up says whether a VM that is on shows what the template asks for, of a guest that is not just being customized.
func (s settings) up(vm vsphere.VM) bool {
	if s.customizes() && (vm.Customization == vsphere.CustomizationRunning || vm.Customization == vsphere.CustomizationFailed) {
		return false
	}
	return s.Ready == vsphere.ReadyPoweredOn || len(vm.IPs) > 0
}

func (s settings) customizes() bool { return s.Customization != "" }

// ready says whether a machine that is on can serve. One that this pool started must have been customized, where the template asks for
// that; of one that was found or attached running nobody knows whether it ever was.
func (s settings) ready(r record, vm vsphere.VM) bool {
	finished := !s.customizes() || r.PoweredOn.IsZero() || vm.Customization == vsphere.CustomizationSucceeded
	return s.up(vm) && finished
}

// sighting is what an observation means to a machine; empty: nothing, because vCenter itself doesn't know.
func sighting(r record, vm vsphere.VM, s settings) event {
	switch {
	case !vm.Connected:
		return ""
	case !r.owns(vm, s.Pool):
		return seenUnowned
	case vm.Mark.Retiring && r.allocated():
		return retireRequested
	case vm.Power != vsphere.PoweredOn:
		return seenOff
	case s.ready(r, vm):
		return seenReady
	default:
		return seenOn
	}
}

// expects says whether an observation tells a machine at work nothing that its record does not say already.
func (r record) expects(o observed, pool string) bool {
	return r.Phase == running && o.vm.Connected && r.owns(o.vm, pool) && !o.vm.Mark.Retiring && o.vm.Power == vsphere.PoweredOn &&
		r.seen(o).looksLike(r)
}

// boots says whether an observation tells a machine that boots only that it still does.
func (r record) boots(o observed, s settings) bool {
	return r.Phase == booting && sighting(r, o.vm, s) == seenOn && o.vm.Customization != vsphere.CustomizationFailed && r.seen(o).looksLike(r)
}

// adoptedPhase is where a machine of which only the VM is known begins.
func adoptedPhase(vm vsphere.VM, s settings) phase {
	switch {
	case vm.Mark.Retiring:
		return retiring
	case vm.Power != vsphere.PoweredOn:
		return adopting
	case s.up(vm):
		return running
	default:
		return booting
	}
}

// adoptedRecord is the record of a machine of which only the VM is known: its marks say what users said of it.
func adoptedRecord(vm vsphere.VM, s settings) record {
	r := record{ID: vm.Mark.Machine, Ref: vm.Ref, Status: vsphere.DefaultStatus(), Phase: adoptedPhase(vm, s), Attached: vm.Mark.Attached}
	if vm.Status != nil {
		r.Status = *vm.Status
	}
	if vm.Mark.Retiring {
		r.Reason = markedRetiring
	}
	return r.withVM(vm)
}

const markedRetiring = "marked as retiring"
