package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vspherepool/actors"
	"vspherepool/vsphere/simulator"
)

// besieged is a server over a simulator, at rest with three machines.
func besieged(t *testing.T) (*victim, *simulator.Simulator) {
	t.Helper()
	sim, err := simulator.New(simulator.Options{CloneDelay: 50 * time.Millisecond, BootDelay: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	if _, err := sim.Serve("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	v := newVictim(t, os.Args[0], asServer+"=1")
	document, err := demoDocument(sim.Connection(), sim.Template())
	if err != nil {
		t.Fatal(err)
	}
	v.configure(document)
	v.desired = 1
	v.start()
	t.Cleanup(func() { v.kill() })
	v.resize(3)
	v.converge()
	return v, sim
}

func (v *victim) members() []string {
	var ids []string
	for _, m := range v.machines() {
		if m.allocated() {
			ids = append(ids, m.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// state runs a command on the victim's state directory.
func (v *victim) state(args ...string) (code int, stdout, stderr string) {
	v.t.Helper()
	p, out, errs := sandbox(v.t, nil)
	code = run(v.t.Context(), p, append(append([]string{"state"}, args...), "--state-dir="+v.path("state"))...)
	return code, out.String(), errs.String()
}

// spoil overwrites all of the file's pages behind the first so many.
func (v *victim) spoil(from int) {
	v.t.Helper()
	raw, err := os.ReadFile(v.path("state/" + journalFile))
	if err != nil {
		v.t.Fatal(err)
	}
	copy(raw[from:], bytes.Repeat([]byte("spoiled "), len(raw)/8))
	if err := os.WriteFile(v.path("state/"+journalFile), raw, 0o600); err != nil {
		v.t.Fatal(err)
	}
}

// The whole way from a damaged journal back to the pool as it was.
func TestADamagedStateIsRepaired(t *testing.T) {
	for name, from := range map[string]int{"but for its beginning": 8192, "as a whole": 0} {
		t.Run(name, func(t *testing.T) {
			v, sim := besieged(t)
			before := v.members()
			if code, _, stderr := v.state("check"); code != exitRefused || !strings.Contains(stderr, "in use") {
				t.Errorf("check of a running server's: %d %s", code, stderr)
			}
			v.kill()
			if code, stdout, stderr := v.state("check"); code != 0 || !strings.Contains(stdout, "is sound") {
				t.Errorf("check: %d %s %s", code, stdout, stderr)
			}
			v.spoil(from)
			if v.launch() {
				t.Fatal("it started over a damaged journal")
			}
			if code := v.cmd.ProcessState.ExitCode(); code != exitError {
				t.Errorf("exit code %d", code)
			}
			text := v.log()
			if !strings.Contains(text, "state check") || !strings.Contains(text, "state rebuild") || strings.Contains(text, "goroutine ") {
				t.Errorf("%s", text)
			}
			if code, stdout, _ := v.state("check", "-o", "json"); code != exitError || !strings.Contains(stdout, `"sound": false`) {
				t.Errorf("check: %d %s", code, stdout)
			}
			if code, _, stderr := v.state("rebuild"); code != exitUsage || !strings.Contains(stderr, "--yes") {
				t.Errorf("rebuild without --yes: %d %s", code, stderr)
			}
			if from == 0 {
				if code, _, stderr := v.state("rebuild", "--yes"); code != exitRefused || !strings.Contains(stderr, "--desired-size") {
					t.Errorf("rebuild with the size lost: %d %s", code, stderr)
				}
			}
			if code, _, stderr := v.state("rebuild", "--yes", "--desired-size=3"); code != 0 || !strings.Contains(stderr, ".damaged-") {
				t.Fatalf("rebuild: %d %s", code, stderr)
			}
			v.start()
			v.settleDoubt()
			v.converge()
			if after := v.members(); !slices.Equal(after, before) {
				t.Errorf("members %s, before %s", after, before)
			}
			v.inventory(sim)
		})
	}
}

func TestStateShow(t *testing.T) {
	v, _ := besieged(t)
	v.kill()
	file := v.path("state/" + journalFile)
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := v.state("show")
	if code != 0 || stderr != "" || strings.Count(stdout, "running") != 3 || !strings.Contains(stdout, "desired size") {
		t.Errorf("%d %s %s", code, stdout, stderr)
	}
	_, document, _ := v.state("show", "-o", "json")
	var found actors.Inspection
	if err := json.Unmarshal([]byte(document), &found); err != nil || len(found.Machines) != 3 || *found.Desired != 3 || !found.Complete {
		t.Errorf("%v: %s", err, document)
	}
	if _, names, _ := v.state("show", "-o", "name"); names != string(found.Machines[0].ID)+"\n"+string(found.Machines[1].ID)+"\n"+
		string(found.Machines[2].ID)+"\n" {
		t.Errorf("%s", names)
	}
	if _, text, _ := v.state("show", "-o", "yaml"); !strings.Contains(text, "desiredSize: 3") {
		t.Errorf("%s", text)
	}
	if code, _, stderr := v.state("rebuild", "--yes"); code != 0 || !strings.Contains(stderr, "nothing was changed") {
		t.Errorf("%d %s", code, stderr)
	}
	if code, _, stderr := v.state("rebuild", "--yes", "--desired-size=9"); code != exitRefused || !strings.Contains(stderr, "resize") {
		t.Errorf("%d %s", code, stderr)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed: %v", err)
	}
}

func TestStateWithoutAJournal(t *testing.T) {
	for _, command := range []string{"show", "check", "rebuild --yes"} {
		p, _, stderr := sandbox(t, nil)
		dir := filepath.Join(t.TempDir(), "none")
		code := run(t.Context(), p, append([]string{"state"}, append(strings.Fields(command), "--state-dir="+dir)...)...)
		if code != exitNotFound || !strings.Contains(stderr.String(), "--state-dir") {
			t.Errorf("%s: %d %s", command, code, stderr)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Error("a directory was made")
		}
	}
	p, _, stderr := sandbox(t, nil)
	if code := run(t.Context(), p, "state", "rebuild", "--desired-size=-2"); code != exitUsage {
		t.Errorf("%d %s", code, stderr)
	}
}
