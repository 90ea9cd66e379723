package chaos

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"time"

	vcsim "github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere/simulator"
)

const (
	user     = simulator.User
	password = simulator.Password
)

// network is the way from the server's process to vCenter: it makes the troubles that it is told to, keeps sessions as vCenter does,
// and shows each call to the spy. It is not HTTP: a call goes to the simulator as it is, which is cheap enough for hours of polling.
type network struct {
	seed    uint64
	backend soap.RoundTripper
	spy     *spy

	mu       sync.Mutex
	troubles []*standing
	// struck is when one of them last did.
	struck time.Time
	// hid: VMs were not shown, or not as they were, at some time.
	hid bool
	// changed is closed when the troubles change.
	changed chan struct{}
	// session is the key of the sessions that vCenter knows; it is raised to end them all.
	session int
	calls   int
	asked   map[string]uint64
}

// standing is a trouble with what is left of it.
type standing struct {
	trouble
	used int
}

func newNetwork(seed uint64, backend soap.RoundTripper, s *spy) *network {
	return &network{seed: seed, backend: backend, spy: s, changed: make(chan struct{}), asked: map[string]uint64{}, session: 1}
}

func (n *network) trouble(t trouble) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hid = n.hid || t.Kind == "omit" || t.Kind == "disconnected"
	n.troubles = append(n.troubles, &standing{trouble: t})
}

func (n *network) calm() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.troubles = nil
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *network) logoutAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.session++
}

// line is one client's connection.
type line struct {
	*network
	fuse *fuse
	// session is the one that the client has opened; 0: none.
	session int
}

// exchange is one call on its way.
type exchange struct {
	method   string
	this     types.ManagedObjectReference
	req, res soap.HasFault
	// chance is what the call's fate is drawn from: it depends on the seed, the method and how many such calls there were.
	chance uint64
	hits   map[string]trouble
	// began is when the caller made it.
	began time.Time
	over  <-chan struct{}
}

var (
	errRefused = &url.Error{Op: "Post", URL: "https://vcenter.invalid/sdk", Err: errors.New("connect: connection refused")}
	errCut     = &url.Error{Op: "Post", URL: "https://vcenter.invalid/sdk", Err: errors.New("EOF")}
	errBusy    = &url.Error{Op: "Post", URL: "https://vcenter.invalid/sdk", Err: errors.New("503 Service Unavailable")}
	errSlow    = &url.Error{Op: "Post", URL: "https://vcenter.invalid/sdk", Err: context.DeadlineExceeded}
)

// RoundTrip implements [soap.RoundTripper].
func (l *line) RoundTrip(ctx context.Context, req, res soap.HasFault) error {
	x := l.newExchange(req, res)
	if err := l.travel(ctx, l.latency(x)); err != nil {
		return err
	}
	if err := l.obstructed(ctx, x); err != nil {
		return err
	}
	if err := l.answered(x); err != nil || x.local() {
		return err
	}
	err := l.execute(ctx, x)
	if t, late := x.hits["late"]; late && err == nil {
		err = l.travel(ctx, milliseconds(t.Delay))
	}
	if _, lost := x.hits["lost"]; lost {
		err = errCut
	}
	if l.fuse.blown() {
		return errRefused
	}
	return err
}

func (l *line) newExchange(req, res soap.HasFault) *exchange {
	body := reflect.ValueOf(req).Elem().FieldByName("Req").Elem()
	x := &exchange{method: body.Type().Name(), req: req, res: res, hits: map[string]trouble{}, began: time.Now()}
	x.this, _ = reflect.TypeAssert[types.ManagedObjectReference](body.FieldByName("This"))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	x.over = l.changed
	key := x.method
	if x.mutates() {
		key += x.this.Value // calls about different VMs come in any order
	}
	l.asked[key]++
	x.chance = mix(l.seed, key, l.asked[key])
	for i, s := range l.troubles {
		if s.concerns(x) && mix(x.chance, s.Kind, uint64(i))%100 < uint64(s.Share) {
			if s.used++; s.Times == 0 || s.used <= s.Times {
				x.hits[s.Kind] = s.trouble
				l.struck = time.Now()
			}
		}
	}
	return x
}

// concerns says whether the trouble is for calls like this one. Those of tasks and of VMs are drawn elsewhere.
func (s *standing) concerns(x *exchange) bool {
	if s.Kind == "task" || s.Kind == "omit" || s.Kind == "disconnected" {
		return false
	}
	if s.Method == "" {
		return s.Kind != "fault" || x.method != "Login" && x.method != "Logout" && x.method != "RetrieveServiceContent"
	}
	return s.Method == x.method
}

func mix(seed uint64, text string, n uint64) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %d", seed, text, n)
	return h.Sum64() >> 7
}

// mutates says whether the call can change something in vCenter's inventory.
func (x *exchange) mutates() bool {
	switch x.this.Type {
	case "VirtualMachine", "Folder", "Datacenter", "ComputeResource", "ClusterComputeResource", "VirtualDiskManager", "FileManager",
		"ResourcePool", "HostSystem", "StorageResourceManager":
		return true
	}
	return false
}

// latency differs from call to call, so that their order is that of the virtual time and not the scheduler's.
func (l *line) latency(x *exchange) time.Duration {
	return time.Duration(200+x.chance%9000) * time.Microsecond
}

// travel lets time pass, unless the caller or the process ends first.
func (l *line) travel(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-l.fuse.dead:
		return errRefused
	}
}

// obstructed is what keeps a call from reaching vCenter.
func (l *line) obstructed(ctx context.Context, x *exchange) error {
	if l.fuse.blown() {
		return errRefused
	}
	if _, hit := x.hits["refuse"]; hit {
		return errRefused
	}
	if _, hit := x.hits["status"]; hit {
		return errBusy
	}
	if _, hit := x.hits["cut"]; hit {
		return errCut
	}
	if _, hit := x.hits["hang"]; hit {
		return l.hang(ctx, x)
	}
	return nil
}

// hang lasts until the trouble is over, and at most as long as the driver waits for any call.
func (l *line) hang(ctx context.Context, x *exchange) error {
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	select {
	case <-timer.C:
		return errSlow
	case <-x.over:
		return errCut
	case <-ctx.Done():
		return ctx.Err()
	case <-l.fuse.dead:
		return errRefused
	}
}

// local says that a call is about the session, which is the network's business: the simulator has one for all who call in process.
func (x *exchange) local() bool { return x.method == "Login" || x.method == "Logout" }

// answered answers what needs no simulator: logins, and what is refused.
func (l *line) answered(x *exchange) error {
	if t, hit := x.hits["fault"]; hit {
		return refused(faults[t.Fault])
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	alive := l.session != 0 && l.session == l.network.session
	switch res := x.res.(type) {
	case *methods.LoginBody:
		return l.login(x.req.(*methods.LoginBody).Req, res, alive)
	case *methods.LogoutBody:
		l.session, res.Res = 0, &types.LogoutResponse{}
		return nil
	}
	if !alive && x.method != "RetrieveServiceContent" {
		return refused(&types.NotAuthenticated{NoPermission: types.NoPermission{Object: &x.this, PrivilegeId: "System.View"}})
	}
	return nil
}

func (l *line) login(req *types.Login, res *methods.LoginBody, alive bool) error {
	if alive || req.UserName != user || req.Password != password {
		return refused(&types.InvalidLogin{})
	}
	l.session = l.network.session
	res.Res = &types.LoginResponse{Returnval: types.UserSession{Key: fmt.Sprint("session-", l.session), UserName: user}}
	return nil
}

// refused is a SOAP fault as the driver gets it.
func refused(f types.BaseMethodFault) error {
	return soap.WrapSoapFault(vcsim.Fault("", f))
}

// faults are those that a trouble can name.
var faults = map[string]types.BaseMethodFault{
	"NotAuthenticated":     &types.NotAuthenticated{},
	"NoPermission":         &types.NoPermission{PrivilegeId: "VirtualMachine.Inventory.CreateFromExisting"},
	"TaskInProgress":       &types.TaskInProgress{},
	"ConcurrentAccess":     &types.ConcurrentAccess{},
	"InsufficientStorage":  &types.InsufficientStorageSpace{},
	"InvalidState":         &types.InvalidState{},
	"InvalidPowerState":    &types.InvalidPowerState{},
	"SystemError":          &types.SystemErrorFault{Reason: "chaos"},
	"HostCommunication":    &types.HostCommunication{},
	"GenericVmConfigFault": &types.GenericVmConfigFault{Reason: "chaos"},
	"TooManyTasks":         &types.ResourceInUse{},
}

// execute has the simulator make the call. One whose caller gives up, or dies, while it is on its way is made all the same half of the
// times, as with a real vCenter.
func (l *line) execute(ctx context.Context, x *exchange) error {
	if x.mutates() {
		l.spy.arrives(l, x)
		if !l.fuse.moment() {
			return errRefused
		}
	}
	if t, slow := x.hits["slow"]; slow {
		if err := l.travel(ctx, milliseconds(t.Delay)); err != nil && (!x.mutates() || x.chance%2 == 0) {
			return err
		}
	}
	err := l.backend.RoundTrip(context.WithoutCancel(ctx), x.req, x.res)
	l.spy.executed(l, x, err)
	if x.mutates() && !l.fuse.moment() {
		return errRefused
	}
	if err == nil {
		l.rewrite(x)
	}
	return err
}

// rewrite makes the answer of the property collector what the troubles say. The simulator's own objects stay as they are.
func (l *line) rewrite(x *exchange) {
	req, reads := x.req.(*methods.RetrievePropertiesExBody)
	res, _ := x.res.(*methods.RetrievePropertiesExBody)
	if !reads || res.Res == nil || res.Res.Returnval == nil {
		return
	}
	copied := *res.Res.Returnval
	res.Res = &types.RetrievePropertiesExResponse{Returnval: &copied}
	listing := lists(req.Req)
	if _, hit := x.hits["truncate"]; hit && listing && len(copied.Objects) > 1 {
		copied.Objects, copied.Token = copied.Objects[:(len(copied.Objects)+1)/2], "lost"
	}
	survey := x.begins() == "ContainerView" // it is made once, and what it does not show the pool cannot know of
	if t, hit := l.lasting("omit"); hit && listing && !survey {
		copied.Objects = filtered(copied.Objects, func(ref string) bool { return mix(l.seed, ref, 0)%100 >= uint64(t.Share) })
	}
	if t, hit := l.lasting("disconnected"); hit {
		copied.Objects = disconnected(copied.Objects, func(ref string) bool { return mix(l.seed, ref, 1)%100 < uint64(t.Share) })
	}
}

// begins is the type of the first object that a read names.
func (x *exchange) begins() string {
	if req := x.req.(*methods.RetrievePropertiesExBody).Req; len(req.SpecSet) > 0 && len(req.SpecSet[0].ObjectSet) > 0 {
		return req.SpecSet[0].ObjectSet[0].Obj.Type
	}
	return ""
}

// lists says whether a read finds objects by itself, rather than being told which.
func lists(req *types.RetrievePropertiesEx) bool {
	for _, spec := range req.SpecSet {
		for _, o := range spec.ObjectSet {
			if len(o.SelectSet) > 0 {
				return true
			}
		}
	}
	return false
}

// lasting is a trouble that hits VMs, not calls.
func (n *network) lasting(kind string) (trouble, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.troubles {
		if s.Kind == kind {
			return s.trouble, true
		}
	}
	return trouble{}, false
}

func filtered(all []types.ObjectContent, keep func(ref string) bool) []types.ObjectContent {
	var kept []types.ObjectContent
	for _, o := range all {
		if o.Obj.Type != "VirtualMachine" || keep(o.Obj.Value) {
			kept = append(kept, o)
		}
	}
	return kept
}

func disconnected(all []types.ObjectContent, which func(ref string) bool) []types.ObjectContent {
	out := make([]types.ObjectContent, len(all))
	for i, o := range all {
		if o.Obj.Type == "VirtualMachine" && which(o.Obj.Value) {
			properties := make([]types.DynamicProperty, len(o.PropSet))
			for j, p := range o.PropSet {
				if p.Name == "runtime.connectionState" {
					p.Val = types.VirtualMachineConnectionStateDisconnected
				}
				properties[j] = p
			}
			o.PropSet = properties
		}
		out[i] = o
	}
	return out
}

// named are the VMs that a read names itself, rather than finds.
func named(req *types.RetrievePropertiesEx) []types.ManagedObjectReference {
	var refs []types.ManagedObjectReference
	for _, spec := range req.SpecSet {
		marks := false
		for _, p := range spec.PropSet {
			for _, path := range p.PathSet {
				marks = marks || strings.Contains(path, markKey)
			}
		}
		for _, o := range spec.ObjectSet {
			if marks && o.Obj.Type == "VirtualMachine" {
				refs = append(refs, o.Obj)
			}
		}
	}
	return refs
}

// open gives each client of a process its own line.
func (n *network) open(f *fuse) func() soap.RoundTripper {
	return func() soap.RoundTripper { return &line{network: n, fuse: f} }
}

// standing is how many troubles there are, and when the last one struck.
func (n *network) standing() (left int, struck time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.troubles {
		if s.Times == 0 || s.used < s.Times {
			left++
		}
	}
	return left, n.struck
}

// taskFault is asked before the work of each task: a trouble of the kind "task" makes it fail.
func (n *network) taskFault(method string, _ any) types.BaseMethodFault {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.troubles {
		if s.Kind != "task" || s.Method != method {
			continue
		}
		n.asked["task "+method]++
		if mix(n.seed, "task "+method, n.asked["task "+method])%100 >= uint64(s.Share) {
			continue
		}
		if s.used++; s.Times == 0 || s.used <= s.Times {
			n.struck = time.Now()
			return faults[s.Fault]
		}
	}
	return nil
}
