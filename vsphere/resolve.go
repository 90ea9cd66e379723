package vsphere

import (
	"cmp"
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

const notations = "use an inventory path such as /DC0/vm/web or a managed object id such as vm-42"

// reference resolves what a configuration calls an object by: an inventory path ("/DC0/vm/web"), a managed object id ("vm-42") or the
// same with its type ("VirtualMachine:vm-42"). kinds are the accepted types. NotFound: there is none.
func (c *Client) reference(ctx context.Context, text string, kinds ...string) (types.ManagedObjectReference, error) {
	ref, err := c.dereference(ctx, text, kinds)
	if err == nil {
		c.labels.add(ref, text)
	}
	return ref, err
}

func (c *Client) dereference(ctx context.Context, text string, kinds []string) (types.ManagedObjectReference, error) {
	if strings.Contains(text, "/") {
		return c.byPath(ctx, text, kinds)
	}
	ref := types.ManagedObjectReference{Type: kindFromID(text, kinds), Value: text}
	if kind, id, typed := strings.Cut(text, ":"); typed {
		ref = types.ManagedObjectReference{Type: kind, Value: id}
	}
	if !slices.Contains(kinds, ref.Type) {
		return ref, misconfigured(text, "it is a "+ref.Type, "name a "+kinds[0])
	}
	_, err := c.only(ctx, ref, []string{"name"})
	if KindOf(err) == NotFound {
		err = missing(text, notations)
	}
	return ref, wrap("look up", text, err)
}

// kindFromID picks the type by the prefixes that vCenter gives to its ids; the first kind is the default.
func kindFromID(id string, kinds []string) string {
	prefixes := map[string]string{
		"dvportgroup-": "DistributedVirtualPortgroup", "network-o": "OpaqueNetwork", "group-p": "StoragePod", "resgroup-v": "VirtualApp",
		"domain-c": "ClusterComputeResource",
	}
	for prefix, kind := range prefixes {
		if strings.HasPrefix(id, prefix) && slices.Contains(kinds, kind) {
			return kind
		}
	}
	return kinds[0]
}

func (c *Client) byPath(ctx context.Context, text string, kinds []string) (types.ManagedObjectReference, error) {
	elements, err := find.NewFinder(c.vim).ManagedObjectList(ctx, literal(path.Join("/", text)))
	if err != nil {
		return types.ManagedObjectReference{}, wrap("look up", text, err)
	}
	var found []types.ManagedObjectReference
	for _, e := range elements {
		if ref := e.Object.Reference(); slices.Contains(kinds, ref.Type) {
			found = append(found, ref)
		}
	}
	switch len(found) {
	case 0:
		return types.ManagedObjectReference{}, missing(text, notations)
	case 1:
		return found[0], nil
	}
	return found[0], misconfigured(text, "several objects have this path", "use the managed object id of the one that is meant")
}

// literal keeps the finder from taking a name's characters for a pattern.
func literal(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func missing(object, remedy string) error {
	return &Error{Op: "look up", Object: object, Kind: NotFound, Err: errors.New("it does not exist"), Hint: remedy}
}

// setting makes a failed look-up one of the configuration: what it names does not exist, and only the operator can change that.
func setting(name string, err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Kind != NotFound {
		return err
	}
	advice := cmp.Or(e.Hint, notations)
	if e.Fault != "" {
		advice = notations // vCenter knows no such id; that it may have been deleted is the lesser of the two reasons
	}
	return &Error{Op: "resolve " + name, Object: e.Object, Kind: Misconfigured, Fault: e.Fault, Err: e.Err, Hint: advice}
}

// folder resolves the pool's folder and creates it if nothing but itself is missing.
func (c *Client) folder(ctx context.Context, text string) (types.ManagedObjectReference, error) {
	ref, err := c.reference(ctx, text, "Folder")
	if KindOf(err) == NotFound && strings.Contains(text, "/") {
		ref, err = c.createFolder(ctx, path.Join("/", text))
	}
	if err != nil {
		return ref, setting("folder", err)
	}
	c.labels.add(ref, text)
	return ref, c.holdsMachines(ctx, ref, text)
}

func (c *Client) createFolder(ctx context.Context, full string) (types.ManagedObjectReference, error) {
	above, name := path.Dir(full), path.Base(full)
	parent, err := c.reference(ctx, above, "Folder")
	if KindOf(err) == NotFound {
		return parent, missing(above, "create it, or choose another folder: only the last one of a path is created")
	}
	if err != nil {
		return parent, err
	}
	made, err := object.NewFolder(c.vim, parent).CreateFolder(ctx, name)
	if isFault(err, fault[types.DuplicateName]()) {
		return c.reference(ctx, full, "Folder")
	}
	if err != nil {
		return parent, wrap("create folder", full, err)
	}
	return made.Reference(), nil
}

// holdsMachines refuses folders of hosts, networks and the like.
func (c *Client) holdsMachines(ctx context.Context, ref types.ManagedObjectReference, text string) error {
	var folder mo.Folder
	if err := c.properties(ctx, ref, &folder, "childType"); err != nil {
		return wrap("read folder", text, err)
	}
	if !slices.Contains(folder.ChildType, "VirtualMachine") {
		return misconfigured(text, "it is no folder of virtual machines", "choose one below the datacenter's vm folder")
	}
	return nil
}

// properties loads properties of one object into a value of its govmomi type.
func (c *Client) properties(ctx context.Context, ref types.ManagedObjectReference, dst any, names ...string) error {
	o, err := c.only(ctx, ref, names)
	if err != nil {
		return err
	}
	return mo.LoadObjectContent([]types.ObjectContent{o}, dst)
}
