package vsphere

import (
	"cmp"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/vmware/govmomi/vim25/types"
)

// tolerated is how far clocks may be apart before times in events and tasks mislead.
const tolerated = 30 * time.Second

func checkVersion(e *examination) []Finding {
	about := e.c.vim.ServiceContent.About
	return fine("vcenter", about.InstanceUuid, fmt.Sprintf("%s, instance %s", about.FullName, about.InstanceUuid))
}

func checkClock(e *examination) []Finding {
	if e.skew.Abs() <= tolerated {
		return nil
	}
	side := "ahead of"
	if e.skew < 0 {
		side = "behind"
	}
	return []Finding{{
		Check: "clock", Severity: Warning,
		Message: fmt.Sprintf("vCenter's clock is %s %s this machine's: ages and launch times are wrong by that",
			e.skew.Abs().Round(10*time.Second), side),
		Remedy: "synchronize both with the same time servers",
	}}
}

// checkNotes repeats what connecting decided in the operator's place.
func checkNotes(e *examination) []Finding {
	var out []Finding
	for _, note := range e.c.Site().Notes {
		out = append(out, fine("notes", e.template.Template, note)...)
	}
	return out
}

// checkFlaw is what connecting found wrong with the template.
func checkFlaw(e *examination) []Finding {
	if e.c.site.Flaw == nil {
		return nil
	}
	return []Finding{Diagnose("template", e.c.site.Flaw)}
}

// checkVisibility finds objects of which vCenter does not show what the other checks look at.
func checkVisibility(e *examination) []Finding {
	var out []Finding
	for _, t := range e.targets {
		o, shown := e.seen[t.ref]
		if t.on == OnRoot || t.on == onMachine || shown && hidden(o) == nil {
			continue
		}
		reason := "vCenter does not show it"
		if err := hidden(o); err != nil {
			reason = err.Error()
		}
		out = append(out, Finding{
			Check: "visibility", Object: e.name(t), Severity: Warning,
			Message: fmt.Sprintf("%s %s cannot be read and is checked in part only: %s", t.on, e.name(t), reason),
			Remedy:  "grant System.Read on it",
		})
	}
	return out
}

func checkTemplate(e *examination) []Finding {
	var out []Finding
	for _, t := range e.on(OnTemplate) {
		o, name := e.seen[t.ref], e.name(t)
		state := value[types.VirtualMachineConnectionState](o, "runtime.connectionState")
		power := value[types.VirtualMachinePowerState](o, "runtime.powerState")
		switch {
		case state != "" && state != types.VirtualMachineConnectionStateConnected:
			out = append(out, Finding{
				Check: "template", Object: name, Severity: Failure,
				Message: fmt.Sprintf("the template %s is %s: it cannot be cloned", name, state),
				Remedy:  "see to its host and its datastore",
			})
		case power == types.VirtualMachinePowerStatePoweredOn && !e.c.place.linked: // a snapshot's disks are at rest
			out = append(out, Finding{
				Check: "template", Object: name, Severity: Warning,
				Message: fmt.Sprintf("the template %s is powered on: full clones get its disks as after a power failure", name),
				Remedy:  "shut it down, or convert it to a template",
			})
		case state != "":
			out = append(out, fine("template", name, fmt.Sprintf("the template %s is there", name))...)
		}
	}
	return out
}

// checkSnapshot tells what machines are linked to. That there is no such snapshot is the site's flaw.
func checkSnapshot(e *examination) []Finding {
	p := e.c.place
	if !p.linked || p.snapshot == nil {
		return nil
	}
	name := e.name(e.on(OnTemplate)[0])
	return fine("snapshot", name, fmt.Sprintf("machines are linked clones of snapshot %s of %s", p.snapshotName, name))
}

// checkTools goes by what vCenter remembers of the template's last boot, which for an imported image may be nothing: a warning at most.
func checkTools(e *examination) []Finding {
	if e.template.Ready == ReadyPoweredOn {
		return nil
	}
	var out []Finding
	for _, t := range e.on(OnTemplate) {
		status := value[string](e.seen[t.ref], "guest.toolsVersionStatus2")
		if status != string(types.VirtualMachineToolsVersionStatusGuestToolsNotInstalled) {
			continue
		}
		out = append(out, Finding{
			Check: "tools", Object: e.name(t), Severity: Warning,
			Message: fmt.Sprintf("vCenter knows of no VMware Tools in %s: without them no machine shows an address and gets RUNNING", e.name(t)),
			Remedy:  "install open-vm-tools in the template, or set ready to poweredOn",
		})
	}
	return out
}

// longestName is vCenter's limit for the name of a VM, in characters.
const longestName = 80

// checkNames looks at a name as machines will have it. A template that cannot be applied is refused with the configuration.
func checkNames(e *examination) []Finding {
	order, err := sampleOrder(e.template, e.c.pool)
	length, limit := utf8.RuneCountInString(order.Name), cmp.Or(e.c.site.NameLimit, longestName)
	if err != nil || length <= limit {
		return nil
	}
	return []Finding{{
		Check: "names", Object: order.Name, Severity: Failure,
		Message: fmt.Sprintf("machines get names such as %s, of %d characters: they may have %d", order.Name, length, limit),
		Remedy:  "shorten the pool's name or nameTemplate",
	}}
}
