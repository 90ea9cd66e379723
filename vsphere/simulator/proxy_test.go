package simulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// proxied is a lab whose client is logged in through a proxy.
type proxied struct {
	*lab
	proxy  *Proxy
	remote *vim25.Client
}

func newProxied(t *testing.T) *proxied {
	t.Helper()
	l := newLab(t, Options{})
	must(l.sim.Serve("127.0.0.1:0"))(t)
	p := &proxied{lab: l, proxy: must(NewProxy(l.sim.Connection().URL, 1))(t)}
	t.Cleanup(p.proxy.Close)
	u := must(soap.ParseURL(p.proxy.Connection().URL))(t)
	client := soap.NewClient(u, true)
	client.Timeout = 10 * time.Second
	p.remote = must(vim25.NewClient(t.Context(), client))(t)
	t.Cleanup(p.remote.CloseIdleConnections)
	p.login()
	return p
}

func (p *proxied) login() {
	p.Helper()
	if err := session.NewManager(p.remote).Login(p.Context(), url.UserPassword(User, Password)); err != nil {
		p.Fatal(err)
	}
}

func (p *proxied) make(trouble Trouble) {
	p.Helper()
	if err := p.proxy.Make(trouble); err != nil {
		p.Fatal(err)
	}
}

// ask is a call that changes nothing.
func (p *proxied) ask() error {
	_, err := methods.GetCurrentTime(p.Context(), p.remote)
	return err
}

func TestProxyPassesCallsOnAndCountsThem(t *testing.T) {
	p := newProxied(t)
	if err := p.ask(); err != nil {
		t.Fatal(err)
	}
	p.listing()
	calls := p.proxy.Calls()
	if calls["Login"] != 1 || calls["CurrentTime"] != 1 || calls["RetrievePropertiesEx Folder"] != 1 {
		t.Errorf("%v", calls)
	}
	p.proxy.Reset()
	if calls := p.proxy.Calls(); len(calls) != 0 {
		t.Errorf("%v", calls)
	}
}

func TestProxyBreaksConnections(t *testing.T) {
	p := newProxied(t)
	status := func(code string) func(error) bool {
		return func(err error) bool { return err != nil && strings.Contains(err.Error(), code) }
	}
	for name, test := range map[string]struct {
		trouble Trouble
		as      func(error) bool
	}{
		"refuse": {Trouble{Refuse: true}, func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }},
		"502":    {Trouble{Status: http.StatusBadGateway}, status("502")},
		"503":    {Trouble{Status: http.StatusServiceUnavailable}, status("503")},
		"cut":    {Trouble{Cut: 2}, func(err error) bool { return errors.Is(err, io.EOF) }},
	} {
		p.make(test.trouble)
		_ = p.ask() // on a connection from before
		if err := p.ask(); !test.as(err) {
			t.Errorf("%s: %v", name, err)
		}
		p.make(Trouble{})
		if err := p.ask(); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
}

func TestProxyCutsAnswers(t *testing.T) {
	p := newProxied(t)
	p.make(Trouble{Cut: 1})
	before, within := 0, 0
	for range 40 {
		switch err := p.ask(); {
		case errors.Is(err, io.ErrUnexpectedEOF) || err != nil && strings.Contains(err.Error(), "unexpected EOF"):
			within++
		case err != nil:
			before++
		}
	}
	if before < 5 || within < 2 {
		t.Errorf("%d calls were cut before vCenter heard of them, %d in the middle of the answer", before, within)
	}
}

func TestProxyHangsUntilTheTroubleChanges(t *testing.T) {
	p := newProxied(t)
	p.make(Trouble{Hang: true})
	answered := make(chan error, 1)
	go func() { answered <- p.ask() }()
	select {
	case err := <-answered:
		t.Fatalf("answered %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	p.make(Trouble{})
	if err := <-answered; err == nil {
		t.Error("a call that hung was answered")
	}
}

func TestProxyCallsThatHangEndWithTheirCallers(t *testing.T) {
	p := newProxied(t)
	p.make(Trouble{Hang: true})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := methods.GetCurrentTime(ctx, p.remote); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestProxyDropsSessions(t *testing.T) {
	p := newProxied(t)
	p.proxy.DropSessions()
	if err := p.rename(); !fault.Is(err, &types.NotAuthenticated{}) {
		t.Errorf("%v", err)
	}
	p.login()
	if err := p.rename(); err != nil {
		t.Errorf("after login: %v", err)
	}
}

func (p *proxied) rename() error {
	_, err := methods.Rename_Task(p.Context(), p.remote, &types.Rename_Task{This: p.pools.Reference(), NewName: "pools"})
	return err
}

func TestProxyInjectsFaults(t *testing.T) {
	p := newProxied(t)
	p.make(Trouble{Inject: []Injection{
		{Method: "Rename_Task", Fault: &types.NoPermission{PrivilegeId: "Folder.Rename", Object: new(p.pools.Reference())}, Times: 1},
		{Method: "CurrentTime", Fault: &types.SystemError{Reason: "odd"}, Probability: 0.5},
	}})
	err := p.rename()
	var denied *types.NoPermission
	if _, ok := fault.As(err, &denied); !ok || denied.PrivilegeId != "Folder.Rename" || denied.Object.Value != p.pools.Reference().Value {
		t.Errorf("%v %+v", err, denied)
	}
	if err := p.rename(); err != nil {
		t.Errorf("the second time: %v", err)
	}
	failed := 0
	for range 100 {
		if err := p.ask(); fault.Is(err, &types.SystemError{}) {
			failed++
		}
	}
	if failed < 30 || failed > 70 {
		t.Errorf("%d of 100 calls met a fault of probability 0.5", failed)
	}
}

// listing is the pools folder with the VMs in it, by the collector's answer.
func (p *proxied) listing() *types.RetrieveResult {
	p.Helper()
	folder := p.pools.Reference()
	res, err := methods.RetrievePropertiesEx(p.Context(), p.remote, &types.RetrievePropertiesEx{
		This: p.remote.ServiceContent.PropertyCollector,
		SpecSet: []types.PropertyFilterSpec{{
			ObjectSet: []types.ObjectSpec{{
				Obj: folder, SelectSet: []types.BaseSelectionSpec{&types.TraversalSpec{Type: "Folder", Path: "childEntity"}},
			}},
			PropSet: []types.PropertySpec{
				{Type: "Folder", PathSet: []string{"name"}},
				{Type: "VirtualMachine", PathSet: []string{"name", "runtime.connectionState", "config.instanceUuid"}},
			},
		}},
	})
	if err != nil {
		p.Fatal(err)
	}
	if res.Returnval == nil {
		return &types.RetrieveResult{}
	}
	return res.Returnval
}

func TestProxyRewritesListings(t *testing.T) {
	p := newProxied(t)
	for i := range 5 {
		p.clone(fmt.Sprintf("vm-%d", i))
	}
	whole := p.listing()
	all, first := func(string) bool { return true }, whole.Objects[1].Obj.Value
	only := func(vm string) bool { return vm == first }
	for name, test := range map[string]struct {
		rewrite func(bool, *types.RetrieveResult)
		objects int
		as      func(*types.RetrieveResult) bool
	}{
		"empty":             {Empty, 0, nil},
		"omit all":          {Omit(all, false), 1, nil},
		"omit one":          {Omit(only, false), 5, nil},
		"truncate":          {Truncate(""), 3, nil},
		"truncate, a token": {Truncate("7"), 3, func(r *types.RetrieveResult) bool { return r.Token == "7" }},
		"disconnected": {Lose(types.VirtualMachineConnectionStateDisconnected, only), 6, func(r *types.RetrieveResult) bool {
			return r.Objects[1].PropSet[1].Val == types.VirtualMachineConnectionStateDisconnected && len(r.Objects[1].PropSet) == 3
		}},
		"inaccessible": {Lose(types.VirtualMachineConnectionStateInaccessible, only), 6, func(r *types.RetrieveResult) bool {
			return len(r.Objects[1].PropSet) == 2 && len(r.Objects[2].PropSet) == 3
		}},
		"hidden": {Hide(&types.NoPermission{PrivilegeId: "System.Read"}), 6, func(r *types.RetrieveResult) bool {
			return len(r.Objects[1].PropSet) == 0 && len(r.Objects[1].MissingSet) == 3
		}},
	} {
		p.make(Trouble{Rewrite: test.rewrite})
		got := p.listing()
		if len(got.Objects) != test.objects || test.as != nil && !test.as(got) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestSomeIsTheSameEachTime(t *testing.T) {
	which, n := Some(3, 0.3), 0
	for i := range 1000 {
		vm := fmt.Sprintf("vm-%d", i)
		if which(vm) != Some(3, 0.3)(vm) {
			t.Fatal(vm)
		}
		if which(vm) {
			n++
		}
	}
	if n < 250 || n > 350 {
		t.Errorf("%d of 1000", n)
	}
}

func TestProxyDelaysAnswers(t *testing.T) {
	p := newProxied(t)
	p.make(Trouble{Delay: 40 * time.Millisecond})
	begun := time.Now()
	for range 10 {
		if err := p.ask(); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(begun); d < 60*time.Millisecond {
		t.Errorf("ten answers took %v", d)
	}
}

func TestProxyHitsAShareOfTheCalls(t *testing.T) {
	p := newProxied(t)
	p.make(Trouble{Status: 503, Share: 0.5})
	failed := 0
	for range 100 {
		if p.ask() != nil {
			failed++
		}
	}
	if failed < 30 || failed > 70 {
		t.Errorf("%d of 100", failed)
	}
}

func FuzzParseCall(f *testing.F) {
	f.Add([]byte(`<Envelope><Body><RetrievePropertiesEx><specSet><objectSet><obj type="Task">t</obj></objectSet></specSet>` +
		`</RetrievePropertiesEx></Body></Envelope>`))
	f.Add([]byte(`<a><Body/>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if c := parseCall(body); c.begins != "" && !c.reads() {
			t.Errorf("%+v", c)
		}
	})
}

func TestProxyRefusesWithoutABackend(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := "http://" + l.Addr().String() + "/sdk"
	l.Close()
	p := must(NewProxy(dead, 1))(t)
	defer p.Close()
	client := soap.NewClient(must(soap.ParseURL(p.Connection().URL))(t), true)
	defer client.CloseIdleConnections()
	if _, err := vim25.NewClient(t.Context(), client); err == nil || !strings.Contains(err.Error(), "502") {
		t.Errorf("%v", err)
	}
}
