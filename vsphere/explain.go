package vsphere

import (
	"context"
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
