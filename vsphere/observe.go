package vsphere

import (
	"slices"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

var (
	// proofProperties are what a destructive verb reads before it acts.
	proofProperties = []string{
		"name", "runtime.powerState", "runtime.connectionState", "config.instanceUuid", "config.template", "config.changeVersion",
		keyPath(markKey), keyPath(statusKey),
	}
	// lightProperties are what a sweep reads. guest.net is the dearest of them, but without it a sweep would prefer other addresses
	// than a detailed read does.
	lightProperties = append([]string{
		"guest.ipAddress", "guest.net", "guest.toolsRunningStatus", keyPath(localIPv4Key), keyPath(localIPv6Key),
	}, proofProperties...)
	// detailProperties are what is read once per VM and after a hint.
	detailProperties = append([]string{
		"config.createDate", "config.hardware.numCPU", "config.hardware.memoryMB", "config.files.vmPathName", "runtime.host",
	}, lightProperties...)
	// firstProperties are what is read of a VM whose network cards are not known.
	firstProperties = append([]string{"config.hardware.device"}, detailProperties...)
)

// The keys under which cloud-init's VMware datasource tells the addresses of the guest that it runs in (DataSourceVMware.py,
// advertise_local_ip_addrs).
const (
	localIPv4Key = "guestinfo.local-ipv4"
	localIPv6Key = "guestinfo.local-ipv6"
)

func keyPath(key string) string { return `config.extraConfig["` + key + `"]` }

// sight is a VM as it was answered: what [VM] shows, and what needs a second look-up or all properties to be shown.
type sight struct {
	VM
	host  string
	guest guest
	// own are the VM's network cards; nil if they were not read.
	own hardware
	// hides is why a part of it could not be read; nil: all was.
	hides error
}

// setters put one property each into a sight. A value of another type than expected counts as unset.
var setters = map[string]func(*sight, any){
	"name":                    func(s *sight, v any) { s.Name, _ = v.(string) },
	"runtime.powerState":      func(s *sight, v any) { s.Power = power(v) },
	"runtime.connectionState": func(s *sight, v any) { s.Connection = connection(v) },
	"runtime.host":            func(s *sight, v any) { s.host = moid(v) },
	"config.instanceUuid":     func(s *sight, v any) { s.InstanceUUID = strings.ToLower(text(v)) },
	"config.template":         func(s *sight, v any) { s.Template, _ = v.(bool) },
	"config.changeVersion":    func(s *sight, v any) { s.ChangeVersion = text(v) },
	"config.createDate":       func(s *sight, v any) { s.CreateDate, _ = v.(time.Time) },
	"config.hardware.numCPU":  func(s *sight, v any) { s.CPUs = number(v) },
	"config.hardware.memoryMB": func(s *sight, v any) {
		s.MemoryMiB = number(v)
	},
	"config.files.vmPathName": func(s *sight, v any) { s.Datastore, _ = datastorePath(text(v)) },
	"config.hardware.device":  func(s *sight, v any) { s.own = ownCards(v) },
	customizationInfo:         func(s *sight, v any) { s.Customization = customizationState(v) },
	"guest.ipAddress":         func(s *sight, v any) { s.guest.primary = text(v) },
	keyPath(localIPv4Key):     func(s *sight, v any) { s.guest.local[0] = option(v) },
	keyPath(localIPv6Key):     func(s *sight, v any) { s.guest.local[1] = option(v) },
	"guest.toolsRunningStatus": func(s *sight, v any) {
		s.ToolsRunning = v == string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)
	},
	"guest.net":        func(s *sight, v any) { s.guest.nics = cards(v) },
	keyPath(markKey):   func(s *sight, v any) { s.Mark, s.Marked = readMark(v), option(v) != "" },
	keyPath(statusKey): func(s *sight, v any) { s.Status = readStatus(v) },
}

// observe turns an answer into a sight. A VM whose configuration cannot be read (inaccessible, orphaned, still being made) has no
// instance UUID, and so counts as not connected.
func observe(o types.ObjectContent) sight {
	s := sight{VM: VM{Ref: Ref(o.Obj.Value)}}
	for _, p := range o.PropSet {
		if set, ok := setters[p.Name]; ok {
			set(&s, p.Val)
		}
	}
	s.Connected = s.Connection == string(types.VirtualMachineConnectionStateConnected) && s.InstanceUUID != ""
	s.guest.tools = s.ToolsRunning
	return s
}

// sights are the VMs of an answer. One that hides something is shown with what there is of it, and counts as not connected: nothing may
// be concluded from it, but all others are seen as they are.
func (c *Client) sights(a answer) []sight {
	var out []sight
	for _, o := range a.whole {
		if o.Obj.Type == "VirtualMachine" {
			out = append(out, c.sight(o))
		}
	}
	for _, p := range a.partial {
		if p.Obj.Type == "VirtualMachine" {
			s := c.sight(p.ObjectContent)
			s.Connected, s.Connection, s.hides = false, Unreadable, p.reason
			out = append(out, s)
		}
	}
	return out
}

// sight adds to an observation what the client remembers of the VM, and its addresses.
func (c *Client) sight(o types.ObjectContent) sight {
	s := observe(o)
	s.IPs = c.place.template.Addresses.choice().addresses(s.guest, c.cards.of(s))
	if s.Customization == "" { // hosts older than vCenter do not tell it
		s.Customization = c.events.outcomes.of(s.Ref)
	}
	return s
}

// showsCustomization says whether VMs have the property [customizationInfo] here.
func (c *Client) showsCustomization() bool {
	return !older(c.vim.ServiceContent.About.ApiVersion, customizationSince)
}

// shown are the properties to read, with those that not every vCenter has.
func (c *Client) shown(properties []string) []string {
	if c.place.template.Customization == "" || !c.showsCustomization() {
		return properties
	}
	return append(slices.Clone(properties), customizationInfo)
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func number(v any) int {
	n, _ := v.(int32)
	return int(n)
}

func moid(v any) string {
	ref, _ := v.(types.ManagedObjectReference)
	return ref.Value
}

func power(v any) PowerState {
	state, _ := v.(types.VirtualMachinePowerState)
	return PowerState(state)
}

func connection(v any) string {
	state, _ := v.(types.VirtualMachineConnectionState)
	return string(state)
}

func cards(v any) []types.GuestNicInfo {
	a, _ := v.(types.ArrayOfGuestNicInfo)
	return a.GuestNicInfo
}

func option(v any) string {
	o, _ := v.(types.OptionValue)
	return text(o.Value)
}

func readMark(v any) *Mark {
	m, err := ParseMark(option(v))
	if err != nil {
		return nil
	}
	return &m
}

func readStatus(v any) *Status {
	s, err := ParseStatus(option(v))
	if err != nil {
		return nil
	}
	return &s
}

// datastorePath splits "[datastore1] web-1/web-1.vmx" into the datastore's name and the path on it.
func datastorePath(s string) (datastore, path string) {
	rest, bracketed := strings.CutPrefix(s, "[")
	datastore, path, closed := strings.Cut(rest, "]")
	if !bracketed || !closed {
		return "", ""
	}
	return datastore, strings.TrimSpace(path)
}
