package vsphere

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// placement is a provisioning template, resolved: all that a clone spec needs and that is the same for every machine.
type placement struct {
	template Template
	source   types.ManagedObjectReference
	folder   types.ManagedObjectReference
	// datacenter is the folder's; zero if it is hidden.
	datacenter types.ManagedObjectReference
	pool       types.ManagedObjectReference
	// datastores to choose from, or the cluster that recommends one.
	datastores []types.ManagedObjectReference
	cluster    *types.ManagedObjectReference
	// hosts to choose from; none leaves the choice to DRS.
	hosts []types.ManagedObjectReference
	// parents are the datastores of the template's disks, which a linked clone shares.
	parents []types.ManagedObjectReference
	needs   footprint
	// profile is the id of the storage policy; empty without one.
	profile string
	// disks are the template's, by device key.
	disks []int32

	snapshot     *types.ManagedObjectReference
	snapshotName string
	linked       bool
	// devices are the changes to the template's devices.
	devices []types.BaseVirtualDeviceConfigSpec
	// coresPerSocket is set where the template's own does not divide the number of CPUs asked for.
	coresPerSocket int32
	dropVApp       bool
	// renewTPM gives each clone a TPM of its own.
	renewTPM      bool
	customization *types.CustomizationSpec
	// userData and ignition are encoded.
	userData string
	ignition string
	// notes are sentences for the operator that came up on the way.
	notes []string
}

func (p placement) wish() wish {
	return wish{stores: p.datastores, hosts: p.hosts, parents: p.parents, needs: p.needs, only: len(p.datastores) == 1}
}

// poolName is how the resource pool is called in messages.
func (p placement) poolName() string { return cmp.Or(p.template.ResourcePool, p.pool.Value) }

// resolve fills placement and site in. Without the folder nothing can be followed; without the rest only no machines can be made.
func (c *Client) resolve(ctx context.Context, t Template) error {
	if !c.vim.IsVC() {
		return misconfigured("", "url leads to "+c.vim.ServiceContent.About.FullName, "clones need a vCenter, not a single host")
	}
	c.place.template = t
	c.site.VCenter = c.vim.ServiceContent.About.InstanceUuid
	var err error
	if c.place.folder, err = c.folder(ctx, t.Folder); err != nil {
		return err
	}
	above, err := c.ancestors(ctx, c.place.folder)
	if err != nil {
		return wrap("find datacenter", t.Folder, err)
	}
	datacenter := datacenterAmong(above)
	c.place.datacenter, c.site.Region = datacenter.ref, datacenter.name
	err = c.resolveMaking(ctx, t)
	if KindOf(err) == Unreachable {
		return err
	}
	c.site.Flaw = wrap("resolve template", t.Template, err)
	return nil
}

// resolveMaking resolves what it takes to make machines.
func (c *Client) resolveMaking(ctx context.Context, t Template) error {
	p, err := newPlacement(c.pool, t)
	if err != nil {
		return err
	}
	p.folder, p.datacenter = c.place.folder, c.place.datacenter
	source, err := c.source(ctx, &p)
	if err == nil {
		err = p.chooseMode(source)
	}
	if err == nil {
		source.Config, err = c.origin(ctx, p, source)
	}
	if err != nil {
		return err
	}
	for _, step := range []func(context.Context, *placement, mo.VirtualMachine) error{
		c.choosePool, c.chooseHosts, c.chooseDatastores, c.chooseDevices, c.choosePolicy, c.chooseCustomization,
	} {
		if err := step(ctx, &p, source); err != nil {
			return err
		}
	}
	c.place = p
	c.survey(source)
	return nil
}

// newPlacement checks what can be checked without vCenter, on a machine that will never be.
func newPlacement(pool string, t Template) (placement, error) {
	p := placement{template: t}
	if err := errors.Join(freeKeys(t.ExtraConfig), t.CloudInit.check()); err != nil {
		return p, err
	}
	if t.CloudInit.used() && t.Ignition.used() {
		return p, misconfigured("ignition", "cloudInit is set too", "keep one of the two: a guest reads either")
	}
	var err error
	if p.userData, err = t.CloudInit.userData(); err != nil {
		return p, err
	}
	if p.ignition, err = t.Ignition.data(); err != nil {
		return p, err
	}
	sample, err := sampleOrder(t, pool)
	if err == nil {
		_, err = p.config(pool, sample)
	}
	return p, err
}

func (c *Client) source(ctx context.Context, p *placement) (mo.VirtualMachine, error) {
	var vm mo.VirtualMachine
	ref, err := c.reference(ctx, p.template.Template, "VirtualMachine")
	if err != nil {
		return vm, setting("template", err)
	}
	p.source = ref
	err = c.properties(ctx, ref, &vm, append([]string{
		"name", "config.files", "summary.storage", "snapshot", "resourcePool", "runtime.host", "datastore",
	}, shapeProperties...)...)
	if err == nil && vm.Config == nil {
		err = &Error{Kind: Storage, Object: p.template.Template, Hint: "vCenter cannot read the template's configuration; see its state there"}
	}
	return vm, wrap("read template", p.template.Template, err)
}

// choosePool takes the pool asked for, else the template's own, else, as real templates have none, the root pool of its host or cluster.
func (c *Client) choosePool(ctx context.Context, p *placement, source mo.VirtualMachine) (err error) {
	switch {
	case p.template.ResourcePool != "":
		p.pool, err = c.poolOf(ctx, p.template.ResourcePool)
		return setting("resourcePool", err)
	case source.ResourcePool != nil:
		p.pool = *source.ResourcePool
		return nil
	}
	p.pool, err = c.rootPool(ctx, source)
	return wrap("find resource pool", source.Name, err)
}

// poolKinds are what the configuration may name as a resource pool.
var poolKinds = []string{"ResourcePool", "VirtualApp", "ClusterComputeResource"}

// poolOf resolves a resource pool; a cluster stands for its root pool.
func (c *Client) poolOf(ctx context.Context, text string) (types.ManagedObjectReference, error) {
	ref, err := c.reference(ctx, text, poolKinds...)
	if err != nil || ref.Type != "ClusterComputeResource" {
		return ref, err
	}
	return c.rootOf(ctx, ref, text)
}

func (c *Client) rootPool(ctx context.Context, source mo.VirtualMachine) (types.ManagedObjectReference, error) {
	if source.Runtime.Host == nil {
		return types.ManagedObjectReference{}, unpooled(source.Name)
	}
	var host mo.HostSystem
	if err := c.properties(ctx, *source.Runtime.Host, &host, "parent"); err != nil {
		return types.ManagedObjectReference{}, err
	}
	return c.rootOf(ctx, *host.Parent, source.Name)
}

// rootOf is the root pool of a cluster, or of a host by itself; named is whose it is in messages.
func (c *Client) rootOf(ctx context.Context, ref types.ManagedObjectReference, named string) (types.ManagedObjectReference, error) {
	var compute mo.ComputeResource
	if err := c.properties(ctx, ref, &compute, "resourcePool"); err != nil {
		return types.ManagedObjectReference{}, err
	}
	if compute.ResourcePool == nil {
		return types.ManagedObjectReference{}, unpooled(named)
	}
	return *compute.ResourcePool, nil
}

func unpooled(named string) error {
	return misconfigured(named, "it has no resource pool of its own", "set resourcePool")
}

// survey fills in what the site says of machines to come.
func (c *Client) survey(source mo.VirtualMachine) {
	mode := CloneFull
	if c.place.linked {
		mode = CloneLinked
	}
	t := c.place.template
	c.site.Source = Ref(c.place.source.Value)
	c.site.CloneMode = mode
	c.site.CPUs = cmp.Or(t.CPUs, int(source.Config.Hardware.NumCPU))
	c.site.MemoryMiB = cmp.Or(t.MemoryMiB, int(source.Config.Hardware.MemoryMB))
	c.site.Customized = c.place.customization != nil
	c.site.NameLimit = c.place.nameLimit(source.Config.GuestId)
	c.site.Notes = append(notes(c.place, source), c.place.notes...)
}

// notes tell the operator what was decided in his place, and what will surprise him.
func notes(p placement, source mo.VirtualMachine) []string {
	var out []string
	switch t := p.template; {
	case t.CloneMode != "":
	case p.linked:
		out = append(out, fmt.Sprintf("cloneMode is not set: machines are linked clones, because %s has a snapshot.", source.Name))
	case t.DiskGiB > 0:
		out = append(out, "cloneMode is not set: machines are full clones, because diskGiB asks for a disk that a linked clone cannot have.")
	default:
		out = append(out, fmt.Sprintf("cloneMode is not set: machines are full clones, because %s has no snapshot to link to.", source.Name))
	}
	if len(p.template.Networks) == 0 && fixedAddress(source.Config.Hardware.Device) {
		out = append(out, fmt.Sprintf("a network card of %s has a MAC address set by hand, and all machines will share it: set networks.",
			source.Name))
	}
	return out
}

func fixedAddress(devices object.VirtualDeviceList) bool {
	return slices.ContainsFunc(devices, func(d types.BaseVirtualDevice) bool {
		card, ok := d.(types.BaseVirtualEthernetCard)
		return ok && card.GetVirtualEthernetCard().AddressType == string(types.VirtualEthernetCardMacTypeManual)
	})
}
