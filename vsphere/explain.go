package vsphere

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

// explain adds to an error what only vCenter can tell about it: which task is in the way, and whose it is. A fault that says no more
// than it does by itself is returned as it is.
func (c *Client) explain(ctx context.Context, err error) error {
	blocked, ok := faultOf(err).(types.BaseTaskInProgress)
	if !ok {
		return err
	}
	ref := blocked.GetTaskInProgress().Task
	if ref.Value == "" {
		return err
	}
	return &Error{Kind: Busy, Fault: nameOf(faultOf(err)), Err: err, Hint: c.occupant(ctx, ref) + " holds it; it is tried again"}
}

// occupant describes a task, as far as the account may see it: "task-77 (VirtualMachine.createSnapshot by VSPHERE.LOCAL\backup)".
func (c *Client) occupant(ctx context.Context, ref types.ManagedObjectReference) string {
	found, err := c.collect(ctx, objects([]types.ManagedObjectReference{ref}, []string{"info.descriptionId", "info.reason"}, true))
	if err != nil || len(found) == 0 {
		return ref.Value
	}
	var said []string
	if what := value[string](found[0], "info.descriptionId"); what != "" {
		said = append(said, what)
	}
	if who := originator(found[0]); who != "" {
		said = append(said, "by "+who)
	}
	if len(said) == 0 {
		return ref.Value
	}
	return ref.Value + " (" + strings.Join(said, " ") + ")"
}

// originator says who or what started a task.
func originator(o types.ObjectContent) string {
	switch reason := value[any](o, "info.reason").(type) {
	case types.TaskReasonUser:
		return reason.UserName
	case *types.TaskReasonUser: // as a simulator in the same process answers
		return reason.UserName
	case types.TaskReasonSchedule:
		return "the scheduled task " + reason.Name
	case types.TaskReasonAlarm:
		return "the alarm " + reason.AlarmName
	case types.TaskReasonSystem:
		return "vCenter itself"
	}
	return ""
}

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
	texts := map[types.ManagedObjectReference]string{
		p.source: "template " + p.template.Template,
		p.folder: "folder " + p.template.Folder,
		p.pool:   "resource pool " + p.poolName(),
	}
	if p.snapshot != nil {
		texts[*p.snapshot] = p.snapshotText()
	}
	if p.cluster != nil {
		texts[*p.cluster] = "datastore cluster " + p.template.DatastoreCluster
	}
	for _, datastore := range p.datastores {
		texts[datastore] = "datastore " + datastore.Value
	}
	for i, host := range p.hosts {
		texts[host] = "host " + p.template.Hosts[i]
	}
	return texts[types.ManagedObjectReference{Type: ref.Type, Value: ref.Value}] // without the server, which a fault may name
}

func (p placement) snapshotText() string {
	return fmt.Sprintf("snapshot %s of template %s", p.snapshotName, p.template.Template)
}
