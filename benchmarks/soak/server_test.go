package soak

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is for one request: whatever happens to vCenter, the program answers.
const patience = 55 * time.Second

// server is the program, process after process.
type server struct {
	dir, program string
	token        string
	trusted      *x509.CertPool

	mu   sync.Mutex
	cmd  *exec.Cmd
	dead chan struct{}
	url  string
	// life counts the processes; requests that began in an earlier one may fail.
	life int
	up   bool
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{dir: t.TempDir()}
	s.program = filepath.Join(s.dir, "vspherepool")
	build := exec.Command("go", "build", "-o", s.program)
	build.Args = append(append(build.Args, strings.Fields(os.Getenv("RACE"))...), "vspherepool/cmd/vspherepool")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	user := exec.Command(s.program, "user", "add", s.path("users"), "soak", "--role", "admin", "--token")
	token, err := user.Output()
	if err != nil {
		t.Fatal(err)
	}
	s.token = strings.TrimSpace(string(token))
	return s
}

func (s *server) path(name string) string { return filepath.Join(s.dir, name) }

// start runs a process until its ready line.
func (s *server) start() error {
	log, err := os.OpenFile(s.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(s.program, "serve", "--config="+s.path("pool.json"), "--listen=127.0.0.1:0", "--state-dir="+s.path("state"),
		"--users="+s.path("users"), "--log-level=warn")
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	hung := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	hung.Stop()
	dead := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(dead)
	}()
	if err != nil {
		_ = cmd.Process.Kill()
		<-dead
		return fmt.Errorf("no ready line: %w\n%s", err, s.lastOfLog())
	}
	_, url, _ := strings.Cut(line, "url=")
	url, _, _ = strings.Cut(strings.TrimSpace(url), " ")
	pem, err := os.ReadFile(s.path("state/tls-cert.pem"))
	if err != nil {
		return err
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(pem)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmd, s.dead, s.url, s.up, s.trusted = cmd, dead, url, true, trusted
	s.life++
	return nil
}

// end sends a signal and waits for the process's end. It is told to end within ten seconds.
func (s *server) end(signal syscall.Signal) error {
	s.mu.Lock()
	cmd, dead := s.cmd, s.dead
	s.up = false
	s.life++
	s.mu.Unlock()
	_ = cmd.Process.Signal(signal)
	select {
	case <-dead:
	case <-time.After(15 * time.Second):
		_ = cmd.Process.Kill()
		<-dead
		return fmt.Errorf("not ended 15 s after %s", signal)
	}
	if code := cmd.ProcessState.ExitCode(); signal == syscall.SIGTERM && code != 0 {
		return fmt.Errorf("exit code %d after %s", code, signal)
	}
	return nil
}

// alive says whether the process that should run does.
func (s *server) alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.dead:
		return !s.up
	default:
		return true
	}
}

func (s *server) now() (url string, life int, up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url, s.life, s.up
}

func (s *server) tls() *tls.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &tls.Config{RootCAs: s.trusted, MinVersion: tls.VersionTLS12}
}

func (s *server) lastOfLog() string {
	text, _ := os.ReadFile(s.path("log"))
	return string(text[max(0, len(text)-4000):])
}

// client is one caller with connections of its own.
type client struct {
	*server
	http *http.Client
	// since is the life that the connections are of.
	since int
}

func (s *server) client() *client { return &client{server: s, http: &http.Client{Timeout: patience}} }

// errRestarting says that a request met with the end of a process.
var errRestarting = fmt.Errorf("the server is being restarted")

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call makes a request; header may be nil. An error other than errRestarting is one that must not be.
func (c *client) call(ctx context.Context, method, path string, body any, header http.Header) (answer, error) {
	url, life, up := c.now()
	if !up {
		return answer{}, errRestarting
	}
	if c.since != life {
		c.http.CloseIdleConnections()
		c.http.Transport = &http.Transport{TLSClientConfig: c.tls(), DisableCompression: true}
		c.since = life
	}
	a, err := c.send(ctx, method, url+path, body, header)
	if _, now, _ := c.now(); err != nil && (now != life || ctx.Err() != nil) {
		return a, errRestarting
	}
	return a, err
}

func (c *client) send(ctx context.Context, method, url string, body any, header http.Header) (answer, error) {
	text, ok := body.([]byte)
	if !ok && body != nil {
		text, _ = json.Marshal(body)
	}
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(text))
	if err != nil {
		return answer{}, err
	}
	request.Header = http.Header{"Authorization": {"Bearer " + c.token}, "Content-Type": {"application/json"}}
	maps.Copy(request.Header, header)
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, got}, err
}
