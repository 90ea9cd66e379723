package vsphere

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"pgregory.net/rapid"
)

func TestOlder(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want bool
	}{
		{"6.5", "7.0.2.0", true},
		{"6.8.7", "7.0.2.0", true},
		{"7.0.1.1", "7.0.2.0", true},
		{"7.0.2.0", "7.0.2.0", false},
		{"7.0.2", "7.0.2.0", false},
		{"7.0.2.1", "7.0.2.0", false},
		{"8.0.0.0", "7.0.2.0", false},
		{"10.0", "7.0.2.0", false},
		{"", "7.0.2.0", true},
	} {
		if got := older(row.a, row.b); got != row.want {
			t.Errorf("%q older than %q: %t", row.a, row.b, got)
		}
	}
	version := rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.IntRange(0, 12), 1, 4).Draw(t, "parts")
		return strings.Trim(strings.ReplaceAll(fmt.Sprint(parts), " ", "."), "[]")
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := version.Draw(t, "a"), version.Draw(t, "b")
		if older(a, b) && older(b, a) || older(a, a) || older(a, a+".0") {
			t.Fatal(a, b)
		}
	})
}

func TestCustomizationIsReadWhereItExists(t *testing.T) {
	var asked []string
	c := &Client{vim: scripted(&script{answer: func(_ int, req, res soap.HasFault) error {
		asked = req.(*methods.RetrievePropertiesExBody).Req.SpecSet[0].PropSet[0].PathSet
		info := types.GuestInfoCustomizationInfo{CustomizationStatus: "TOOLSDEPLOYPKG_PENDING"}
		page(res, "", vmContent("vm-1", types.DynamicProperty{Name: customizationInfo, Val: info}))
		return nil
	}})}
	c.events, c.hosts, c.reader = newFeed(c.vim), newNames(), newReader(t.Context(), c.one, c.study)
	for _, row := range []struct {
		version, specification string
		asks                   bool
	}{{"6.7.3", "linux", false}, {"7.0.2.0", "linux", true}, {"8.0.3.0", "", false}} {
		c.vim.ServiceContent.About.ApiVersion, c.place.template.Customization = row.version, row.specification
		found, _, err := c.Read(t.Context(), []Ref{"vm-1"})
		if err != nil || slices.Contains(asked, customizationInfo) != row.asks || found[0].Customization != CustomizationRunning {
			t.Errorf("%+v: asked for %v: %+v, %v", row, asked, found, err)
		}
		if slices.Contains(detailProperties, customizationInfo) || slices.Contains(firstProperties, customizationInfo) {
			t.Fatal("the lists of properties were changed")
		}
	}
}

func TestCustomizationStates(t *testing.T) {
	for status, want := range map[string]Customization{
		"": "", "TOOLSDEPLOYPKG_IDLE": "", "TOOLSDEPLOYPKG_PENDING": CustomizationRunning, "TOOLSDEPLOYPKG_RUNNING": CustomizationRunning,
		"TOOLSDEPLOYPKG_SUCCEEDED": CustomizationSucceeded, "TOOLSDEPLOYPKG_FAILED": CustomizationFailed, "new": "",
	} {
		if got := customizationState(types.GuestInfoCustomizationInfo{CustomizationStatus: status}); got != want {
			t.Errorf("%q: %q, want %q", status, got, want)
		}
	}
	if got := customizationState(nil); got != "" {
		t.Errorf("unset: %q", got)
	}
}

// wiredWith is the hardware of a VM with network cards of these MAC addresses.
func wiredWith(macs ...string) types.DynamicProperty {
	list := types.ArrayOfVirtualDevice{VirtualDevice: []types.BaseVirtualDevice{&types.VirtualCdrom{}}}
	for _, mac := range macs {
		card := &types.VirtualVmxnet3{}
		card.MacAddress = mac
		list.VirtualDevice = append(list.VirtualDevice, card)
	}
	return types.DynamicProperty{Name: "config.hardware.device", Val: list}
}

func TestDevicesAreReadOncePerVersion(t *testing.T) {
	version, mac := "v1", "00:50:56:00:00:01"
	withDevices := map[Ref]bool{}
	c := &Client{vim: scripted(&script{answer: func(_ int, req, res soap.HasFault) error {
		clear(withDevices)
		var objects []types.ObjectContent
		for _, spec := range req.(*methods.RetrievePropertiesExBody).Req.SpecSet {
			for _, o := range spec.ObjectSet {
				content := vmContent(o.Obj.Value, types.DynamicProperty{Name: "config.changeVersion", Val: version},
					types.DynamicProperty{Name: "guest.net", Val: types.ArrayOfGuestNicInfo{GuestNicInfo: nics{
						with(nic(4000, true, "10.0.0.5"), "00:50:56:00:00:01", ""), with(nic(4001, true, "10.0.0.6"), "00:50:56:00:00:02", ""),
					}}})
				if slices.Contains(spec.PropSet[0].PathSet, "config.hardware.device") {
					withDevices[Ref(o.Obj.Value)] = true
					content.PropSet = append(content.PropSet, wiredWith(mac))
				}
				objects = append(objects, content)
			}
		}
		page(res, "", objects...)
		return nil
	}})}
	c.events, c.hosts, c.reader = newFeed(c.vim), newNames(), newReader(t.Context(), c.one, c.study)
	expect := func(when string, refs []Ref, asked []Ref, ips ...string) {
		t.Helper()
		found, _, err := c.Read(t.Context(), refs)
		if err != nil || len(withDevices) != len(asked) || len(found) != len(refs) {
			t.Fatalf("%s: devices of %v, found %v, %v", when, withDevices, found, err)
		}
		for _, vm := range found {
			if !slices.Equal(vm.IPs, ips) {
				t.Errorf("%s: %s has %v, want %v", when, vm.Ref, vm.IPs, ips)
			}
		}
	}
	expect("at first", []Ref{"vm-1"}, []Ref{"vm-1"}, "10.0.0.5")
	expect("known", []Ref{"vm-1"}, nil, "10.0.0.5")
	expect("one more", []Ref{"vm-1", "vm-2"}, []Ref{"vm-2"}, "10.0.0.5")
	version, mac = "v2", "00:50:56:00:00:02"
	expect("changed", []Ref{"vm-1"}, nil, "10.0.0.5", "10.0.0.6")
	expect("read anew", []Ref{"vm-1"}, []Ref{"vm-1"}, "10.0.0.6")
	sights, err := c.look(t.Context(), []Ref{"vm-1"}, lightProperties)
	if err != nil || len(withDevices) != 0 || !slices.Equal(sights[0].IPs, []string{"10.0.0.6"}) {
		t.Errorf("a light look: devices of %v, %v, %v", withDevices, sights, err)
	}
}

func TestWiringIsBounded(t *testing.T) {
	var w wiring
	for i := range 3 * wirings {
		w.of(sight{VM: VM{Ref: Ref(fmt.Sprint("vm-", i))}, own: hardware{"x": true}})
	}
	known, unknown := w.split([]Ref{"vm-0", Ref(fmt.Sprint("vm-", 3*wirings-1))})
	if len(w.known) > wirings || len(known) != 1 || len(unknown) != 1 {
		t.Errorf("%d kept, %v known, %v unknown", len(w.known), known, unknown)
	}
}

func TestCardsWithoutAddressTellNothing(t *testing.T) {
	for name, row := range map[string]struct {
		value any
		want  int
		nil   bool
	}{
		"not read":       {nil, 0, true},
		"no cards":       {wiredWith().Val, 0, false},
		"two":            {wiredWith("00:50:56:00:00:01", "00:50:56:00:00:02").Val, 2, false},
		"the same twice": {wiredWith("00:50:56:00:00:01", "00:50:56:00:00:01").Val, 1, false},
		"not yet given":  {wiredWith("00:50:56:00:00:01", "").Val, 0, true},
	} {
		if got := ownCards(row.value); len(got) != row.want || (got == nil) != row.nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestCustomizationOfOlderHosts is a vCenter that has the property over hosts that do not fill it in: the events tell.
func TestCustomizationOfOlderHosts(t *testing.T) {
	c := &Client{vim: scripted(&script{answer: func(_ int, _, res soap.HasFault) error {
		page(res, "", vmContent("vm-1"))
		return nil
	}})}
	c.events, c.hosts, c.reader = newFeed(c.vim), newNames(), newReader(t.Context(), c.one, c.study)
	c.vim.ServiceContent.About.ApiVersion, c.place.template.Customization = "8.0.3.0", "linux"
	c.events.outcomes.note("vm-1", CustomizationSucceeded)
	found, _, err := c.Read(t.Context(), []Ref{"vm-1"})
	if err != nil || len(found) != 1 || found[0].Customization != CustomizationSucceeded {
		t.Errorf("%+v, %v", found, err)
	}
}
