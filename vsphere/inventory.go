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
	if len(refs) == 0 {
		return nil, nil
	}
	a, err := c.each(ctx, refs, objects(vmRefs(refs), c.shown(lightProperties), true))
	if err != nil {
		return nil, err
	}
	sights := c.sights(a)
	for _, ref := range others(refs, sights) {
		vm, err := c.again(ctx, a, ref)
		switch {
		case err == nil:
			sights = append(sights, sight{VM: vm})
		case KindOf(wrap("read vm", string(ref), err)) != NotFound:
			return nil, err
		}
	}
	return sights, nil
}

// each reads VMs of which some may not exist, and nothing else. Should that end the call, though it was asked not to, each one is left to
// [Client.again].
func (c *Client) each(ctx context.Context, refs []Ref, specs ...types.PropertyFilterSpec) (answer, error) {
	a, err := c.study(ctx, specs...)
	if isFault(err, fault[types.ManagedObjectNotFound]()) {
		return answer{}, nil
	}
	asked := map[Ref]bool{}
	for _, ref := range refs {
		asked[ref] = true
	}
	a.whole = slices.DeleteFunc(a.whole, func(o types.ObjectContent) bool { return !asked[Ref(o.Obj.Value)] })
	return a, err
}

// again puts the question to a VM that an answer leaves out, unless that says that it does not exist.
func (c *Client) again(ctx context.Context, a answer, ref Ref) (VM, error) {
	if a.vanished[vmRef(ref)] {
		return VM{}, missing(string(ref), "it was deleted or unregistered")
	}
	return c.glance(ctx, ref)
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
	folder := types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{
			Obj:       c.place.folder,
			SelectSet: []types.BaseSelectionSpec{&types.TraversalSpec{Type: "Folder", Path: "childEntity"}},
		}},
		PropSet: []types.PropertySpec{
			{Type: "Folder", PathSet: []string{"name"}},
			{Type: "VirtualMachine", PathSet: c.shown(lightProperties)},
		},
	}
	a, err := c.study(ctx, folder)
	if isFault(err, fault[types.ManagedObjectNotFound]()) && !deleted(err, c.place.folder) {
		a, err = c.study(ctx, folder) // it came past a VM that was just being destroyed
	}
	switch {
	case deleted(err, c.place.folder), a.vanished[c.place.folder]:
		return nil, missing(c.place.template.Folder, "the pool's folder was deleted")
	case isFault(err, fault[types.ManagedObjectNotFound]()):
		return nil, blurred(c.place.folder, err)
	case err != nil:
		return nil, err
	case !slices.ContainsFunc(a.whole, func(o types.ObjectContent) bool { return o.Obj == c.place.folder }):
		return nil, a.reason(c.place.folder)
	}
	return c.sights(a), nil
}

// look reads the given VMs; those that do not exist are left out.
func (c *Client) look(ctx context.Context, refs []Ref, properties []string) ([]sight, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	a, err := c.each(ctx, refs, objects(vmRefs(refs), properties, true))
	return c.sights(a), err
}

// Read reads VMs in detail. absent are those that vCenter itself calls non-existent; a VM in neither list could not be read.
func (c *Client) Read(ctx context.Context, refs []Ref) (found []VM, absent []Ref, err error) {
	sights, absent, err := c.inDetail(ctx, refs)
	return plain(slices.DeleteFunc(sights, func(s sight) bool { return s.hides != nil })), absent, err
}

func (c *Client) inDetail(ctx context.Context, refs []Ref) (sights []sight, absent []Ref, err error) {
	if len(refs) == 0 {
		return nil, nil, nil
	}
	a, err := c.details(ctx, refs)
	if err != nil {
		return nil, nil, wrap("read vms", "", err)
	}
	sights = c.sights(a)
	for _, ref := range others(refs, sights) {
		// Left out of the answer is not yet absent: the question is put to each one by itself.
		if _, err := c.again(ctx, a, ref); KindOf(wrap("read vm", string(ref), err)) == NotFound {
			absent = append(absent, ref)
		}
	}
	if err := c.complete(ctx, sights); err != nil {
		return nil, nil, wrap("read hosts", "", err)
	}
	return sights, absent, nil
}

// details reads VMs as each does, and one of them together with what others ask for.
func (c *Client) details(ctx context.Context, refs []Ref) (answer, error) {
	specs := c.detailsOf(refs)
	if len(refs) > 1 {
		return c.each(ctx, refs, specs...)
	}
	a, err := c.reader.ask(ctx, vmRef(refs[0]), specs[0].PropSet[0].PathSet)
	if isFault(err, fault[types.ManagedObjectNotFound]()) {
		return answer{}, nil
	}
	return a, err
}

// detailsOf selects the details of VMs in one call, with the devices of those whose network cards are not known.
func (c *Client) detailsOf(refs []Ref) []types.PropertyFilterSpec {
	known, unknown := c.cards.split(refs)
	var specs []types.PropertyFilterSpec
	for _, part := range []struct {
		refs       []Ref
		properties []string
	}{{known, detailProperties}, {unknown, firstProperties}} {
		if len(part.refs) > 0 {
			specs = append(specs, objects(vmRefs(part.refs), c.shown(part.properties), true))
		}
	}
	return specs
}

// detail reads one VM in detail, completely.
func (c *Client) detail(ctx context.Context, ref Ref) (VM, error) {
	sights, absent, err := c.inDetail(ctx, []Ref{ref})
	switch {
	case err != nil:
		return VM{}, err
	case len(absent) > 0:
		return VM{}, missing(string(ref), "no such VM")
	case len(sights) == 0:
		return VM{}, blurred(vmRef(ref), nil)
	}
	return sights[0].VM, sights[0].hides
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
