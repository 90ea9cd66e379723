package vsphere

import (
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
	lightProperties = append([]string{"guest.ipAddress", "guest.net", "guest.toolsRunningStatus"}, proofProperties...)
	// detailProperties are what is read once per VM and after a hint.
	detailProperties = append([]string{
		"config.createDate", "config.hardware.numCPU", "config.hardware.memoryMB", "config.files.vmPathName", "runtime.host",
	}, lightProperties...)
)

func keyPath(key string) string { return `config.extraConfig["` + key + `"]` }

// sight is a VM as it was answered: what [VM] shows, and what needs a second look-up or all properties to be shown.
type sight struct {
	VM
	host    string
	address string
	nics    []types.GuestNicInfo
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
	"guest.ipAddress":         func(s *sight, v any) { s.address = text(v) },
	"guest.toolsRunningStatus": func(s *sight, v any) {
		s.ToolsRunning = v == string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)
	},
	"guest.net":        func(s *sight, v any) { s.nics = cards(v) },
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
	s.IPs = addresses(s.nics, s.address)
	return s
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
