package vsphere

import (
	"context"
	"strings"
	"testing"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// specifying is a client of a vCenter with one customization specification, or a fault instead.
func specifying(spec types.CustomizationSpec, refusal types.BaseMethodFault) *Client {
	vc := scripted(&script{answer: func(_ int, _, res soap.HasFault) error {
		if refusal != nil {
			return soapFault(refusal)
		}
		res.(*methods.GetCustomizationSpecBody).Res = &types.GetCustomizationSpecResponse{
			Returnval: types.CustomizationSpecItem{Spec: spec},
		}
		return nil
	}})
	vc.ServiceContent.CustomizationSpecManager = &types.ManagedObjectReference{Type: "CustomizationSpecManager", Value: "csm"}
	return &Client{pool: "web", vim: vc}
}

// guestOf is a template with network cards.
func guestOf(id string, cards int) mo.VirtualMachine {
	vm := mo.VirtualMachine{Config: &types.VirtualMachineConfigInfo{GuestId: id}}
	for range cards {
		vm.Config.Hardware.Device = append(vm.Config.Hardware.Device, &types.VirtualVmxnet3{})
	}
	return vm
}

func windowsPrep(name types.BaseCustomizationName) types.BaseCustomizationIdentitySettings {
	return &types.CustomizationSysprep{UserData: types.CustomizationUserData{ComputerName: name}}
}

func TestChooseCustomization(t *testing.T) {
	byVM, linux := &types.CustomizationVirtualMachineName{}, &types.CustomizationLinuxPrep{HostName: &types.CustomizationVirtualMachineName{}}
	for name, row := range map[string]struct {
		identity types.BaseCustomizationIdentitySettings
		ip       types.BaseCustomizationIpGenerator
		guest    mo.VirtualMachine
		template Template
		refusal  types.BaseMethodFault
		kind     Kind
		says     string
		limit    int
		notes    int
	}{
		"linux":               {identity: linux, guest: guestOf("ubuntu64Guest", 1)},
		"windows, short":      {identity: windowsPrep(byVM), guest: guestOf("windows2019srv_64Guest", 1), limit: 15},
		"windows by guest id": {identity: linux, guest: guestOf("winNetEnterpriseGuest", 1), limit: 15},
		"windows by identity": {identity: &types.CustomizationSysprepText{}, guest: guestOf("otherGuest", 1), limit: 15},
		"windows, exactly 15": {
			identity: windowsPrep(byVM), guest: guestOf("windows9_64Guest", 1), limit: 15, template: Template{NameTemplate: "abcdefg{{.Short}}"},
		},
		"windows, 16": {
			identity: windowsPrep(byVM), guest: guestOf("windows9_64Guest", 1), limit: 15, template: Template{NameTemplate: "abcdefgh{{.Short}}"},
			kind: Misconfigured, says: "names of 16 characters",
		},
		"windows, long names of its own": {
			identity: windowsPrep(&types.CustomizationPrefixName{Base: "w"}), guest: guestOf("windows9_64Guest", 1),
			template: Template{NameTemplate: "{{.Pool}}-{{.ID}}"},
		},
		"one name for all": {identity: windowsPrep(&types.CustomizationFixedName{Name: "w"}), guest: guestOf("windows9_64Guest", 1), notes: 1},
		"asks for the name": {
			identity: windowsPrep(&types.CustomizationUnknownName{}), guest: guestOf("", 1), kind: Misconfigured, says: "asks a person",
		},
		"asks for addresses": {
			identity: linux, ip: &types.CustomizationUnknownIpGenerator{}, guest: guestOf("", 1), kind: Misconfigured, says: "DHCP",
		},
		"other cards":    {identity: linux, guest: guestOf("", 2), kind: Misconfigured, says: "for 1 network cards, and machines have 2"},
		"cards replaced": {identity: linux, guest: guestOf("", 2), template: Template{Networks: []string{"a"}}},
		"missing":        {refusal: &types.NotFound{}, kind: Misconfigured, says: "customization specification web-guests: there is none"},
		"forbidden":      {refusal: &types.NoPermission{}, kind: Forbidden, says: "VirtualMachine.Provisioning.ReadCustSpecs"},
		"out of order":   {refusal: &types.SystemErrorFault{}, kind: Unknown, says: "web-guests"},
	} {
		spec := types.CustomizationSpec{Identity: row.identity, NicSettingMap: []types.CustomizationAdapterMapping{{
			Adapter: types.CustomizationIPSettings{Ip: row.ip},
		}}}
		p := placement{template: row.template}
		p.template.Customization = "web-guests"
		err := specifying(spec, row.refusal).chooseCustomization(context.Background(), &p, row.guest)
		if row.says != "" {
			if err == nil || KindOf(err) != row.kind || !strings.Contains(err.Error(), row.says) {
				t.Errorf("%s: kind %d, %v", name, KindOf(err), err)
			}
			continue
		}
		if err != nil || p.nameLimit(row.guest.Config.GuestId) != row.limit || len(p.notes) != row.notes {
			t.Errorf("%s: limit %d, notes %q, %v", name, p.nameLimit(row.guest.Config.GuestId), p.notes, err)
		}
		cloned, err := p.spec("web", machine, spot{})
		if err != nil || cloned.Customization == nil || cloned.Customization.Identity != row.identity {
			t.Errorf("%s: %+v, %v", name, cloned.Customization, err)
		}
	}
}

func TestNoCustomization(t *testing.T) {
	p := placement{}
	if err := (&Client{}).chooseCustomization(context.Background(), &p, guestOf("windows9_64Guest", 1)); err != nil || p.customization != nil {
		t.Errorf("%+v, %v", p.customization, err)
	}
	if limit := p.nameLimit("windows9_64Guest"); limit != 0 {
		t.Errorf("limit %d without customization", limit)
	}
	p.template.Customization = "x"
	if err := (&Client{vim: scripted(nil)}).chooseCustomization(context.Background(), &p, mo.VirtualMachine{}); KindOf(err) != Misconfigured {
		t.Errorf("%v", err)
	}
}

func TestTPMIsRenewed(t *testing.T) {
	with, without := []types.BaseVirtualDevice{&types.VirtualTPM{}}, []types.BaseVirtualDevice{&types.VirtualCdrom{}}
	for name, row := range map[string]struct {
		devices []types.BaseVirtualDevice
		version string
		policy  string
		notes   int
	}{
		"8.0":        {with, "8.0.0.1", "replace", 0},
		"9.0":        {with, "9.0.0.0", "replace", 0},
		"10":         {with, "10", "replace", 0},
		"8.0 draft":  {with, "8.0.0.0", "", 1},
		"7.0":        {with, "7.0.3.2", "", 1},
		"unknown":    {with, "", "", 1},
		"no tpm":     {without, "8.0.0.1", "", 0},
		"no tpm 7.0": {without, "7.0.3.2", "", 0},
	} {
		var p placement
		p.chooseTPM(row.devices, row.version)
		spec, err := p.spec("web", machine, spot{})
		if err != nil || spec.TpmProvisionPolicy != row.policy || len(p.notes) != row.notes {
			t.Errorf("%s: policy %q, notes %q, %v", name, spec.TpmProvisionPolicy, p.notes, err)
		}
	}
}
