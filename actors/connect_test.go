package actors

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vspherepool/vsphere"
)

// door is a vCenter of which nothing is known but who comes and goes.
type door struct {
	Provider
	closed *atomic.Int32
}

func (d door) Site() vsphere.Site { return vsphere.Site{VCenter: "uuid-1"} }

func (d door) Close(context.Context) error {
	d.closed.Add(1)
	return nil
}

func opened(t *testing.T, connect Connect) *Pool {
	t.Helper()
	p, err := Start(Options{
		Journal: newMemory(), Connect: connect, Log: slog.New(slog.DiscardHandler), Config: []byte(document),
		Jitter: func() float64 { return 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func shut(t *testing.T, p *Pool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := p.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	time.Sleep(time.Minute) // the actor system's throttles wind down
}

// A connection that comes about in the very moment of a shutdown is logged out.
func TestConnectedDuringShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed atomic.Int32
		p := opened(t, func(ctx context.Context, _ string, _ vsphere.Connection, _ vsphere.Template) (Provider, error) {
			<-ctx.Done()
			return door{closed: &closed}, nil
		})
		synctest.Wait()
		shut(t, p)
		if closed.Load() != 1 {
			t.Errorf("%d logouts", closed.Load())
		}
	})
}

// So is one that a new configuration was being checked with, and the one that it would have replaced.
func TestConfiguredDuringShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed, opens atomic.Int32
		w := newWorld()
		p := opened(t, func(ctx context.Context, _ string, _ vsphere.Connection, _ vsphere.Template) (Provider, error) {
			if opens.Add(1) == 2 {
				<-ctx.Done()
			}
			return parting{fusedProvider{w, &fuse{}}, &closed}, nil
		})
		if err := p.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = p.Configure(t.Context(), []byte(document)) }()
		synctest.Wait()
		shut(t, p)
		if closed.Load() != 2 || opens.Load() != 2 {
			t.Errorf("%d logouts of %d", closed.Load(), opens.Load())
		}
	})
}

// A second configuration while vCenter is asked about the first is no failure of vCenter.
func TestConfiguredTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opens atomic.Int32
		w := newWorld()
		p := opened(t, func(context.Context, string, vsphere.Connection, vsphere.Template) (Provider, error) {
			if opens.Add(1) == 2 {
				time.Sleep(time.Minute)
			}
			return fusedProvider{w, &fuse{}}, nil
		})
		defer shut(t, p)
		if err := p.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = p.Configure(t.Context(), []byte(document)) }()
		synctest.Wait()
		if _, err := p.Configure(t.Context(), []byte(document)); KindOf(err) != Conflict {
			t.Error(err)
		}
		time.Sleep(2 * time.Minute)
		if _, err := p.Configure(t.Context(), []byte(document)); err != nil {
			t.Error(err)
		}
	})
}

// parting is a provider that counts its end.
type parting struct {
	fusedProvider
	closed *atomic.Int32
}

func (p parting) Close(context.Context) error {
	p.closed.Add(1)
	return nil
}

// A vCenter that is down at first is tried ever more rarely, and connected to once; a refused login is asked about often, which costs
// vCenter nothing, so that a password that is corrected in its file is noticed soon.
func TestFirstConnection(t *testing.T) {
	for kind, row := range map[vsphere.Kind]struct {
		tries   int32
		noticed time.Duration
	}{
		vsphere.Unreachable: {9, 30 * time.Second}, // after 0, 1, 3, 7, 15, 31, 61, 91 and 121 seconds
		vsphere.BadLogin:    {9, 15 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			var tries atomic.Int32
			w := newWorld()
			start := time.Now()
			p := opened(t, func(context.Context, string, vsphere.Connection, vsphere.Template) (Provider, error) {
				if tries.Add(1); time.Since(start) < 2*time.Minute+10*time.Second {
					return nil, &vsphere.Error{Op: "log in", Kind: kind, Err: errors.New("not yet")}
				}
				return fusedProvider{w, &fuse{}}, nil
			})
			time.Sleep(2*time.Minute + 9*time.Second)
			if tries.Load() != row.tries {
				t.Errorf("kind %d: %d tries in two minutes", kind, tries.Load())
			}
			before := tries.Load()
			time.Sleep(time.Second + row.noticed)
			status, err := p.Status(t.Context())
			if err != nil || tries.Load() != before+1 || status.Outage != "" {
				t.Errorf("kind %d: %d tries more, %+v, %v", kind, tries.Load()-before, status, err)
			}
			time.Sleep(time.Hour)
			if tries.Load() != before+1 {
				t.Errorf("kind %d: connected anew", kind)
			}
			shut(t, p)
		})
	}
}
