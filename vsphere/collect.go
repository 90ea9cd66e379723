package vsphere

import (
	"context"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	// pageSize bounds one answer of the property collector; vCenter may choose smaller pages.
	pageSize = 500
	// tidyTimeout bounds calls that only clean up and whose failure changes nothing.
	tidyTimeout = 5 * time.Second
)

// retrieve reads everything that spec selects or fails: an answer that hides a wanted property is an error, never a smaller answer.
// Objects that vanished while they were read are left out. Errors are raw.
func (c *Client) retrieve(ctx context.Context, spec types.PropertyFilterSpec) ([]types.ObjectContent, error) {
	answers, err := c.collect(ctx, spec)
	if err != nil {
		return nil, err
	}
	return readable(answers)
}

// collect reads all pages of what spec selects, whatever they hide.
func (c *Client) collect(ctx context.Context, spec types.PropertyFilterSpec) ([]types.ObjectContent, error) {
	res, err := methods.RetrievePropertiesEx(ctx, c.vim, &types.RetrievePropertiesEx{
		This:    c.vim.ServiceContent.PropertyCollector,
		SpecSet: []types.PropertyFilterSpec{spec},
		Options: types.RetrieveOptions{MaxObjects: pageSize},
	})
	if err != nil || res.Returnval == nil {
		return nil, err
	}
	rest, err := c.pages(ctx, res.Returnval.Token)
	if err != nil {
		return nil, err
	}
	return append(res.Returnval.Objects, rest...), nil
}

// pages reads what follows the first page.
func (c *Client) pages(ctx context.Context, token string) ([]types.ObjectContent, error) {
	var answers []types.ObjectContent
	for token != "" {
		res, err := methods.ContinueRetrievePropertiesEx(ctx, c.vim, &types.ContinueRetrievePropertiesEx{
			This: c.vim.ServiceContent.PropertyCollector, Token: token,
		})
		if err != nil {
			c.abandon(ctx, token)
			return nil, &Error{Kind: Unreachable, Err: err, Hint: "the listing broke off between two pages; it is read again from the start"}
		}
		answers, token = append(answers, res.Returnval.Objects...), res.Returnval.Token
	}
	return answers, nil
}

// abandon frees the pages that vCenter keeps for us; left alone they pile up in vpxd (icinga vspheredb #372).
func (c *Client) abandon(ctx context.Context, token string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer cancel()
	_, _ = methods.CancelRetrievePropertiesEx(ctx, c.vim, &types.CancelRetrievePropertiesEx{
		This: c.vim.ServiceContent.PropertyCollector, Token: token,
	})
}

// readable drops the objects that vanished and fails on the first one that hides anything.
func readable(answers []types.ObjectContent) ([]types.ObjectContent, error) {
	kept := answers[:0]
	for _, o := range answers {
		err := hidden(o)
		if isFault(err, fault[types.ManagedObjectNotFound]()) {
			continue
		}
		if err != nil {
			return nil, wrap("read", o.Obj.String(), err)
		}
		kept = append(kept, o)
	}
	return kept, nil
}

// hidden is the first reason why a property is missing. A key that extraConfig does not have is no reason: most versions leave it
// out, some call it an InvalidProperty.
func hidden(o types.ObjectContent) error {
	for _, missing := range o.MissingSet {
		if missing.Fault.Fault == nil {
			return &Error{Kind: Unreachable, Object: o.Obj.String(), Hint: "vCenter gave no reason for hiding " + missing.Path}
		}
		err := soap.WrapVimFault(missing.Fault.Fault)
		if keyed(missing.Path) && isFault(err, fault[types.InvalidProperty]()) {
			continue
		}
		return err
	}
	return nil
}

func keyed(path string) bool { return strings.Contains(path, `["`) }

// objects selects properties of the given objects. Missing ones are left out of the answer if lenient and fail it otherwise.
func objects(refs []types.ManagedObjectReference, properties []string, lenient bool) types.PropertyFilterSpec {
	spec := types.PropertyFilterSpec{ReportMissingObjectsInResults: &lenient}
	kinds := map[string]bool{}
	for _, ref := range refs {
		spec.ObjectSet = append(spec.ObjectSet, types.ObjectSpec{Obj: ref})
		if !kinds[ref.Type] {
			kinds[ref.Type] = true
			spec.PropSet = append(spec.PropSet, types.PropertySpec{Type: ref.Type, PathSet: properties})
		}
	}
	return spec
}

// value is one property of an object, the zero T if it is unset.
func value[T any](o types.ObjectContent, name string) T {
	var v T
	for _, p := range o.PropSet {
		if p.Name == name {
			v, _ = p.Val.(T)
		}
	}
	return v
}
