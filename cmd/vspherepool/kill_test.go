package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// asServer makes the test binary the program itself, so that it can be killed.
const asServer = "VSPHEREPOOL_TEST_AS_SERVER"

// victim is a server process over a simulator that outlives it, and what it has acknowledged.
type victim struct {
	t      *testing.T
	dir    string
	client *http.Client
	cmd    *exec.Cmd
	url    string

	desired int
	// unsure is the size that an unanswered request may have set.
	unsure     map[int]bool
	terminated map[string]bool
}

// TestKill kills the server with SIGKILL at random moments while the pool grows, shrinks and loses machines: whatever it had
// acknowledged holds, nothing is duplicated and nothing forgotten.
func TestKill(t *testing.T) {
	sim, err := simulator.New(simulator.Options{CloneDelay: 150 * time.Millisecond, BootDelay: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	if _, err := sim.Serve("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	v := &victim{t: t, dir: t.TempDir(), unsure: map[int]bool{}, terminated: map[string]bool{}}
	document, err := demoDocument(sim.Connection(), sim.Template())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(v.path("pool.json"), document, 0o600); err != nil {
		t.Fatal(err)
	}
	const rounds = 8
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	v.desired = 1
	for range rounds {
		v.start()
		v.settleDoubt()
		v.harass(rnd, time.Duration(rnd.IntN(900))*time.Millisecond)
	}
	v.start()
	defer v.kill()
	v.settleDoubt()
	v.converge()
	v.inventory(sim)
}

func (v *victim) path(name string) string { return filepath.Join(v.dir, name) }

// start runs the server until its ready line.
func (v *victim) start() {
	v.t.Helper()
	v.cmd = exec.Command(os.Args[0], "serve", "--config="+v.path("pool.json"), "--listen=127.0.0.1:0", "--state-dir="+v.path("state"))
	v.cmd.Env = append(os.Environ(), asServer+"=1")
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
	if err != nil {
		text, _ := os.ReadFile(v.path("log"))
		v.t.Fatalf("no ready line: %v\n%s", err, text)
	}
	_, rest, _ := strings.Cut(line, "url=")
	v.url, _, _ = strings.Cut(rest, " ")
	v.trust()
}

func (v *victim) trust() {
	v.t.Helper()
	pem, err := os.ReadFile(v.path("state/tls-cert.pem"))
	if err != nil {
		v.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}
	v.client = &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

func (v *victim) kill() {
	_ = v.cmd.Process.Kill()
	_ = v.cmd.Wait()
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

type poolAnswer struct {
	Machines []struct {
		ID    string `json:"id"`
		State string `json:"machineState"`
	} `json:"machines"`
}

// harass sends requests until the server has been killed in the middle of it.
func (v *victim) harass(rnd *rand.Rand, life time.Duration) {
	cmd := v.cmd
	dead := make(chan struct{})
	time.AfterFunc(life, func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		close(dead)
	})
	for {
		if rnd.IntN(2) == 0 {
			v.resize(rnd.IntN(9))
		} else {
			v.terminate(rnd)
		}
		select {
		case <-dead:
			return
		case <-time.After(time.Duration(rnd.IntN(100)) * time.Millisecond):
		}
	}
}

func (v *victim) resize(n int) {
	if v.call(http.MethodPost, "/pool/size", map[string]int{"desiredSize": n}, nil) {
		v.desired, v.unsure = n, map[int]bool{}
	} else {
		v.unsure[n] = true
	}
}

func (v *victim) terminate(rnd *rand.Rand) {
	var pool poolAnswer
	if !v.call(http.MethodGet, "/pool", nil, &pool) || len(pool.Machines) == 0 {
		return
	}
	m := pool.Machines[rnd.IntN(len(pool.Machines))]
	if m.State == "TERMINATING" || m.State == "TERMINATED" || m.State == "REJECTED" {
		return
	}
	if v.call(http.MethodPost, "/pool/"+m.ID+"/terminate", map[string]bool{"decrementDesiredSize": true}, nil) {
		v.terminated[m.ID] = true
		v.desired = max(0, v.desired-1)
	} else {
		v.unsure[max(0, v.desired-1)] = true
	}
}

// settleDoubt learns which of the unanswered requests took effect, and fails if an answered one did not.
func (v *victim) settleDoubt() {
	v.t.Helper()
	var size struct {
		DesiredSize int `json:"desiredSize"`
	}
	if !v.call(http.MethodGet, "/pool/size", nil, &size) {
		v.t.Fatal("the size cannot be read")
	}
	if size.DesiredSize != v.desired && !v.unsure[size.DesiredSize] {
		v.t.Errorf("desired size is %d, acknowledged was %d (or, unanswered, one of %v)", size.DesiredSize, v.desired, v.unsure)
	}
	v.desired, v.unsure = size.DesiredSize, map[int]bool{}
}

// converge waits until the pool is at rest at its desired size.
func (v *victim) converge() {
	v.t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		states := v.states()
		busy := states["REQUESTED"] + states["PENDING"] + states["TERMINATING"]
		if busy == 0 && states["RUNNING"] == v.desired {
			break
		}
		select {
		case <-deadline:
			v.t.Fatalf("the pool has %v, desired %d", states, v.desired)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// inventory checks vSphere itself: one VM for each machine, and no other.
func (v *victim) inventory(sim *simulator.Simulator) {
	v.t.Helper()
	ctx := v.t.Context()
	vc, err := sim.Client(ctx)
	if err != nil {
		v.t.Fatal(err)
	}
	client, err := vsphere.New(ctx, "web", vc, sim.Template())
	if err != nil {
		v.t.Fatal(err)
	}
	defer client.Close(ctx)
	vms, err := client.Survey(ctx)
	if err != nil {
		v.t.Fatal(err)
	}
	machines := map[vsphere.MachineID]bool{}
	for _, vm := range vms {
		machines[vm.Mark.Machine] = true
	}
	if len(vms) != v.desired || len(machines) != v.desired {
		v.t.Errorf("%d VMs of %d machines, desired %d", len(vms), len(machines), v.desired)
	}
}

func (v *victim) states() map[string]int {
	v.t.Helper()
	var pool poolAnswer
	v.call(http.MethodGet, "/pool", nil, &pool)
	states := map[string]int{}
	for _, m := range pool.Machines {
		states[m.State]++
		if v.terminated[m.ID] && m.State != "TERMINATING" && m.State != "TERMINATED" {
			v.t.Errorf("terminated machine %s is %s", m.ID, m.State)
		}
	}
	return states
}
