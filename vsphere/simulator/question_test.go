package simulator

import (
	"testing"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
)

func TestQuestionsHoldAVM(t *testing.T) {
	l := newLab(t, Options{})
	vm := l.clone("x")
	l.wait(vm.PowerOn(t.Context()))
	l.sim.Ask(vsphere.Ref(vm.Reference().Value), types.VirtualMachineQuestionInfo{
		Id: "1", Text: "?", Choice: types.ChoiceOption{ChoiceInfo: []types.BaseElementDescription{&types.ElementDescription{Key: "0"}}},
	})
	if q := l.read(vm).Runtime.Question; q == nil || q.Id != "1" {
		t.Fatalf("question %+v", q)
	}
	task, err := vm.PowerOff(t.Context())
	l.refuses("power off", &types.QuestionPending{}, task, err)
	for choice, question := range map[string]string{"1": "1", "0": "2"} {
		if err := vm.Answer(t.Context(), question, choice); !fault.Is(err, &types.InvalidArgument{}) {
			t.Errorf("answer %s to question %s: %v", choice, question, err)
		}
	}
	if err := vm.Answer(t.Context(), "1", "0"); err != nil {
		t.Fatal(err)
	}
	if err := vm.Answer(t.Context(), "1", "0"); !fault.Is(err, &types.InvalidArgument{}) {
		t.Errorf("answered twice: %v", err)
	}
	l.wait(vm.PowerOff(t.Context()))
}
