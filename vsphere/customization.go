package vsphere

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// windowsNameLimit is the longest name of a Windows computer (NetBIOS). vCenter cuts longer ones, and names that differ at the end only
// become one.
const windowsNameLimit = 15

// chooseCustomization reads the customization specification. It is used as it was then: a change shows with the next configuration.
func (c *Client) chooseCustomization(ctx context.Context, p *placement, source mo.VirtualMachine) error {
	name := p.template.Customization
	if name == "" {
		return nil
	}
	if c.vim.ServiceContent.CustomizationSpecManager == nil {
		return misconfigured(name, "this vCenter has no customization specifications", "leave customization out")
	}
	item, err := object.NewCustomizationSpecManager(c.vim).GetCustomizationSpec(ctx, name)
	if err != nil {
		return unread(name, err)
	}
	p.customization = &item.Spec
	return p.customizable(c.pool, source)
}

func unread(name string, err error) error {
	var e *Error
	errors.As(wrap("read customization specification", name, err), &e)
	switch {
	case e.Fault == fault[types.NotFound]():
		e.Err, e.Hint = errors.New("there is none of that name"), "save it in vCenter, or set customization to one that is"
	case e.Kind == Forbidden:
		e.Hint = "grant the account VirtualMachine.Provisioning.ReadCustSpecs on the root of vCenter's inventory"
	}
	return e
}

// customizable refuses what would make the customization of each machine fail, and only after its clone.
func (p *placement) customizable(pool string, source mo.VirtualMachine) error {
	spec := p.customization
	cards := len(p.template.Networks)
	if cards == 0 {
		cards = len(object.VirtualDeviceList(source.Config.Hardware.Device).SelectByType((*types.VirtualEthernetCard)(nil)))
	}
	if len(spec.NicSettingMap) != cards {
		return misconfigured("customization", fmt.Sprintf("%s is for %d network cards, and machines have %d",
			p.template.Customization, len(spec.NicSettingMap), cards), "make the numbers equal")
	}
	for _, card := range spec.NicSettingMap {
		if _, asks := card.Adapter.Ip.(*types.CustomizationUnknownIpGenerator); asks {
			return misconfigured("customization", p.template.Customization+" asks a person for each machine's address", "let it use DHCP")
		}
	}
	return p.nameable(pool, source.Config.GuestId)
}

// nameable checks the computer names that the specification makes.
func (p *placement) nameable(pool, guest string) error {
	switch computerName(p.customization).(type) {
	case *types.CustomizationUnknownName:
		return misconfigured("customization", p.template.Customization+" asks a person for each machine's computer name",
			"let it use the virtual machine's name")
	case *types.CustomizationFixedName:
		p.notes = append(p.notes, p.template.Customization+" gives all machines the same computer name: let it use the virtual machine's name.")
	}
	limit := p.nameLimit(guest)
	sample, err := sampleOrder(p.template, pool)
	if err != nil || limit == 0 {
		return err
	}
	if n := utf8.RuneCountInString(sample.Name); n > limit {
		return misconfigured("nameTemplate", fmt.Sprintf("it makes names of %d characters, and a Windows computer name has %d at most", n, limit),
			"shorten it; {{.Short}} takes 8 of them")
	}
	return nil
}

// nameLimit is the longest VM name in force; 0 is vCenter's own. A Windows guest that is customized takes the VM's name, unless the
// specification makes another.
func (p placement) nameLimit(guest string) int {
	if p.customization == nil || !p.windows(guest) {
		return 0
	}
	switch computerName(p.customization).(type) {
	case *types.CustomizationFixedName, *types.CustomizationPrefixName, *types.CustomizationCustomName:
		return 0
	}
	return windowsNameLimit
}

// windows says whether the guest is Windows, by the specification or by the template's guest id ("windows2019srv_64Guest",
// "winNetEnterpriseGuest").
func (p placement) windows(guest string) bool {
	switch p.customization.Identity.(type) {
	case *types.CustomizationSysprep, *types.CustomizationSysprepText:
		return true
	}
	return strings.HasPrefix(strings.ToLower(guest), "win")
}

// computerName is how the specification names computers; nil if it does not say.
func computerName(spec *types.CustomizationSpec) types.BaseCustomizationName {
	switch identity := spec.Identity.(type) {
	case *types.CustomizationSysprep:
		return identity.UserData.ComputerName
	case *types.CustomizationLinuxPrep:
		return identity.HostName
	}
	return nil
}
