package vsphere

import (
	"errors"
	"fmt"

	"github.com/vmware/govmomi/vim25/types"
)

// explain turns a fault that says no more than "vm-12 does not exist" into the setting that led to vm-12, so that the operator knows what
// is gone, and the template gets resolved anew. Everything else stays what it is.
func (p placement) explain(err error) error {
	what := p.lost(err)
	if what == "" {
		return err
	}
	return &Error{
		Op: "clone vm", Kind: Misconfigured, Fault: nameOf(faultOf(err)), Err: errors.New(what + " cannot be used any more"),
		Hint: "it was deleted, moved or made again; it is looked up again under the same name",
	}
}

// lost names what a fault misses of the template; empty if it is something else, or nothing.
func (p placement) lost(err error) string {
	if p.snapshot != nil && causedBy(err, fault[types.SnapshotFault](), fault[types.InvalidSnapshotFormat]()) {
		return p.snapshotText()
	}
	var ref types.ManagedObjectReference
	switch f := faultOf(err).(type) {
	case *types.ManagedObjectNotFound:
		ref = f.Obj
	case *types.ManagedObjectNotFoundFault:
		ref = f.Obj
	}
	if ref.Value == "" {
		return ""
	}
	return p.textOf(ref)
}

// textOf is how the configuration calls an object; empty if it does not.
func (p placement) textOf(ref types.ManagedObjectReference) string {
	switch {
	case ref.Value == p.source.Value:
		return "template " + p.template.Template
	case p.snapshot != nil && ref.Value == p.snapshot.Value:
		return p.snapshotText()
	case ref.Value == p.folder.Value:
		return "folder " + p.template.Folder
	case ref.Value == p.pool.Value:
		return "resource pool " + p.poolName()
	case p.cluster != nil && ref.Value == p.cluster.Value:
		return "datastore cluster " + p.template.DatastoreCluster
	}
	for _, d := range p.datastores {
		if ref.Value == d.Value {
			return "datastore " + d.Value
		}
	}
	for i, h := range p.hosts {
		if ref.Value == h.Value {
			return "host " + p.template.Hosts[i]
		}
	}
	return ""
}

func (p placement) snapshotText() string {
	return fmt.Sprintf("snapshot %s of template %s", p.snapshotName, p.template.Template)
}
