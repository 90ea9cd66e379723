package benchmarks

import (
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"vspherepool/api"
)

// servers are what a child can be; each takes an argument and returns its address.
var servers = map[string]func(*testing.T, string) string{"adapter": serveAdapter, "floor": serveFloor, "standard": serveStandard}

// serveAdapter serves a pool of so many members.
func serveAdapter(t *testing.T, members string) string {
	n, err := strconv.Atoi(members)
	done(t, err)
	pool := keep(t, newCloud(delays{}).connect, `"limits": {"creates": 20}`)
	scale(t, pool, n)
	server, err := api.NewServer(api.Options{Service: pool, Log: slog.New(slog.DiscardHandler), SelfSignedDir: t.TempDir()})
	done(t, err)
	return listen(t, server.Serve)
}

// listen serves on a free port of loopback until the process ends.
func listen(t *testing.T, serve func(net.Listener) error) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	done(t, err)
	go func() { _ = serve(listener) }()
	return listener.Addr().String()
}

// serveFloor answers every request with the bytes of a file.
func serveFloor(t *testing.T, file string) string {
	body, err := os.ReadFile(file)
	done(t, err)
	certificate, key, err := fasthttp.GenerateTestCertificate("localhost")
	done(t, err)
	server := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		ctx.SetContentType("application/json")
		ctx.Response.SetBodyRaw(body)
	}}
	return listen(t, func(l net.Listener) error { return server.ServeTLSEmbed(l, certificate, key) })
}

// document has the fields of both documents that are read.
type document struct {
	Timestamp   string     `json:"timestamp"`
	DesiredSize *int       `json:"desiredSize,omitempty"`
	Allocated   *int       `json:"allocated,omitempty"`
	Active      *int       `json:"active,omitempty"`
	Machines    []instance `json:"machines,omitempty"`
}

type instance struct {
	ID               string          `json:"id"`
	MachineState     string          `json:"machineState"`
	CloudProvider    string          `json:"cloudProvider"`
	Region           string          `json:"region"`
	MachineSize      string          `json:"machineSize"`
	MembershipStatus map[string]bool `json:"membershipStatus"`
	ServiceState     string          `json:"serviceState"`
	RequestTime      string          `json:"requestTime"`
	LaunchTime       string          `json:"launchTime"`
	PublicIPs        []string        `json:"publicIps"`
	PrivateIPs       []string        `json:"privateIps"`
	Metadata         map[string]any  `json:"metadata"`
}

// serveStandard is what one would write: net/http, and the data of the file encoded for each request.
func serveStandard(t *testing.T, file string) string {
	body, err := os.ReadFile(file)
	done(t, err)
	var data document
	done(t, json.Unmarshal(body, &data))
	certificate, key, err := fasthttp.GenerateTestCertificate("localhost")
	done(t, err)
	pair, err := tls.X509KeyPair(certificate, key)
	done(t, err)
	server := &http.Server{
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}},
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			body, _ := json.Marshal(data)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			_, _ = w.Write(body)
		}),
	}
	return listen(t, func(l net.Listener) error { return server.ServeTLS(l, "", "") })
}
