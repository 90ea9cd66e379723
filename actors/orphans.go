package actors

import (
	"cmp"
	"slices"
	"time"

	"vspherepool/vsphere"
)

// stray is a VM that is marked as the pool's without being a member.
type stray struct {
	vm vsphere.VM
	// since is when it was first seen so, sweeps how many complete views in a row have had it.
	since  time.Time
	sweeps int
	// twin says that its machine is a member, with another VM.
	twin bool
}

// orphanPatience is how long a VM must have been astray before it may be removed, however old it is: long enough for whatever made it to
// claim it.
const orphanPatience = 15 * time.Minute

// established strays have been seen twice: a VM that is just being destroyed looks like one.
func (o stray) established() bool { return o.sweeps > 1 }

// born is when the VM was made; of one that vCenter gives no date for, when it was first seen astray.
func (o stray) born() time.Time {
	if o.vm.CreateDate.IsZero() {
		return o.since
	}
	return o.vm.CreateDate
}

// nextStrays is what is astray now, with the memory of what was before.
func nextStrays(before map[vsphere.Ref]stray, now []stray) map[vsphere.Ref]stray {
	next := make(map[vsphere.Ref]stray, len(now))
	for _, o := range now {
		if known, again := before[o.vm.Ref]; again {
			o.since, o.sweeps = known.since, known.sweeps
		}
		o.sweeps++
		next[o.vm.Ref] = o
	}
	return next
}

// retirable says whether a stray may be looked at for removal, and why not.
func (o stray) retirable(now time.Time, rails Rails) (bool, string) {
	spared := o.spared()
	switch {
	case !rails.RetireOrphans:
		return false, "reported only: rails.retireOrphans is off"
	case spared != "":
		return false, "left alone: " + spared
	case !o.established() || now.Sub(o.since) < orphanPatience:
		return false, "will be removed if it is still astray at " + o.since.Add(orphanPatience).UTC().Format(time.TimeOnly) + " UTC"
	}
	return true, "about to be removed, unless it is younger than rails.orphanAge"
}

// spared says why the VM is not for this pool to remove; empty: it may be.
func (o stray) spared() string {
	switch {
	case o.twin:
		return "its machine is a member with another VM; see which of the two is right"
	case o.vm.Mark != nil && o.vm.Mark.Attached:
		return "it was attached, so somebody else made it; attach it again, or remove it in vCenter"
	case !o.vm.Connected:
		return "vCenter cannot tell about it now"
	case o.vm.Status != nil && (!o.vm.Status.Evictable || o.vm.Status.Hold):
		return "it is protected"
	default:
		return ""
	}
}

// oldestStray is the one to look at first, of those that may be removed.
func oldestStray(strays map[vsphere.Ref]stray, now time.Time, rails Rails) (stray, bool) {
	var may []stray
	for _, o := range strays {
		if yes, _ := o.retirable(now, rails); yes {
			may = append(may, o)
		}
	}
	if len(may) == 0 {
		return stray{}, false
	}
	return slices.MinFunc(may, stray.compare), true
}

// compare orders strays by how long they are known.
func (o stray) compare(other stray) int {
	return cmp.Or(o.since.Compare(other.since), cmp.Compare(o.vm.Ref, other.vm.Ref))
}
