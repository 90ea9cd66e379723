package vsphere

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// chooseHosts resolves the hosts that machines are spread over. They must be the resource pool's: vCenter refuses any other with a fault
// that names neither.
func (c *Client) chooseHosts(ctx context.Context, p *placement, _ mo.VirtualMachine) error {
	if len(p.template.Hosts) == 0 {
		return nil
	}
	var pool mo.ResourcePool
	if err := c.properties(ctx, p.pool, &pool, "owner"); err != nil {
		return wrap("read resource pool", p.pool.Value, err)
	}
	for _, text := range p.template.Hosts {
		ref, err := c.reference(ctx, text, "HostSystem")
		if err != nil {
			return setting("hosts", err)
		}
		p.hosts = append(p.hosts, ref)
	}
	return c.belong(ctx, *p, pool.Owner)
}

// belong refuses hosts that are not of the compute resource.
func (c *Client) belong(ctx context.Context, p placement, owner types.ManagedObjectReference) error {
	found, err := c.retrieve(ctx, objects(p.hosts, []string{"name", "parent"}, false))
	if err != nil {
		return wrap("read hosts", "", err)
	}
	var strangers []string
	for _, o := range found {
		if value[types.ManagedObjectReference](o, "parent") != owner {
			strangers = append(strangers, value[string](o, "name"))
		}
	}
	if len(strangers) == 0 {
		return nil
	}
	slices.Sort(strangers)
	return misconfigured("hosts", fmt.Sprintf("%s: not in the cluster of the resource pool %s", strings.Join(strangers, ", "),
		p.poolName()), "name hosts of that cluster, or set resourcePool to one of theirs")
}

func hostOf(o types.ObjectContent) host {
	h := host{name: value[string](o, "name"), stores: value[types.ArrayOfManagedObjectReference](o, "datastore").ManagedObjectReference}
	state := value[types.HostSystemConnectionState](o, "runtime.connectionState")
	switch {
	case state != types.HostSystemConnectionStateConnected:
		h.refusal = "is " + string(state)
	case value[bool](o, "runtime.inMaintenanceMode"):
		h.refusal = "is in maintenance mode"
	}
	return h
}
