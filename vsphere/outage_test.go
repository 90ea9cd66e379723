package vsphere_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// troubled is a simulator behind a proxy that makes trouble and counts calls.
func troubled(t *testing.T) (*simulator.Simulator, *simulator.Proxy) {
	t.Helper()
	sim, direct := served(t)
	proxy, err := simulator.NewProxy(direct.URL, 1)
	must(t, err)
	t.Cleanup(proxy.Close)
	return sim, proxy
}

func logins(proxy *simulator.Proxy) int { return proxy.Calls()["Login"] }

// An outage, from connections refused to sessions forgotten, is one event: all calls fail as Unreachable, and one login ends it.
func TestOutageIsOneLogin(t *testing.T) {
	t.Parallel()
	sim, proxy := troubled(t)
	client := connect(t, sim, proxy.Connection())
	proxy.Reset()
	ended := make(chan bool)
	running, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for running.Err() == nil {
				_, err := client.Sweep(t.Context(), nil)
				if err != nil && vsphere.KindOf(err) != vsphere.Unreachable {
					t.Error(err)
				}
				select {
				case ended <- err == nil:
				case <-running.Done():
				}
			}
		})
	}
	for _, trouble := range []simulator.Trouble{
		{Refuse: true}, {Cut: 1}, {Status: http.StatusBadGateway}, {Status: http.StatusServiceUnavailable},
	} {
		must(t, proxy.Make(trouble))
		more(t, ended, false)
	}
	proxy.DropSessions()
	must(t, proxy.Make(simulator.Trouble{}))
	more(t, ended, true)
	stop()
	wg.Wait()
	if n := logins(proxy); n != 1 {
		t.Errorf("%d logins", n)
	}
	must(t, client.Close(t.Context()))
	if _, open := sessions(t, sim); len(open) != 1 || proxy.Calls()["Logout"] != 1 {
		t.Errorf("sessions are left over beside the one that the proxy hides: %v", open)
	}
}

// more returns when twice as many calls have ended so as run at a time.
func more(t *testing.T, ended <-chan bool, well bool) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for n := 0; n < 40; {
		select {
		case worked := <-ended:
			if worked == well {
				n++
			}
		case <-limit:
			t.Fatal("the calls do not go on")
		}
	}
}

// A vCenter that is down at start and then comes up is logged in to once.
func TestLateVCenterIsOneLogin(t *testing.T) {
	t.Parallel()
	sim, proxy := troubled(t)
	k := vsphere.NewConnector("1.2.3")
	for _, trouble := range []simulator.Trouble{{Refuse: true}, {Status: http.StatusServiceUnavailable}, {Cut: 1}, {Refuse: true}} {
		must(t, proxy.Make(trouble))
		_, err := k.Connect(t.Context(), pool, proxy.Connection(), sim.Template())
		wantKind(t, err, vsphere.Unreachable)
	}
	must(t, proxy.Make(simulator.Trouble{}))
	client, err := k.Connect(t.Context(), pool, proxy.Connection(), sim.Template())
	must(t, err)
	_, open := sessions(t, sim)
	if n := logins(proxy); n != 1 || len(open) != 1 || open[0].UserAgent != "vspherepool/1.2.3" {
		t.Errorf("%d logins, sessions %v", n, open)
	}
	must(t, client.Close(t.Context()))
	if n := proxy.Calls()["Logout"]; n != 1 {
		t.Errorf("%d logouts", n)
	}
}

// Refused passwords stay refused, whoever connects with them.
func TestRefusalOutlivesClients(t *testing.T) {
	t.Parallel()
	sim, proxy := troubled(t)
	k := vsphere.NewConnector("")
	c := proxy.Connection()
	c.Password = "wrong"
	_, first := k.Connect(t.Context(), pool, c, sim.Template())
	wantKind(t, first, vsphere.BadLogin)
	proxy.Reset()
	for range 5 {
		_, err := k.Connect(t.Context(), pool, c, sim.Template())
		wantKind(t, err, vsphere.BadLogin)
		if err.Error() != first.Error() {
			t.Errorf("%q, and then %q", first, err)
		}
	}
	if calls := proxy.Calls(); len(calls) != 0 {
		t.Errorf("vCenter was called: %v", calls)
	}
	client, err := k.Connect(t.Context(), pool, proxy.Connection(), sim.Template())
	must(t, err)
	must(t, client.Close(t.Context()))
	if n := logins(proxy); n != 1 {
		t.Errorf("%d logins with the right password", n)
	}
	c.Password = "wrong again"
	_, err = k.Connect(t.Context(), pool, c, sim.Template())
	wantKind(t, err, vsphere.BadLogin)
	c.Password = "wrong once more"
	_, err = k.Connect(t.Context(), pool, c, sim.Template())
	wantKind(t, err, vsphere.BadLogin)
	if n := logins(proxy); n != 2 {
		t.Errorf("%d logins, %d of them refused within a minute", n+1, n)
	}
}

// A vCenter that ends sessions at once gets one more login, and a person an answer that says so.
func TestSessionsThatEndAtOnce(t *testing.T) {
	t.Parallel()
	sim, proxy := troubled(t)
	c, err := vsphere.NewConnector("").Connect(t.Context(), pool, proxy.Connection(), sim.Template())
	must(t, err)
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	refusal := simulator.Injection{Method: "RetrievePropertiesEx Folder", Fault: &types.NotAuthenticated{}}
	must(t, proxy.Make(simulator.Trouble{Inject: []simulator.Injection{refusal}}))
	proxy.Reset()
	for range 5 { // vCenter knows the session: a privilege is missing
		_, err = c.Sweep(t.Context(), nil)
		wantKind(t, err, vsphere.Forbidden)
	}
	if n := logins(proxy); n != 0 {
		t.Errorf("%d logins", n)
	}
	must(t, proxy.Make(simulator.Trouble{}))
	for range 5 {
		proxy.DropSessions()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err = c.Sweep(ctx, nil)
		cancel()
		wantKind(t, err, vsphere.Unreachable)
	}
	if n := logins(proxy); n != 0 {
		t.Errorf("%d logins within five seconds of the first", n)
	}
}

func TestCloseDoesNotHang(t *testing.T) {
	t.Parallel()
	sim, proxy := troubled(t)
	client := connect(t, sim, proxy.Connection())
	_, err := client.Hints(t.Context())
	must(t, err)
	must(t, proxy.Make(simulator.Trouble{Hang: true}))
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			_, err := client.Hints(t.Context())
			wantKind(t, err, vsphere.Unreachable)
		})
	}
	start := time.Now()
	err = client.Close(t.Context())
	if took := time.Since(start); err == nil || took > 7*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	wg.Wait()
}

// A vCenter that for a while does not know a living session has logins refused that are in order. Once the session works again, that
// does not count: when it is lost in earnest, one login renews it at once.
func TestARefusalForTheSakeOfALivingSessionIsForgotten(t *testing.T) {
	t.Parallel()
	sim, proxy := troubled(t)
	client := connect(t, sim, proxy.Connection())
	must(t, proxy.Make(simulator.Trouble{Inject: []simulator.Injection{{Fault: &types.NotAuthenticated{}}}}))
	_, err := client.Sweep(t.Context(), nil)
	if err == nil {
		t.Fatal("a sweep without a session")
	}
	must(t, proxy.Make(simulator.Trouble{}))
	_, err = client.Sweep(t.Context(), nil)
	must(t, err)
	terminate(t, sim)
	_, err = client.Sweep(t.Context(), nil)
	must(t, err)
	if n := logins(proxy); n != 3 {
		t.Errorf("%d logins: one at first, one in vain, and one that counts", n)
	}
}
