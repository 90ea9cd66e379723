package vsphere

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// shown is what the checks want to see of each type of object.
var shown = map[string][]string{
	"VirtualMachine": {
		"name", "config.template", "config.keyId", "config.vAppConfig", "runtime.powerState", "runtime.connectionState",
		"guest.toolsVersionStatus2", "network",
	},
	"Folder":                      {"name", "childEntity"},
	"Datacenter":                  {"name"},
	"ResourcePool":                {"name", "owner"},
	"VirtualApp":                  {"name", "owner"},
	"Datastore":                   {"name", "summary", "host"},
	"StoragePod":                  {"name", "childEntity"},
	"Network":                     {"name", "host"},
	"DistributedVirtualPortgroup": {"name", "host"},
	"OpaqueNetwork":               {"name", "host"},
	"ComputeResource":             {"name", "host"},
	"ClusterComputeResource":      {"name", "host", "configurationEx"},
	"HostSystem":                  {"name", "runtime.connectionState", "runtime.inMaintenanceMode"},
}

// load reads objects whatever they hide; one that vCenter does not show at all is left out.
func (e *examination) load(ctx context.Context, refs []types.ManagedObjectReference) error {
	spec := types.PropertyFilterSpec{ReportMissingObjectsInResults: new(true)}
	kinds := map[string]bool{}
	for _, ref := range refs {
		if _, known := e.seen[ref]; known || shown[ref.Type] == nil {
			continue
		}
		spec.ObjectSet = append(spec.ObjectSet, types.ObjectSpec{Obj: ref})
		if !kinds[ref.Type] {
			kinds[ref.Type] = true
			spec.PropSet = append(spec.PropSet, types.PropertySpec{Type: ref.Type, PathSet: shown[ref.Type]})
		}
	}
	if len(spec.ObjectSet) == 0 {
		return nil
	}
	answers, err := e.c.collect(ctx, spec)
	for _, o := range answers {
		e.seen[o.Obj] = o
	}
	return err
}

// readAccount asks for the session itself: asking the session manager whether it is active takes a privilege that nobody needs.
func (e *examination) readAccount(ctx context.Context) error {
	var manager mo.SessionManager
	if err := e.c.properties(ctx, *e.c.vim.ServiceContent.SessionManager, &manager, "currentSession"); err != nil {
		return err
	}
	if manager.CurrentSession != nil {
		e.account, e.key = manager.CurrentSession.UserName, manager.CurrentSession.Key
	}
	return nil
}

// readClock compares vCenter's clock with ours in the middle of the call.
func (e *examination) readClock(ctx context.Context) error {
	before := time.Now()
	theirs, err := methods.GetCurrentTime(ctx, e.c.vim)
	if err != nil {
		return err
	}
	e.skew = theirs.Sub(before.Add(time.Since(before) / 2))
	return nil
}

// locate finds the objects that the configuration names: as connecting resolved them, or, where that failed, one by one, so that each
// that is wrong has a finding of its own.
func (e *examination) locate(ctx context.Context) error {
	p := e.c.place
	e.involve(OnRoot, e.c.vim.ServiceContent.RootFolder, "")
	e.involve(OnFolder, p.folder, e.template.Folder)
	if e.c.site.Flaw == nil {
		e.involve(OnTemplate, p.source, e.template.Template)
		e.involve(OnResourcePool, p.pool, e.template.ResourcePool)
		for _, store := range p.datastores {
			e.involve(OnDatastore, store, "")
		}
	}
	for _, n := range e.named() {
		ref, err := e.c.reference(ctx, n.text, n.kinds...)
		err = setting(n.setting, err)
		switch {
		case KindOf(err) == Unreachable && err != nil:
			return err
		case err != nil:
			e.findings = append(e.findings, Diagnose(n.setting, wrap("resolve "+n.setting, n.text, err)))
		default:
			e.involve(n.on, ref, n.text)
		}
	}
	return nil
}

// mention is one reference in the configuration.
type mention struct {
	setting, text string
	on            Scope
	kinds         []string
}

// named are the references that connecting did not resolve, or did not keep.
func (e *examination) named() []mention {
	t := e.template
	var out []mention
	if e.c.site.Flaw != nil {
		out = append(out, mention{"template", t.Template, OnTemplate, []string{"VirtualMachine"}})
		out = append(out, mention{"resourcePool", t.ResourcePool, OnResourcePool, poolKinds})
		for _, store := range append(slices.Clone(t.Datastores), t.Datastore) {
			out = append(out, mention{"datastore", store, OnDatastore, []string{"Datastore"}})
		}
	}
	out = append(out, mention{"datastoreCluster", t.DatastoreCluster, OnDatastoreCluster, []string{"StoragePod"}})
	for _, host := range t.Hosts {
		out = append(out, mention{"host", host, onHost, []string{"HostSystem"}})
	}
	for _, network := range t.Networks {
		out = append(out, mention{"network", network, OnNetwork, []string{"Network", "DistributedVirtualPortgroup", "OpaqueNetwork"}})
	}
	return slices.DeleteFunc(out, func(n mention) bool { return n.text == "" })
}

func (e *examination) involve(on Scope, ref types.ManagedObjectReference, called string) {
	t := target{on: on, ref: ref, called: called}
	if ref.Value != "" && !slices.ContainsFunc(e.targets, func(other target) bool { return other.on == on && other.ref == ref }) {
		e.targets = append(e.targets, t)
	}
}

// on are the objects of one scope.
func (e *examination) on(s Scope) []target {
	return slices.DeleteFunc(slices.Clone(e.targets), func(t target) bool { return t.on != s })
}

// climb finds what is above the pool's folder.
func (e *examination) climb(ctx context.Context) error {
	above, err := e.c.ancestors(ctx, e.c.place.folder)
	if len(above) > 1 {
		e.involve(OnParent, above[1].ref, path.Dir(e.template.Folder))
	}
	if datacenter := datacenterAmong(above); datacenter.ref.Value != "" {
		e.involve(OnDatacenter, datacenter.ref, "/"+datacenter.name)
	}
	return err
}

func (e *examination) readTargets(ctx context.Context) error {
	var refs []types.ManagedObjectReference
	for _, t := range e.targets {
		refs = append(refs, t.ref)
	}
	return e.load(ctx, refs)
}

// sample is how many VMs of the folder are looked at to find one of the pool's own.
const sample = 50

// readMachines involves one machine of the pool: whether the folder's permissions reach the machines in it shows only there.
func (e *examination) readMachines(ctx context.Context) error {
	var refs []Ref
	for _, child := range value[types.ArrayOfManagedObjectReference](e.seen[e.c.place.folder], "childEntity").ManagedObjectReference {
		if child.Type == "VirtualMachine" && len(refs) < sample {
			refs = append(refs, Ref(child.Value))
		}
	}
	sights, err := e.c.look(ctx, refs, proofProperties)
	own := slices.IndexFunc(sights, func(s sight) bool { return s.Owned(e.c.pool) })
	if own >= 0 {
		e.involve(onMachine, vmRef(sights[own].Ref), sights[own].Name)
	}
	return err
}

// readCluster reads what the resource pool belongs to, the datastores of the datastore cluster, and the networks that machines get from
// the template.
func (e *examination) readCluster(ctx context.Context) error {
	refs := e.inherited()
	for _, pool := range e.on(OnResourcePool) {
		owner := value[types.ManagedObjectReference](e.seen[pool.ref], "owner")
		e.involve(OnCluster, owner, "")
		refs = append(refs, owner)
	}
	for _, cluster := range e.on(OnDatastoreCluster) {
		refs = append(refs, value[types.ArrayOfManagedObjectReference](e.seen[cluster.ref], "childEntity").ManagedObjectReference...)
	}
	return e.load(ctx, refs)
}

// inherited are the template's own networks, where the configuration names none.
func (e *examination) inherited() []types.ManagedObjectReference {
	if len(e.template.Networks) > 0 {
		return nil
	}
	var refs []types.ManagedObjectReference
	for _, source := range e.on(OnTemplate) {
		refs = append(refs, value[types.ArrayOfManagedObjectReference](e.seen[source.ref], "network").ManagedObjectReference...)
	}
	return refs
}

func (e *examination) readHosts(ctx context.Context) error { return e.load(ctx, e.hosts()) }

// hosts are those that machines may run on: those of the configuration, else all of the cluster.
func (e *examination) hosts() []types.ManagedObjectReference {
	var refs []types.ManagedObjectReference
	for _, host := range e.on(onHost) {
		refs = append(refs, host.ref)
	}
	if len(refs) > 0 {
		return refs
	}
	for _, compute := range e.on(OnCluster) {
		refs = append(refs, value[types.ArrayOfManagedObjectReference](e.seen[compute.ref], "host").ManagedObjectReference...)
	}
	return refs
}

// name is what a report calls an object: its path if the configuration has that, else its name.
func (e *examination) name(t target) string {
	if strings.Contains(t.called, "/") || t.on == onMachine {
		return t.called
	}
	return e.nameOf(t.ref)
}

func (e *examination) nameOf(ref types.ManagedObjectReference) string {
	if name := value[string](e.seen[ref], "name"); name != "" {
		return name + " (" + ref.Value + ")"
	}
	return ref.Value
}
