package vsphere

import (
	"context"
	"errors"
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

// answer is what a property collector's answer proves.
type answer struct {
	// whole are the objects that hide nothing, partial those that do.
	whole   []types.ObjectContent
	partial []partial
	// vanished are the objects that do not exist, by vCenter's own word.
	vanished map[types.ManagedObjectReference]bool
}

// partial is an object that hides a wanted property, and why.
type partial struct {
	types.ObjectContent
	reason error
}

// retrieve reads everything that spec selects or fails: an answer that hides a wanted property is an error, never a smaller answer.
// Objects that vanished while they were read are left out. Errors are raw.
func (c *Client) retrieve(ctx context.Context, spec types.PropertyFilterSpec) ([]types.ObjectContent, error) {
	answers, err := c.collect(ctx, spec)
	if err != nil {
		return nil, err
	}
	return readable(answers)
}

// study reads what the specs select, each object by itself.
func (c *Client) study(ctx context.Context, specs ...types.PropertyFilterSpec) (answer, error) {
	answers, err := c.collect(ctx, specs...)
	if err != nil {
		return answer{}, err
	}
	return sorted(answers)
}

// only reads one object completely. NotFound: vCenter says that this very object does not exist; an answer without it says nothing.
func (c *Client) only(ctx context.Context, ref types.ManagedObjectReference, properties []string) (types.ObjectContent, error) {
	a, err := c.one(ctx, ref, properties)
	if err != nil {
		return types.ObjectContent{}, err
	}
	return a.only(ref)
}

// one reads one object by a call of its own.
func (c *Client) one(ctx context.Context, ref types.ManagedObjectReference, properties []string) (answer, error) {
	a, err := c.study(ctx, objects([]types.ManagedObjectReference{ref}, properties, false))
	switch {
	case deleted(err, ref):
		return answer{vanished: map[types.ManagedObjectReference]bool{ref: true}}, nil
	case isFault(err, fault[types.ManagedObjectNotFound]()):
		return answer{}, blurred(ref, err)
	}
	return a, err
}

// only is the object that was asked for.
func (a answer) only(ref types.ManagedObjectReference) (types.ObjectContent, error) {
	if a.vanished[ref] {
		return types.ObjectContent{}, missing(ref.Value, "it was deleted or unregistered")
	}
	for _, o := range a.whole {
		if o.Obj == ref {
			return o, nil
		}
	}
	return types.ObjectContent{}, a.reason(ref)
}

// reason is why an object that is not whole could not be read.
func (a answer) reason(ref types.ManagedObjectReference) error {
	for _, p := range a.partial {
		if p.Obj == ref {
			return p.reason
		}
	}
	return blurred(ref, nil)
}

// collect reads all pages of what the specs select, whatever they hide.
func (c *Client) collect(ctx context.Context, specs ...types.PropertyFilterSpec) ([]types.ObjectContent, error) {
	res, err := methods.RetrievePropertiesEx(ctx, c.vim, &types.RetrievePropertiesEx{
		This:    c.vim.ServiceContent.PropertyCollector,
		SpecSet: specs,
		Options: types.RetrieveOptions{MaxObjects: pageSize},
	})
	if err != nil || res == nil || res.Returnval == nil {
		return nil, err
	}
	return c.pages(ctx, *res.Returnval)
}

// pages reads what follows the first page. Each one has to bring an object that no page before it had: a vCenter that goes on for ever
// is not followed.
func (c *Client) pages(ctx context.Context, first types.RetrieveResult) ([]types.ObjectContent, error) {
	all, token := first.Objects, first.Token
	seen := map[types.ManagedObjectReference]bool{}
	news(seen, all)
	for token != "" {
		res, err := methods.ContinueRetrievePropertiesEx(ctx, c.vim, &types.ContinueRetrievePropertiesEx{
			This: c.vim.ServiceContent.PropertyCollector, Token: token,
		})
		if err == nil && (res == nil || !news(seen, res.Returnval.Objects)) {
			err = errors.New("a page brought nothing new")
		}
		if err != nil {
			c.abandon(ctx, token)
			return nil, &Error{Kind: Unreachable, Err: err, Hint: "the listing broke off between two pages; it is read again from the start"}
		}
		all, token = append(all, res.Returnval.Objects...), res.Returnval.Token
	}
	return all, nil
}

// news adds the objects to those seen, and says whether there was a new one.
func news(seen map[types.ManagedObjectReference]bool, objects []types.ObjectContent) bool {
	before := len(seen)
	for _, o := range objects {
		seen[o.Obj] = true
	}
	return len(seen) > before
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
	a, err := sorted(answers)
	if err == nil && len(a.partial) > 0 {
		err = a.partial[0].reason
	}
	if err != nil {
		return nil, err
	}
	return a.whole, nil
}

// sorted tells apart what an answer proves of each object. It fails as a whole if the reason why one hides a property goes for all: there
// is no session, or the property does not exist.
func sorted(answers []types.ObjectContent) (answer, error) {
	a := answer{vanished: map[types.ManagedObjectReference]bool{}}
	for _, o := range answers {
		err := hidden(o)
		switch {
		case err == nil:
			a.whole = append(a.whole, o)
		case deleted(err, o.Obj):
			a.vanished[o.Obj] = true
		case isFault(err, fault[types.NotAuthenticated]()), isFault(err, fault[types.InvalidProperty]()):
			return answer{}, wrap("read", o.Obj.String(), err)
		default:
			a.partial = append(a.partial, partial{o, blurred(o.Obj, err)})
		}
	}
	return a, nil
}

// deleted says whether vCenter itself calls the object non-existent: that very one, for a call may fail of another that it passed.
func deleted(err error, ref types.ManagedObjectReference) bool {
	gone, ok := faultOf(err).(*types.ManagedObjectNotFound)
	return ok && gone.Obj.Type == ref.Type && gone.Obj.Value == ref.Value // whatever server it names
}

// blurred is the error of an object that could not be read: what it says of another object proves nothing about this one.
func blurred(ref types.ManagedObjectReference, err error) error {
	if err == nil || isFault(err, fault[types.ManagedObjectNotFound]()) && !deleted(err, ref) {
		return &Error{
			Op: "read", Object: ref.String(), Kind: Unreachable, Err: err, Hint: "vCenter's answer is not about it; it is read again",
		}
	}
	return wrap("read", ref.String(), err)
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
