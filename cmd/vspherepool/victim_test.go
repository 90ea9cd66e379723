package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// victim is a server process over a simulator that outlives it, and what it has acknowledged.
type victim struct {
	t   *testing.T
	dir string
	// program is what runs as the server, with env added to the environment.
	program string
	env     []string
	client  *http.Client
	cmd     *exec.Cmd
	// dead is closed when the process has ended.
	dead chan struct{}
	url  string

	desired int
	// unsure is the size that an unanswered request may have set.
	unsure     map[int]bool
	terminated map[string]bool
}

func newVictim(t *testing.T, program string, env ...string) *victim {
	t.Helper()
	return &victim{
		t: t, dir: t.TempDir(), program: program, env: env, client: &http.Client{}, unsure: map[int]bool{}, terminated: map[string]bool{},
	}
}

func (v *victim) path(name string) string { return filepath.Join(v.dir, name) }

// configure writes the document that later starts are given.
func (v *victim) configure(document []byte) {
	v.t.Helper()
	if err := os.WriteFile(v.path("pool.json"), document, 0o600); err != nil {
		v.t.Fatal(err)
	}
}

// start runs the server until its ready line.
func (v *victim) start() {
	v.t.Helper()
	if !v.launch() {
		v.t.Fatalf("no ready line:\n%s", v.log())
	}
}

// launch runs the server until its ready line, or its end.
func (v *victim) launch(env ...string) (ready bool) {
	v.t.Helper()
	v.cmd = exec.Command(v.program, "serve", "--listen=127.0.0.1:0", "--state-dir="+v.path("state"))
	if _, err := os.Stat(v.path("pool.json")); err == nil {
		v.cmd.Args = append(v.cmd.Args, "--config="+v.path("pool.json"))
	}
	v.cmd.Env = append(append(os.Environ(), v.env...), env...)
	log, err := os.OpenFile(v.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		v.t.Fatal(err)
	}
	defer log.Close()
	v.cmd.Stderr = log
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		v.t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	cmd, dead := v.cmd, make(chan struct{})
	v.dead = dead
	go func() {
		_ = cmd.Wait()
		close(dead)
	}()
	if err != nil {
		v.kill()
		return false
	}
	_, rest, _ := strings.Cut(line, "url=")
	v.url, _, _ = strings.Cut(strings.TrimSpace(rest), " ")
	v.trust()
	return true
}

func (v *victim) trust() {
	v.t.Helper()
	pem, err := os.ReadFile(v.path("state/tls-cert.pem"))
	if err != nil {
		v.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	v.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}, Timeout: 30 * time.Second}
}

// kill ends the process at once, and is a success if it has ended already.
func (v *victim) kill() {
	v.client.CloseIdleConnections()
	_ = v.cmd.Process.Kill()
	<-v.dead
}

func (v *victim) log() string {
	text, _ := os.ReadFile(v.path("log"))
	return string(text)
}

// call is one request; ok means that it was acknowledged.
func (v *victim) call(method, path string, body, into any) (ok bool) {
	document, _ := json.Marshal(body)
	request, err := http.NewRequestWithContext(context.Background(), method, v.url+path, bytes.NewReader(document))
	if err != nil {
		v.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := v.client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK && (into == nil || json.NewDecoder(response.Body).Decode(into) == nil)
}

func (m machineDocument) allocated() bool {
	return m.MachineState == "REQUESTED" || m.MachineState == "PENDING" || m.MachineState == "RUNNING"
}

func (v *victim) resize(n int) {
	if v.call(http.MethodPost, "/pool/size", map[string]int{"desiredSize": n}, nil) {
		v.desired, v.unsure = n, map[int]bool{}
	} else {
		v.unsure[n] = true
	}
}

func (v *victim) terminate(id string, decrement bool) {
	smaller := v.desired
	if decrement {
		smaller = max(0, v.desired-1)
	}
	if v.call(http.MethodPost, "/pool/"+id+"/terminate", map[string]bool{"decrementDesiredSize": decrement}, nil) {
		v.terminated[id], v.desired = true, smaller
	} else {
		v.unsure[smaller] = true
	}
}

// settleDoubt learns which of the unanswered requests took effect, and fails if an answered one did not.
func (v *victim) settleDoubt() {
	v.t.Helper()
	var size sizeDocument
	if !v.call(http.MethodGet, "/pool/size", nil, &size) {
		v.t.Fatal("the size cannot be read")
	}
	if size.DesiredSize != v.desired && !v.unsure[size.DesiredSize] {
		v.t.Errorf("desired size is %d, acknowledged was %d (or, unanswered, one of %v)", size.DesiredSize, v.desired, v.unsure)
	}
	v.desired, v.unsure = size.DesiredSize, map[int]bool{}
}

// within polls until it holds, and says whether it did before the time was over or the process dead.
func (v *victim) within(limit time.Duration, holds func() bool) bool {
	deadline := time.After(limit)
	for !holds() {
		select {
		case <-v.dead:
			return false
		case <-deadline:
			return false
		case <-time.After(50 * time.Millisecond):
		}
	}
	return true
}

// converge waits until the pool is at rest at its desired size.
func (v *victim) converge() {
	v.t.Helper()
	if !v.within(2*time.Minute, v.atRest) {
		v.t.Fatalf("the pool has %+v, desired %d:\n%s", v.machines(), v.desired, v.log())
	}
}

func (v *victim) atRest() bool {
	var size sizeDocument
	if !v.call(http.MethodGet, "/pool/size", nil, &size) || size.Active != v.desired {
		return false
	}
	for _, m := range v.machines() {
		if m.MachineState == "TERMINATING" || m.allocated() && m.MachineState != "RUNNING" {
			return false
		}
	}
	return true
}

// machines are the pool's, none of them back from the dead.
func (v *victim) machines() []machineDocument {
	v.t.Helper()
	var pool poolDocument
	v.call(http.MethodGet, "/pool", nil, &pool)
	for _, m := range pool.Machines {
		if v.terminated[m.ID] && m.allocated() {
			v.t.Errorf("terminated machine %s is %s", m.ID, m.MachineState)
		}
	}
	return pool.Machines
}

// inventory checks vSphere itself: one VM for each machine, and no other, as soon as what is left of the terminated ones is gone.
func (v *victim) inventory(sim *simulator.Simulator) {
	v.t.Helper()
	vc, err := sim.Client(v.t.Context())
	if err != nil {
		v.t.Fatal(err)
	}
	var wrong []string
	if !v.within(30*time.Second, func() bool { wrong = v.discrepancies(vc); return len(wrong) == 0 }) {
		v.t.Errorf("%s\n%s", strings.Join(wrong, "\n"), v.log())
	}
}

func (v *victim) discrepancies(vc *vim25.Client) (wrong []string) {
	vms, err := markedVMs(v.t.Context(), vc)
	if err != nil {
		v.t.Fatal(err)
	}
	members := map[vsphere.MachineID]bool{}
	for _, m := range v.machines() {
		if m.allocated() {
			members[vsphere.MachineID(m.ID)] = true
		}
	}
	for name, mark := range vms {
		if !members[mark.Machine] {
			wrong = append(wrong, "VM "+name+" is of no machine, or of one that has another: "+mark.String())
		}
		delete(members, mark.Machine)
	}
	for id := range members {
		wrong = append(wrong, "machine "+string(id)+" has no VM")
	}
	return wrong
}
