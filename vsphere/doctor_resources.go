package vsphere

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

// checkStores compares each datastore's free space with what one machine takes. It takes a single good one to make machines.
func checkStores(e *examination) []Finding {
	var good, bad []Finding
	need := e.c.place.needs.total()
	for _, t := range e.stores() {
		summary := value[types.DatastoreSummary](e.seen[t.ref], "summary")
		problem := storeProblem(summary, need)
		switch {
		case summary.Name == "": // see checkVisibility
		case problem != "":
			bad = append(bad, Finding{
				Check: "datastores", Object: e.name(t), Severity: Warning, Message: "datastore " + e.name(t) + " " + problem,
				Remedy: "make room or mend it, or name other datastores",
			})
		default:
			good = append(good, fine("datastores", e.name(t), fmt.Sprintf("datastore %s has %s free; a machine takes %s to begin with",
				e.name(t), gib(summary.FreeSpace), gib(need)))...)
		}
	}
	for i := range bad {
		if len(good) == 0 {
			bad[i].Severity = Failure
		}
	}
	return append(bad, good...)
}

// stores are the datastores that machines may lie on, those of a datastore cluster included.
func (e *examination) stores() []target {
	out := e.on(OnDatastore)
	for _, cluster := range e.on(OnDatastoreCluster) {
		for _, ref := range value[types.ArrayOfManagedObjectReference](e.seen[cluster.ref], "childEntity").ManagedObjectReference {
			out = append(out, target{on: OnDatastore, ref: ref})
		}
	}
	return out
}

// storeProblem is why a machine cannot be made on a datastore. No room is more than none: the clones take care to leave some.
func storeProblem(s types.DatastoreSummary, need int64) string {
	if refusal := storeOf(s).refusal; refusal != "" {
		return refusal + ": no machine can be made on it"
	}
	if s.FreeSpace < need+headroom {
		return fmt.Sprintf("has %s free: a machine takes %s, and %s stay free", gib(s.FreeSpace), gib(need), gib(headroom))
	}
	return ""
}

// gib is a number of bytes as vCenter's clients show it.
func gib(bytes int64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }

// checkHosts counts the hosts that can run machines.
func checkHosts(e *examination) []Finding {
	var out []Finding
	ready, all := 0, e.hosts()
	for _, ref := range all {
		problem := hostProblem(e.seen[ref])
		if problem == "" {
			ready++
			continue
		}
		out = append(out, Finding{
			Check: "hosts", Object: e.nameOf(ref), Severity: Warning,
			Message: fmt.Sprintf("host %s %s: it can take no machines", e.nameOf(ref), problem),
			Remedy:  "bring it back, or leave it out",
		})
	}
	if len(all) > 0 && ready == 0 {
		return append(out, Finding{
			Check: "hosts", Severity: Failure, Message: "no host can take machines", Remedy: "bring one back, or choose another resource pool",
		})
	}
	return out
}

func hostProblem(o types.ObjectContent) string {
	state := value[types.HostSystemConnectionState](o, "runtime.connectionState")
	switch {
	case state != "" && state != types.HostSystemConnectionStateConnected:
		return "is " + string(state)
	case value[bool](o, "runtime.inMaintenanceMode"):
		return "is in maintenance mode"
	}
	return ""
}

// checkReach says which hosts do not see a datastore or a network: a machine can only run on those that see all of its own. A network
// of which vCenter names no hosts is of a kind that it does not keep them for.
func checkReach(e *examination) []Finding {
	var out []Finding
	for _, store := range e.stores() {
		if mounts := value[types.ArrayOfDatastoreHostMount](e.seen[store.ref], "host"); has(e.seen[store.ref], "host") {
			out = append(out, e.unseen("datastore "+e.name(store), mounted(mounts.DatastoreHostMount))...)
		}
	}
	for _, network := range append(e.on(OnNetwork), e.ownNetworks()...) {
		hosts := value[types.ArrayOfManagedObjectReference](e.seen[network.ref], "host").ManagedObjectReference
		if len(hosts) > 0 {
			out = append(out, e.unseen("network "+e.name(network), hosts)...)
		}
	}
	return out
}

func (e *examination) ownNetworks() []target {
	var out []target
	for _, ref := range e.inherited() {
		out = append(out, target{ref: ref})
	}
	return out
}

// mounted are the hosts that have access to a datastore now.
func mounted(mounts []types.DatastoreHostMount) []types.ManagedObjectReference {
	var hosts []types.ManagedObjectReference
	for _, m := range mounts {
		if m.MountInfo.Accessible == nil || *m.MountInfo.Accessible {
			hosts = append(hosts, m.Key)
		}
	}
	return hosts
}

// unseen compares the hosts that see something with those that machines may run on.
func (e *examination) unseen(what string, by []types.ManagedObjectReference) []Finding {
	var blind []string
	all := e.hosts()
	for _, host := range all {
		if !slices.Contains(by, host) {
			blind = append(blind, e.nameOf(host))
		}
	}
	f := Finding{Check: "reach", Object: what, Severity: Warning, Remedy: "give the hosts access to it, or choose another"}
	switch {
	case len(blind) == 0:
		return nil
	case len(blind) == len(all):
		f.Severity, f.Message = Failure, "no host of the resource pool sees "+what+": no machine can run there"
	default:
		f.Message = fmt.Sprintf("%s is not seen by %s: machines cannot run there", what, strings.Join(blind, ", "))
	}
	return []Finding{f}
}

// checkDRS is for information: the pool works either way.
func checkDRS(e *examination) []Finding {
	var out []Finding
	for _, t := range e.on(OnCluster) {
		if !has(e.seen[t.ref], "configurationEx") { // a host by itself
			continue
		}
		config := value[types.ClusterConfigInfoEx](e.seen[t.ref], "configurationEx")
		text := "DRS is off on cluster %s: machines start on the host that vCenter cloned them to"
		if on := config.DrsConfig.Enabled; on != nil && *on {
			text = "DRS is on in cluster %s and chooses the machines' hosts"
		}
		out = append(out, fine("drs", e.name(t), fmt.Sprintf(text, e.name(t)))...)
	}
	return out
}
