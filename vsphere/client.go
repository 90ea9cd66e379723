package vsphere

import (
	"context"
	"slices"
	"time"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

// Client is one vCenter as a pool uses it: a session that renews itself, and the pool's provisioning template, resolved. Its methods
// may be called concurrently and fail with a *[Error].
type Client struct {
	pool    string
	vim     *vim25.Client
	session *session
	// logout ends the session; nil where it is somebody else's.
	logout func(context.Context) error

	place  placement
	site   Site
	tasks  *poller
	reader *reader
	// inspector is the reader of VMs with their disks, which takes longer, and graves that of VMs that should not be there any more.
	inspector, graves *reader
	starts            *starts
	manner            manner
	events            *feed
	hosts             *names
	labels            *labels
	cards             wiring
	// departures are the VMs of which no hints are given.
	departures departures
	// launcher knows of the clones in flight.
	launcher *launcher
}

// New is [Connector.Connect] over a client that is logged in already, such as one of an in-process simulator. It neither logs in again
// nor out.
func New(ctx context.Context, pool string, vc *vim25.Client, t Template) (*Client, error) {
	return assemble(ctx, pool, vc, nil).prepare(ctx, t)
}

func assemble(ctx context.Context, pool string, vc *vim25.Client, k keeper) *Client {
	s := newSession(ctx, vc.RoundTripper, k)
	own := *vc
	named := newLabels()
	own.RoundTripper = labelling{s, named}
	c := &Client{pool: pool, vim: &own, session: s, hosts: newNames(), labels: named, launcher: newLauncher()}
	c.tasks = newPoller(s.life, func(ctx context.Context, spec types.PropertyFilterSpec) ([]types.ObjectContent, error) {
		return c.collect(ctx, spec)
	})
	c.reader = newReader(s.life, c.one, c.study)
	c.inspector = newReader(s.life, c.one, c.study)
	c.graves = newReader(s.life, c.one, c.presence)
	c.starts = newStarts(s.life, c.powerOnAll)
	c.events = newFeed(c.vim)
	return c
}

// prepare resolves the template; a client that cannot be used does not stay open.
func (c *Client) prepare(ctx context.Context, t Template) (*Client, error) {
	err := c.resolve(ctx, t)
	if err != nil {
		_ = c.Close(ctx)
		return nil, wrap("resolve template", t.Template, err)
	}
	return c, nil
}

// Site is what connecting found out, with a note of what vCenter has refused since.
func (c *Client) Site() Site {
	site := c.site
	if note := c.manner.note(); note != "" {
		site.Notes = append(slices.Clip(site.Notes), note)
	}
	return site
}

// Close ends everything that the client holds in vCenter and logs out, within five seconds. Calls in flight, and later ones, fail with
// Unreachable. The error is that of the logout; the client is closed in any case, and vCenter ends an abandoned session after half an
// hour.
func (c *Client) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer cancel()
	if !c.release(ctx) {
		return nil
	}
	c.session.close()
	c.starts.close()
	c.reader.close()
	c.inspector.close()
	c.graves.close()
	c.tasks.close()
	if c.logout == nil {
		return nil
	}
	err := c.logout(ctx)
	if isFault(err, fault[types.NotAuthenticated]()) {
		return nil // the session was over already
	}
	return wrap("log out", "", err)
}

// farewell is how much of its time Close gives to a login under way and to what the client holds in vCenter; the rest is the logout's.
const farewell = 2 * time.Second

// release gives back what the client holds in vCenter. It says whether this is the first time.
func (c *Client) release(ctx context.Context) (first bool) {
	ctx, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	if !c.session.settle(ctx) {
		return false
	}
	c.events.close(ctx)
	return true
}

func vmRef(ref Ref) types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "VirtualMachine", Value: string(ref)}
}

func vmRefs(refs []Ref) []types.ManagedObjectReference {
	out := make([]types.ManagedObjectReference, len(refs))
	for i, ref := range refs {
		out[i] = vmRef(ref)
	}
	return out
}
