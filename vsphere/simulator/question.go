package simulator

import (
	"context"
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
)

// unanswered are the methods that a VM refuses while it waits for an answer.
var unanswered = []string{"PowerOffVM_Task", "ReconfigVM_Task", "Destroy_Task", "ShutdownGuest"}

// Ask makes a VM wait for an answer, as vCenter shows it; it must exist.
func (s *Simulator) Ask(vm vsphere.Ref, q types.VirtualMachineQuestionInfo) {
	c := &simulator.Context{Context: context.Background(), Map: s.model.Map(), Session: s.model.Service.Context.Session}
	target := s.model.Map().Get(types.ManagedObjectReference{Type: "VirtualMachine", Value: string(vm)})
	c.WithLock(target, func() { c.Update(target, []types.PropertyChange{{Name: "runtime.question", Val: &q}}) })
}

// reply is AnswerVM, which vcsim lacks. Any of the choices will do; another one, or another question's, is refused.
func reply(ctx *simulator.Context, target mo.Reference, r *types.AnswerVM) soap.HasFault {
	vm, ok := target.(*simulator.VirtualMachine)
	if !ok {
		return nil
	}
	body := &methods.AnswerVMBody{Res: &types.AnswerVMResponse{}}
	ctx.WithLock(vm, func() {
		if !offered(vm.Runtime.Question, r) {
			body.Res, body.Fault_ = nil, simulator.Fault("", &types.InvalidArgument{InvalidProperty: "questionId"})
			return
		}
		ctx.Update(vm, []types.PropertyChange{{Name: "runtime.question", Val: nil}})
	})
	return body
}

func offered(q *types.VirtualMachineQuestionInfo, r *types.AnswerVM) bool {
	return q != nil && q.Id == r.QuestionId && slices.ContainsFunc(q.Choice.ChoiceInfo, func(e types.BaseElementDescription) bool {
		return e.GetElementDescription().Key == r.AnswerChoice
	})
}

// pending refuses what a VM does not do before it is answered.
func pending(op *operation, target mo.Reference) types.BaseMethodFault {
	vm, ok := target.(*simulator.VirtualMachine)
	if !ok || vm.Runtime.Question == nil || !slices.Contains(unanswered, op.method) {
		return nil
	}
	return &types.QuestionPending{Text: vm.Runtime.Question.Text}
}
