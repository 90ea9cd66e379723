package vsphere

import (
	"context"
	"errors"

	"github.com/vmware/govmomi/vim25/types"
)

var errNoDatacenter = &Error{
	Op: "look up", Object: "datacenter of the pool's folder", Kind: Forbidden, Err: errors.New("it is not shown"),
	Hint: "let the account see the folders above the pool's",
}

// ancestor is an object of the inventory on the way up to the root. One that the account may not see goes by its id, and ends the way.
type ancestor struct {
	ref  types.ManagedObjectReference
	name string
}

// ancestors are the object itself and what is above it, as far up as the account can see. (govmomi's mo.Ancestors does not end where
// something above is hidden.)
func (c *Client) ancestors(ctx context.Context, of types.ManagedObjectReference) ([]ancestor, error) {
	const upwards = "upwards"
	a, err := c.study(ctx, types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{
			Obj: of,
			SelectSet: []types.BaseSelectionSpec{&types.TraversalSpec{
				SelectionSpec: types.SelectionSpec{Name: upwards}, Type: "ManagedEntity", Path: "parent",
				SelectSet: []types.BaseSelectionSpec{&types.SelectionSpec{Name: upwards}},
			}},
		}},
		PropSet: []types.PropertySpec{{Type: "ManagedEntity", PathSet: []string{"name", "parent"}}},
	})
	if err != nil {
		return nil, err
	}
	seen := map[types.ManagedObjectReference]types.ObjectContent{}
	for _, o := range a.whole {
		seen[o.Obj] = o
	}
	if _, shown := seen[of]; !shown {
		return nil, a.reason(of)
	}
	return chain(of, seen), nil
}

// chain follows the parents; it takes what it has passed out of seen, so that it ends whatever it was answered.
func chain(from types.ManagedObjectReference, seen map[types.ManagedObjectReference]types.ObjectContent) []ancestor {
	var out []ancestor
	for ref := from; ref.Value != ""; {
		o, shown := seen[ref]
		delete(seen, ref)
		if !shown {
			return append(out, ancestor{ref, ref.Value})
		}
		out = append(out, ancestor{ref, value[string](o, "name")})
		ref = value[types.ManagedObjectReference](o, "parent")
	}
	return out
}

// datacenterAmong is the datacenter on the way up; the zero ancestor if that ended before.
func datacenterAmong(above []ancestor) ancestor {
	for _, a := range above {
		if a.ref.Type == "Datacenter" {
			return a
		}
	}
	return ancestor{}
}
