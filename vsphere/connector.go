package vsphere

import (
	"context"
	"crypto/rand"
	"net/url"
	"strings"
	"sync"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
)

// Connector opens clients, and remembers across them what the logins of each account met with, so that neither a client's end nor a new
// configuration makes it forget that vCenter refused a password a moment ago. A process has one. It may be used concurrently.
type Connector struct {
	userAgent string
	dial      func(ctx context.Context, c Connection, agent string) (*vim25.Client, error)
	rests     rests
	// salt keeps what is remembered of a password from being looked up in a table.
	salt string

	mu     sync.Mutex
	guards map[identity]*guard
	books  map[string]*books
}

// identity is an account at a vCenter, as the configuration names it.
type identity struct{ url, user string }

// NewConnector makes a connector that calls itself vspherepool/version in vCenter's list of sessions.
func NewConnector(version string) *Connector {
	return &Connector{userAgent: userAgent(version), rests: vcenterRests, salt: rand.Text(), dial: dial, guards: map[identity]*guard{}}
}

// Over makes the connector's calls go another way than the network's, such as to a vCenter in the same process: each client gets a round
// tripper of its own, which keeps the session that is opened through it. The connection's address and certificates mean nothing then.
func (k *Connector) Over(open func() soap.RoundTripper) *Connector {
	k.dial = func(ctx context.Context, _ Connection, _ string) (*vim25.Client, error) {
		vc, err := vim25.NewClient(ctx, open())
		if err == nil {
			vc.Client = soap.NewClient(&url.URL{}, false) // for its headers only
		}
		return vc, err
	}
	return k
}

// product tells administrators whose session it is.
const product = "vspherepool"

// userAgent leaves out a version that is none: "(devel)" would be a comment.
func userAgent(version string) string {
	if version == "" || strings.ContainsAny(version, "() ") {
		return product
	}
	return product + "/" + version
}

// Connect logs in to the vCenter and resolves the template for the pool. It changes nothing there but for the pool's folder, which it
// creates when only that is missing. A client that can follow machines but make none is no error, see [Site].Flaw.
// Kinds: Misconfigured, BadLogin and Forbidden say that the configuration is at fault. A BadLogin may be an earlier one: a credential
// that vCenter refused is not sent again for three minutes, and until then vCenter is not called at all.
func (k *Connector) Connect(ctx context.Context, pool string, c Connection, t Template) (*Client, error) {
	a := &account{user: c.Username, from: c.password(), guard: k.guard(c)}
	if err := a.admitted(); err != nil {
		return nil, wrap("log in", c.Username, err)
	}
	vc, err := k.dial(ctx, c, k.userAgent)
	if err != nil {
		return nil, wrap("connect to vcenter", c.URL, err)
	}
	a.meet(vc)
	client := assemble(ctx, pool, vc, a)
	client.logout = a.logout
	client.launcher.books = k.booksOf(vc.ServiceContent.About.InstanceUuid)
	if err := client.session.open(ctx); err != nil {
		_ = client.Close(ctx)
		return nil, wrap("log in", c.Username, err)
	}
	client.session.keepAlive()
	return client.prepare(ctx, t)
}

// guard is the one of the connection's account.
func (k *Connector) guard(c Connection) *guard {
	k.mu.Lock()
	defer k.mu.Unlock()
	id := identity{c.URL, strings.ToLower(c.Username)}
	if u, err := soap.ParseURL(c.URL); err == nil && u != nil {
		id.url = strings.ToLower(u.Host + u.Path)
	}
	if k.guards[id] == nil {
		k.guards[id] = newGuard(k.salt, k.rests)
	}
	return k.guards[id]
}
