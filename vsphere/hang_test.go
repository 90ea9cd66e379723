package vsphere

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// mute is a client of a vCenter that takes requests and never answers. It runs in virtual time.
func mute(t *testing.T) *soap.Client {
	t.Helper()
	client, err := endpoint(Connection{URL: "http://vcenter.example/sdk"}, product)
	if err != nil {
		t.Fatal(err)
	}
	client.DefaultTransport().DialContext = func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, far) }()
		return near, nil
	}
	return client
}

func TestEveryCallEnds(t *testing.T) {
	for name, row := range map[string]struct{ limit, want time.Duration }{
		"by itself":            {0, callTimeout},
		"with its caller":      {10 * time.Second, 10 * time.Second},
		"before a patient one": {time.Hour, callTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSession(t.Context(), mute(t), nil)
				defer s.close()
				ctx, cancel := t.Context(), func() {}
				if row.limit > 0 {
					ctx, cancel = context.WithTimeout(ctx, row.limit)
				}
				defer cancel()
				start := time.Now()
				_, err := ask(ctx, s)
				if err := wrap("read", "", err); KindOf(err) != Unreachable || err == nil || time.Since(start) != row.want {
					t.Errorf("%v after %v", err, time.Since(start))
				}
			})
		})
	}
}

// Calls that hang are cut off by Close, with those who wait for a login.
func TestCloseCutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := mute(t)
		a := newDoorman().of("right", "")
		a.vim, a.opened = &vim25.Client{Client: client, RoundTripper: client, ServiceContent: a.vim.ServiceContent}, true
		c := assemble(t.Context(), "web", &vim25.Client{Client: client, RoundTripper: client}, a)
		c.logout = a.logout
		forgetful := &script{answer: func(int, soap.HasFault, soap.HasFault) error { return soapFault(types.NotAuthenticated{}) }}
		waits := newSession(t.Context(), forgetful, a)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if _, err := methods.GetCurrentTime(t.Context(), c.session); err == nil {
					t.Error("answered")
				}
			})
			wg.Go(func() {
				if _, err := ask(t.Context(), waits); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		waits.close()
		if err := c.Close(t.Context()); KindOf(err) != Unreachable || time.Since(start) > tidyTimeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		wg.Wait()
	})
}
