package vsphere

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// recommendationPause is the wait before Storage DRS is asked again: asked too soon after another clone it repeats a datastore that
// this one has filled (terraform-provider-vsphere #2448).
const recommendationPause = 5 * time.Second

// chooseCluster resolves the datastore cluster.
func (c *Client) chooseCluster(ctx context.Context, p *placement) error {
	if p.template.Datastore != "" || len(p.template.Datastores) > 0 {
		return misconfigured("datastoreCluster", "datastore or datastores is set too", "keep one of them")
	}
	ref, err := c.reference(ctx, p.template.DatastoreCluster, "StoragePod")
	if err != nil {
		return setting("datastoreCluster", err)
	}
	var pod mo.StoragePod
	if err := c.properties(ctx, ref, &pod, "podStorageDrsEntry"); err != nil {
		return wrap("read datastore cluster", p.template.DatastoreCluster, err)
	}
	if pod.PodStorageDrsEntry == nil || !pod.PodStorageDrsEntry.StorageDrsConfig.PodConfig.Enabled {
		return misconfigured(p.template.DatastoreCluster, "Storage DRS is off, so it recommends nothing",
			"turn it on, or list the cluster's datastores under datastores")
	}
	p.cluster = &ref
	return nil
}

// recommended finds a clone its place by Storage DRS and promises it. The keys are those of the recommendations; whoever has started the
// clone cancels them, for they are not applied: that would make the clone a task of another kind, which could not be found again after a
// crash. The turn of the cluster must be held.
func (c *Client) recommended(ctx context.Context, order CloneOrder) (s spot, keys []string, err error) {
	s, keys, err = c.recommend(ctx, order)
	if KindOf(err) != Storage {
		return s, keys, err
	}
	c.cancel(ctx, keys)
	timer := time.NewTimer(recommendationPause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return c.recommend(ctx, order)
	case <-ctx.Done():
		return spot{}, nil, ctx.Err()
	}
}

// recommend asks once. Storage DRS knows nothing of what other clones were promised, so its datastores are held against the ledger.
func (c *Client) recommend(ctx context.Context, order CloneOrder) (spot, []string, error) {
	p, err := c.launcher.sight(ctx, c.prospect)
	if err != nil {
		return spot{}, nil, err
	}
	on, err := c.hostFor(p)
	if err != nil {
		return spot{}, nil, err
	}
	result, err := c.ask(ctx, order, on)
	if err != nil {
		return spot{}, nil, err
	}
	stores, keys := destinations(result)
	if len(stores) == 0 {
		return spot{}, keys, c.unrecommended(result)
	}
	w := c.place.wish()
	w.stores = stores
	s, err := c.launcher.follow(order.ID, on, w, p)
	return s, keys, err
}

// hostFor chooses the host before Storage DRS is asked, which then recommends a datastore that this host reaches. Zero without hosts.
func (c *Client) hostFor(p prospect) (types.ManagedObjectReference, error) {
	w := c.place.wish()
	if len(w.hosts) == 0 {
		return types.ManagedObjectReference{}, nil
	}
	w.stores = slices.SortedFunc(maps.Keys(p.stores), func(a, b types.ManagedObjectReference) int { return cmp.Compare(a.Value, b.Value) })
	s, err := c.launcher.pick(w, p)
	return s.host, err
}

func (c *Client) ask(ctx context.Context, order CloneOrder, on types.ManagedObjectReference) (*types.StoragePlacementResult, error) {
	spec, err := c.place.spec(c.pool, order, spot{host: on})
	if err != nil {
		return nil, err
	}
	result, err := object.NewStorageResourceManager(c.vim).RecommendDatastores(ctx, types.StoragePlacementSpec{
		Type:             string(types.StoragePlacementSpecPlacementTypeClone),
		Vm:               &c.place.source,
		CloneName:        order.Name,
		CloneSpec:        &spec,
		Folder:           &c.place.folder,
		PodSelectionSpec: types.StorageDrsPodSelectionSpec{StoragePod: c.place.cluster},
	})
	return result, wrap("ask storage drs for a datastore of", c.place.template.DatastoreCluster, err)
}

// unrecommended is why Storage DRS found nothing.
func (c *Client) unrecommended(result *types.StoragePlacementResult) error {
	e := &Error{
		Op: "ask storage drs for a datastore of", Object: c.place.template.DatastoreCluster, Kind: Storage,
		Err: errors.New("it recommends none"), Hint: "free space in the cluster, or see its Storage DRS faults in vCenter",
	}
	if result.DrsFault != nil {
		e.Err = errors.New("it recommends none: " + cmp.Or(result.DrsFault.Reason, "no reason given"))
	}
	return e
}

// destinations are the recommended datastores, best first, and the keys of the recommendations.
func destinations(result *types.StoragePlacementResult) (stores []types.ManagedObjectReference, keys []string) {
	for _, r := range result.Recommendations {
		keys = append(keys, r.Key)
		for _, action := range r.Action {
			if placed, ok := action.(*types.StoragePlacementAction); ok {
				stores = append(stores, placed.Destination)
			}
		}
	}
	return stores, keys
}

// cancel frees what recommendations that are not applied hold in the cluster. They expire by themselves, so a failure changes nothing.
func (c *Client) cancel(ctx context.Context, keys []string) {
	if len(keys) == 0 {
		return
	}
	ctx, end := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer end()
	_ = object.NewStorageResourceManager(c.vim).CancelStorageDrsRecommendation(ctx, keys)
}
