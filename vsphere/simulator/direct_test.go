package simulator

import (
	"testing"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func TestDirectCallsAnswerAsOthersDo(t *testing.T) {
	l := newLab(t, Options{})
	client, err := vim25.NewClient(t.Context(), l.sim.Direct())
	if err != nil {
		t.Fatal(err)
	}
	vm := must(find.NewFinder(client).VirtualMachine(t.Context(), templatePath))(t)
	if vm.Reference() != l.template.Reference() {
		t.Errorf("found %s, want %s", vm.Reference(), l.template.Reference())
	}
	var seen, known mo.VirtualMachine
	if err := vm.Properties(t.Context(), vm.Reference(), []string{"name", "config.template"}, &seen); err != nil {
		t.Fatal(err)
	}
	if err := l.template.Properties(t.Context(), vm.Reference(), []string{"name", "config.template"}, &known); err != nil {
		t.Fatal(err)
	}
	if seen.Name != known.Name || seen.Config.Template != known.Config.Template {
		t.Errorf("read %+v, want %+v", seen, known)
	}
	gone := types.ManagedObjectReference{Type: "PropertyCollector", Value: "gone"}
	if _, err := methods.RetrievePropertiesEx(t.Context(), client, &types.RetrievePropertiesEx{This: gone}); err == nil {
		t.Error("a collector that does not exist has answered")
	}
}
