package vsphere

import (
	"context"
	"regexp"
	"strings"

	"github.com/vmware/govmomi/object"
)

var uuidPattern = regexp.MustCompile(`(?i)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// Find looks a VM up by instance UUID, managed object id or inventory path and reads it in detail. NotFound: there is none. An
// inaccessible VM is not found by UUID, for vCenter's index hides those; the other two ways find it.
func (c *Client) Find(ctx context.Context, query string) (VM, error) {
	ref, err := c.seek(ctx, query)
	if err != nil {
		return VM{}, wrap("find vm", query, err)
	}
	vm, err := c.detail(ctx, ref)
	return vm, wrap("find vm", query, err)
}

func (c *Client) seek(ctx context.Context, query string) (Ref, error) {
	if !uuidPattern.MatchString(query) {
		ref, err := c.reference(ctx, query, "VirtualMachine")
		return Ref(ref.Value), err
	}
	refs, err := c.byUUID(ctx, strings.ToLower(query))
	if err == nil && len(refs) == 0 {
		err = missing(query, "no VM has this instance UUID")
	}
	if err != nil {
		return "", err
	}
	return refs[0], nil
}

// byUUID asks vCenter's search index for VMs by instance UUID.
func (c *Client) byUUID(ctx context.Context, uuid string) ([]Ref, error) {
	found, err := object.NewSearchIndex(c.vim).FindAllByUuid(ctx, nil, uuid, true, new(true))
	var refs []Ref
	for _, vm := range found {
		refs = append(refs, Ref(vm.Reference().Value))
	}
	return refs, wrap("search uuid", uuid, err)
}
