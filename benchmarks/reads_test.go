package benchmarks

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"vspherepool/actors"
	"vspherepool/api"
	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

const members = 50

// BenchmarkReads compares reads of a pool with members over TLS keep-alive with the floor: a handler of the same server library that
// answers the same bytes without looking at the request.
func BenchmarkReads(b *testing.B) {
	server := serve(b)
	for _, path := range []string{"/pool/size", "/pool"} {
		body := get(b, server, path)
		b.Run("adapter"+path, func(b *testing.B) { read(b, server, path) })
		b.Run("floor"+path, func(b *testing.B) { read(b, floor(b, body), path) })
	}
}

// endpoint is where to read, and how to trust it.
type endpoint struct {
	client *fasthttp.HostClient
}

func connectTo(b *testing.B, addr, certificate string) endpoint {
	b.Helper()
	pem, err := os.ReadFile(certificate)
	if err != nil {
		b.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &fasthttp.HostClient{Addr: addr, IsTLS: true, TLSConfig: &tls.Config{RootCAs: roots, ServerName: "localhost"}}
	b.Cleanup(client.CloseIdleConnections)
	return endpoint{client}
}

func get(b *testing.B, e endpoint, path string) []byte {
	b.Helper()
	status, body, err := e.client.Get(nil, "https://"+e.client.Addr+path)
	if err != nil || status != fasthttp.StatusOK {
		b.Fatal(status, err)
	}
	return body
}

func read(b *testing.B, e endpoint, path string) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		get(b, e, path)
	}
}

// serve runs a pool of members on the simulator until the benchmark's end.
func serve(b *testing.B) endpoint {
	b.Helper()
	sim, err := simulator.New(simulator.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(sim.Close)
	dir := b.TempDir()
	pool := start(b, sim, dir)
	server, err := api.NewServer(api.Options{Service: pool, Log: slog.New(slog.DiscardHandler), SelfSignedDir: dir})
	if err != nil {
		b.Fatal(err)
	}
	listener := listen(b)
	go func() { _ = server.Serve(listener) }()
	b.Cleanup(func() { _ = server.Shutdown(context.Background()) })
	return connectTo(b, listener.Addr().String(), server.CertificateFile())
}

func start(b *testing.B, sim *simulator.Simulator, dir string) *actors.Pool {
	b.Helper()
	journal, err := actors.OpenJournal(filepath.Join(dir, "journal"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = journal.Close() })
	pool, err := actors.Start(actors.Options{
		Journal: journal,
		Log:     slog.New(slog.DiscardHandler),
		Connect: func(ctx context.Context, name string, _ vsphere.Connection, _ vsphere.Template) (actors.Provider, error) {
			vc, err := sim.Client(ctx)
			if err != nil {
				return nil, err
			}
			return vsphere.New(ctx, name, vc, sim.Template())
		},
		Config: []byte(`{"name": "web", "cloudApiSettings": {"url": "https://in.process/sdk", "username": "u", "password": "p"},
			"provisioningTemplate": {"template": "t", "folder": "f"}}`),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = pool.Shutdown(context.Background()) })
	grow(b, pool)
	return pool
}

// grow waits until all members are RUNNING.
func grow(b *testing.B, pool *actors.Pool) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := pool.Ready(ctx); err != nil {
		b.Fatal(err)
	}
	if _, err := pool.Resize(ctx, members); err != nil {
		b.Fatal(err)
	}
	for running := 0; running < members; {
		select {
		case <-ctx.Done():
			b.Fatalf("%d of %d machines are running", running, members)
		case <-time.After(50 * time.Millisecond):
		}
		view, err := pool.View(ctx)
		if err != nil {
			b.Fatal(err)
		}
		running = 0
		for _, m := range view.Machines {
			if m.State == actors.Running {
				running++
			}
		}
	}
}

func listen(b *testing.B) net.Listener {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	return listener
}

// floor serves the bytes as they are.
func floor(b *testing.B, body []byte) endpoint {
	b.Helper()
	certificate, key, err := fasthttp.GenerateTestCertificate("localhost")
	if err != nil {
		b.Fatal(err)
	}
	server := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		ctx.SetContentType("application/json")
		ctx.SetBody(body)
	}}
	listener := listen(b)
	go func() { _ = server.ServeTLSEmbed(listener, certificate, key) }()
	b.Cleanup(func() { _ = server.Shutdown() })
	file := filepath.Join(b.TempDir(), "cert.pem")
	if err := os.WriteFile(file, certificate, 0o600); err != nil {
		b.Fatal(err)
	}
	return connectTo(b, listener.Addr().String(), file)
}
