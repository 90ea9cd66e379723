package vsphere

import (
	"context"
	"slices"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// chooseDatastores always ends with at least one, or a cluster: a clone without a datastore in its spec would spread like the template's
// disks do, and a disk outside the machine's own directory does not count as its own when it is destroyed.
func (c *Client) chooseDatastores(ctx context.Context, p *placement, source mo.VirtualMachine) error {
	p.needs = footprintOf(p.template, p.linked, source)
	if p.linked {
		p.parents = source.Datastore
	}
	if p.template.DatastoreCluster != "" {
		return c.chooseCluster(ctx, p)
	}
	wanted := slices.Clone(p.template.Datastores)
	if p.template.Datastore != "" {
		wanted = append(wanted, p.template.Datastore)
	}
	for _, text := range wanted {
		ref, err := c.reference(ctx, text, "Datastore")
		if err != nil {
			return setting("datastore", err)
		}
		p.datastores = append(p.datastores, ref)
	}
	if len(wanted) > 0 {
		return nil
	}
	home, err := c.home(ctx, source)
	p.datastores = []types.ManagedObjectReference{home}
	return wrap("find datastore", source.Name, err)
}

// home is the datastore that the template's configuration file lies on.
func (c *Client) home(ctx context.Context, source mo.VirtualMachine) (types.ManagedObjectReference, error) {
	name, _ := datastorePath(source.Config.Files.VmPathName)
	found, err := c.retrieve(ctx, objects(source.Datastore, []string{"name"}, true))
	if err != nil {
		return types.ManagedObjectReference{}, err
	}
	for _, o := range found {
		if value[string](o, "name") == name {
			return o.Obj, nil
		}
	}
	return types.ManagedObjectReference{}, misconfigured(source.Name, "the template's datastore is not known", "set datastore")
}

// reserve finds a clone its place among the template's datastores and hosts and promises it.
func (c *Client) reserve(ctx context.Context, id MachineID) (spot, error) {
	w := c.place.wish()
	if c.launcher.settled(w) {
		s := spot{store: w.stores[0]}
		c.launcher.hold(id, s, w.needs)
		return s, nil
	}
	p, err := c.launcher.sight(ctx, c.prospect)
	if err != nil {
		return spot{}, err
	}
	return c.launcher.reserve(id, w, p)
}

// prospect reads the datastores, those of the cluster included, and the hosts in one call. What does not exist any more is left out.
func (c *Client) prospect(ctx context.Context) (prospect, error) {
	spec := types.PropertyFilterSpec{
		ReportMissingObjectsInResults: new(true),
		PropSet: []types.PropertySpec{
			{Type: "Datastore", PathSet: []string{"summary"}},
			{Type: "HostSystem", PathSet: []string{"name", "datastore", "runtime.connectionState", "runtime.inMaintenanceMode"}},
		},
	}
	for _, ref := range slices.Concat(c.place.datastores, c.place.hosts) {
		spec.ObjectSet = append(spec.ObjectSet, types.ObjectSpec{Obj: ref})
	}
	if c.place.cluster != nil {
		spec.ObjectSet = append(spec.ObjectSet, types.ObjectSpec{
			Obj: *c.place.cluster, Skip: new(true),
			SelectSet: []types.BaseSelectionSpec{&types.TraversalSpec{Type: "StoragePod", Path: "childEntity"}},
		})
	}
	found, err := c.retrieve(ctx, spec)
	p := prospect{stores: map[types.ManagedObjectReference]store{}, hosts: map[types.ManagedObjectReference]host{}}
	for _, o := range found {
		switch o.Obj.Type {
		case "Datastore":
			p.stores[o.Obj] = storeOf(value[types.DatastoreSummary](o, "summary"))
		case "HostSystem":
			p.hosts[o.Obj] = hostOf(o)
		}
	}
	return p, wrap("read free space", "", err)
}

func storeOf(s types.DatastoreSummary) store {
	d := store{name: s.Name, free: s.FreeSpace}
	switch {
	case !s.Accessible:
		d.refusal = "is not accessible"
	case s.MaintenanceMode != "" && s.MaintenanceMode != string(types.DatastoreSummaryMaintenanceModeStateNormal):
		d.refusal = "is in maintenance mode"
	}
	return d
}
