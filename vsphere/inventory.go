package vsphere

import (
	"context"
	"slices"
	"time"

	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/types"
)

// Sweep reads the pool's folder and the given references elsewhere, completely or not at all. It does not descend into folders below.
func (c *Client) Sweep(ctx context.Context, elsewhere []Ref) (Inventory, error) {
	at := time.Now()
	c.events.reset(ctx)
	sights, err := c.inside(ctx)
	if err != nil {
		return Inventory{}, wrap("list folder", c.place.template.Folder, err)
	}
	outside, err := c.outside(ctx, others(elsewhere, sights))
	if err != nil {
		return Inventory{}, wrap("read vms outside of folder", c.place.template.Folder, err)
	}
	return Inventory{At: at, VMs: plain(append(sights, outside...))}, nil
}

// outside reads VMs by reference. One that the answer leaves out is missing only if vCenter itself calls it non-existent.
func (c *Client) outside(ctx context.Context, refs []Ref) ([]sight, error) {
	sights, err := c.look(ctx, refs, lightProperties)
	if err != nil {
		return nil, err
	}
	for _, ref := range others(refs, sights) {
		vm, err := c.glance(ctx, ref)
		switch {
		case err == nil:
			sights = append(sights, sight{VM: vm})
		case KindOf(wrap("read vm", string(ref), err)) != NotFound:
			return nil, err
		}
	}
	return sights, nil
}

// Survey reads all VMs that the account may see, wherever they are, and returns the pool's own. It is made once, to rebuild a pool.
func (c *Client) Survey(ctx context.Context) ([]VM, error) {
	all, err := view.NewManager(c.vim).CreateContainerView(ctx, c.vim.ServiceContent.RootFolder, []string{"VirtualMachine"}, true)
	if err != nil {
		return nil, wrap("view vms", "", err)
	}
	defer func() {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
		defer cancel()
		_ = all.Destroy(tidy)
	}()
	found, err := c.collect(ctx, types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{
			Obj:       all.Reference(),
			Skip:      new(true),
			SelectSet: []types.BaseSelectionSpec{&types.TraversalSpec{Type: "ContainerView", Path: "view"}},
		}},
		PropSet: []types.PropertySpec{{Type: "VirtualMachine", PathSet: lightProperties}},
	})
	if err == nil { // VMs that the account may not read are somebody else's
		found, err = readable(slices.DeleteFunc(found, forbidden))
	}
	if err != nil {
		return nil, wrap("read vms", "", err)
	}
	var own []VM
	for _, o := range found {
		if s := observe(o); s.Owned(c.pool) && o.Obj != c.place.source {
			own = append(own, s.VM)
		}
	}
	return own, nil
}

// inside reads the pool's folder. The folder's own name is read with its VMs, so that an answer without it, which might as well be
// that of a folder we may not see, is not taken for an empty folder.
func (c *Client) inside(ctx context.Context) ([]sight, error) {
	found, err := c.retrieve(ctx, types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{
			Obj:       c.place.folder,
			SelectSet: []types.BaseSelectionSpec{&types.TraversalSpec{Type: "Folder", Path: "childEntity"}},
		}},
		PropSet: []types.PropertySpec{
			{Type: "Folder", PathSet: []string{"name"}},
			{Type: "VirtualMachine", PathSet: lightProperties},
		},
	})
	if err != nil {
		return nil, err
	}
	var sights []sight
	witnessed := false
	for _, o := range found {
		switch {
		case o.Obj == c.place.folder:
			witnessed = true
		case o.Obj.Type == "VirtualMachine":
			sights = append(sights, observe(o))
		}
	}
	if !witnessed {
		return nil, missing(c.place.template.Folder, "the pool's folder does not answer: it was deleted, or the account may not see it")
	}
	return sights, nil
}

// look reads the given VMs; those that do not exist are left out.
func (c *Client) look(ctx context.Context, refs []Ref, properties []string) ([]sight, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	found, err := c.retrieve(ctx, objects(vmRefs(refs), properties, true))
	var sights []sight
	for _, o := range found {
		sights = append(sights, observe(o))
	}
	return sights, err
}

// Read reads VMs in detail. absent are those that vCenter itself calls non-existent; a VM in neither list could not be read.
func (c *Client) Read(ctx context.Context, refs []Ref) (found []VM, absent []Ref, err error) {
	sights, err := c.look(ctx, refs, detailProperties)
	if err != nil {
		return nil, nil, wrap("read vms", "", err)
	}
	for _, ref := range others(refs, sights) {
		// Left out of the answer is not yet absent: the question is put to each one by itself.
		if _, err := c.glance(ctx, ref); KindOf(wrap("read vm", string(ref), err)) == NotFound {
			absent = append(absent, ref)
		}
	}
	if err := c.complete(ctx, sights); err != nil {
		return nil, nil, wrap("read hosts", "", err)
	}
	return plain(sights), absent, nil
}

// detail reads one VM in detail.
func (c *Client) detail(ctx context.Context, ref Ref) (VM, error) {
	found, _, err := c.Read(ctx, []Ref{ref})
	if err != nil {
		return VM{}, err
	}
	if len(found) == 0 {
		return VM{}, missing(string(ref), "no such VM")
	}
	return found[0], nil
}

// complete turns sights with all properties read into details.
func (c *Client) complete(ctx context.Context, sights []sight) error {
	var hosts []string
	for _, s := range sights {
		hosts = append(hosts, s.host)
	}
	names, err := c.hosts.resolve(hosts, func(unknown []types.ManagedObjectReference) ([]types.ObjectContent, error) {
		return c.retrieve(ctx, objects(unknown, []string{"name"}, true))
	})
	for i := range sights {
		sights[i].Detail, sights[i].Host = true, names[sights[i].host]
	}
	return err
}

// others are the refs that are not among the sights, each once.
func others(refs []Ref, sights []sight) []Ref {
	seen := map[Ref]bool{}
	for _, s := range sights {
		seen[s.Ref] = true
	}
	var out []Ref
	for _, ref := range refs {
		if !seen[ref] {
			seen[ref] = true
			out = append(out, ref)
		}
	}
	return out
}

func plain(sights []sight) []VM {
	out := make([]VM, len(sights))
	for i, s := range sights {
		out[i] = s.VM
	}
	return out
}
