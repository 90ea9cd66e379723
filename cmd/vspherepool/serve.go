package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"vspherepool/actors"
	"vspherepool/api"
	"vspherepool/vsphere"
)

// requestGrace is the part of graceTime that running requests get.
const requestGrace = 3 * time.Second

func newServe(p process) *cobra.Command {
	o := newServeOptions()
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Args:  cobra.NoArgs,
		RunE:  runs(func(ctx context.Context, _ []string) error { return serve(ctx, o, p) }),
	}
	return withOptions(cmd, p, o.table())
}

// daemon is what the steps of serve hand on to each other.
type daemon struct {
	*serveOptions
	process
	log  *slog.Logger
	undo cleanups

	dir      string
	demo     demo
	listener net.Listener
	pool     *actors.Pool
	server   *api.Server
	serving  chan error
}

// serve runs the server until ctx is over. The steps are taken in order; what each leaves to undo is on a stack that is also taken down
// when a later one fails. The address is bound early, so that one in use is found before anything else is touched, and served late, so
// that nobody is answered by half a server.
func serve(ctx context.Context, o *serveOptions, p process) (err error) {
	log := newLog(o, p.stderr)
	d := &daemon{serveOptions: o, process: p, log: log, undo: cleanups{log: log}, serving: make(chan error, 1)}
	defer func() { err = errors.Join(err, d.undo.run(ctx)) }()
	steps := []func(context.Context) error{
		d.openStateDir, d.bind, d.startDemo, d.startPool, d.startServer, d.publishCertificate, d.announce, d.wait,
	}
	for _, step := range steps {
		err := step(ctx)
		if ctx.Err() != nil { // told to stop: whatever the step failed of does not matter any more
			break
		}
		if err != nil {
			return err
		}
	}
	log.Info("shutting down")
	d.notify(systemd.SdNotifyStopping)
	return nil
}

func (d *daemon) bind(ctx context.Context) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", onLoopback(d.listen))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	d.listener = listener
	d.undo.add("close listener", func(context.Context) error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return nil
}

func (d *daemon) startPool(context.Context) error {
	document, err := d.document()
	if err != nil {
		return err
	}
	journal, err := actors.OpenJournal(filepath.Join(d.dir, journalFile))
	if err != nil {
		return err
	}
	d.undo.add("close journal", plain(journal.Close))
	failing, connect := withFailPoints(journal, through(vsphere.NewConnector(release())))
	d.pool, err = actors.Start(actors.Options{Journal: failing, Connect: connect, Log: d.log, Config: document, Stopped: d.stopped})
	if err != nil {
		return err
	}
	d.undo.add("shut down pool", d.pool.Shutdown)
	return nil
}

// document is the configuration to store and apply, nil for the stored one.
func (d *daemon) document() ([]byte, error) {
	if d.config == "" {
		return d.demo.document, nil
	}
	document, err := os.ReadFile(d.config)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return document, nil
}

// through makes a connector what the actors know it as.
func through(k *vsphere.Connector) actors.Connect {
	return func(ctx context.Context, pool string, c vsphere.Connection, t vsphere.Template) (actors.Provider, error) {
		client, err := k.Connect(ctx, pool, c, t)
		if err != nil {
			return nil, err
		}
		return client, nil
	}
}

func (d *daemon) startServer(context.Context) error {
	registry, err := newRegistry(d.pool.Collector())
	if err != nil {
		return err
	}
	audit, err := d.openAudit()
	if err != nil {
		return err
	}
	server, err := api.NewServer(api.Options{
		Service: d.pool, Log: d.log, CertFile: d.tlsCert, KeyFile: d.tlsKey, SelfSignedDir: d.dir,
		UsersFile: d.users, ClientCAFile: d.clientCA, ClientCertOptional: d.clientAuth == "request", ClientRole: d.clientRole,
		Audit: audit, Metrics: registry,
	})
	if err != nil {
		return err
	}
	d.server = server
	d.undo.add("stop requests", within(requestGrace, server.Shutdown))
	go func() { d.serving <- server.Serve(d.listener) }()
	return nil
}

// announce writes the ready line once the pool has seen vSphere, or knows that it cannot.
func (d *daemon) announce(ctx context.Context) error {
	status, err := d.firstStatus(ctx)
	if err != nil {
		return err
	}
	line := "vspherepool ready url=" + baseURL(d.listener.Addr())
	if status.Pool != "" {
		line += " pool=" + status.Pool
	}
	if d.demo.url != "" {
		line += " simulator=" + d.demo.url
	}
	if _, err := fmt.Fprintln(d.stdout, line); err != nil {
		return err
	}
	d.notify(systemd.SdNotifyReady + "\nSTATUS=" + strings.TrimPrefix(line, "vspherepool "))
	return nil
}

func (d *daemon) firstStatus(ctx context.Context) (actors.Status, error) {
	if err := d.pool.Ready(ctx); err != nil {
		return actors.Status{}, err
	}
	return d.pool.Status(ctx)
}

func (d *daemon) wait(ctx context.Context) error {
	heartbeats, patience, stop := d.heartbeats()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-d.serving:
			return fmt.Errorf("serve requests: %w", err)
		case <-heartbeats:
			d.beat(ctx, patience)
		}
	}
}
