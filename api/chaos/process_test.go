package chaos

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/valyala/fasthttp/fasthttputil"

	"vspherepool/actors"
	"vspherepool/api"
	"vspherepool/vsphere"
)

// process is one life of the server: the real pool over the real journal and the real driver, behind the real HTTPS server.
type process struct {
	fuse    *fuse
	journal *journal
	pool    *actors.Pool
	server  *api.Server
	client  *http.Client
	served  sync.WaitGroup
	began   time.Time
	ended   sync.Once
}

// certificates are the server's; all runs share them.
var certificates struct{ cert, key string }

// launch starts the server; a document is what --config would name.
func (w *world) launch(document []byte) (*process, error) {
	p := &process{fuse: newFuse(), began: time.Now()}
	var err error
	if p.journal, err = w.disk.open(p.fuse); err != nil {
		return nil, err
	}
	log := slog.New(logbook{book: w.book})
	p.pool, err = actors.Start(actors.Options{
		Journal: p.journal, Connect: w.connect(p.fuse), Log: log, Config: document, NewID: w.newID, Jitter: w.jitter,
	})
	if err != nil {
		return nil, errors.Join(err, p.journal.Close())
	}
	p.server, err = api.NewServer(api.Options{Service: p.pool, Log: log, CertFile: certificates.cert, KeyFile: certificates.key})
	if err != nil {
		return nil, errors.Join(err, p.pool.Shutdown(context.Background()), p.journal.Close())
	}
	listener := fasthttputil.NewInmemoryListener()
	p.served.Go(func() { _ = p.server.Serve(listener) })
	p.client = &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			DialContext:     func(context.Context, string, string) (net.Conn, error) { return listener.Dial() },
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		},
	}
	return p, nil
}

// connect is how a process reaches vCenter. Each one has a connector of its own, whose memory of logins dies with it.
func (w *world) connect(f *fuse) actors.Connect {
	connector := vsphere.NewConnector("chaos").Over(w.network.open(f))
	return func(ctx context.Context, pool string, c vsphere.Connection, t vsphere.Template) (actors.Provider, error) {
		client, err := connector.Connect(ctx, pool, c, t)
		if err != nil {
			return nil, err
		}
		return client, nil
	}
}

// end is a clean shutdown, as SIGTERM makes it; after a crash it only sweeps up. A second one waits for the first.
func (p *process) end() { p.ended.Do(p.shutDown) }

func (p *process) shutDown() {
	patience := 10 * time.Second
	if p.fuse.blown() {
		patience = 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p.client.CloseIdleConnections()
	_ = p.server.Shutdown(ctx)
	_ = p.pool.Shutdown(ctx)
	p.fuse.blow()
	_ = p.journal.Close()
	p.client.CloseIdleConnections()
	p.served.Wait()
}
