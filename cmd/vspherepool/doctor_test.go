package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/find"
	vcsim "github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// patient is a simulator with a configuration file for it.
type patient struct {
	*simulator.Simulator
	config string
}

func newPatient(t *testing.T, o simulator.Options, edit func(*vsphere.Connection, *vsphere.Template)) *patient {
	t.Helper()
	sim, err := simulator.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	if _, err := sim.Serve("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	connection, template := sim.Connection(), sim.Template()
	if edit != nil {
		edit(&connection, &template)
	}
	document, err := demoDocument(connection, template)
	if err != nil {
		t.Fatal(err)
	}
	p := &patient{sim, filepath.Join(t.TempDir(), "web.json")}
	if err := os.WriteFile(p.config, document, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// machines are the VMs in the pool's folder.
func (p *patient) machines(t *testing.T) []string {
	t.Helper()
	vc, err := p.Client(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	children, err := find.NewFinder(vc).ManagedObjectListChildren(context.Background(), p.Template().Folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, child := range children {
		names = append(names, child.Path)
	}
	return names
}

func TestDoctorOnTheSimulator(t *testing.T) {
	p, stdout, stderr := sandbox(t, nil)
	if code := run(t.Context(), p, "doctor", "--simulator"); code != 0 {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if fields := strings.Fields(lines[0]); !slices.Equal(fields, []string{"RESULT", "CHECK", "FINDING"}) {
		t.Errorf("header is %q", lines[0])
	}
	for _, line := range lines[1:] {
		if !strings.HasPrefix(line, "ok ") {
			t.Errorf("%q", line)
		}
	}
}

func TestDoctorReports(t *testing.T) {
	bad := newPatient(t, simulator.Options{}, func(_ *vsphere.Connection, template *vsphere.Template) { template.Template = "/DC0/vm/none" })
	stranger := newPatient(t, simulator.Options{}, func(c *vsphere.Connection, _ *vsphere.Template) { c.Password = "wrong" })
	nobody := newPatient(t, simulator.Options{}, func(c *vsphere.Connection, _ *vsphere.Template) { c.URL = "https://127.0.0.1:1/sdk" })
	host := newPatient(t, simulator.Options{}, func(c *vsphere.Connection, _ *vsphere.Template) {
		c.URL, c.InsecureSkipVerify = bareHost(t), true
	})
	for name, row := range map[string]struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		"no configuration":      {nil, exitUsage, "", "--config must name"},
		"no such configuration": {[]string{"--config", "/nowhere.yaml"}, exitError, "", "nowhere"},
		"no arguments":          {[]string{"--simulator", "now"}, exitUsage, "", ""},
		"bad format":            {[]string{"--simulator", "-o", "name"}, exitUsage, "", "--output must be one of"},
		"flaw":                  {[]string{"--config", bad.config}, exitRefused, "failure  template", "found 1 that the pool cannot work with"},
		"flaw, wide":            {[]string{"--config", bad.config, "-o", "wide"}, exitRefused, "  /DC0/vm/none\n", ""},
		"flaw, json":            {[]string{"--config", bad.config, "-o", "json"}, exitRefused, `"severity": "failure"`, ""},
		"flaw, yaml":            {[]string{"--config", bad.config, "-o", "yaml"}, exitRefused, "  severity: failure\n", ""},
		"no trial after it":     {[]string{"--config", bad.config, "--clone"}, exitRefused, "no machine was made; mend the failures first", ""},
		"wrong password":        {[]string{"--config", stranger.config}, exitRefused, "failure  connection", ""},
		"no vCenter":            {[]string{"--config", host.config}, exitRefused, "clones need a vCenter, not a single host", ""},
		"nobody there":          {[]string{"--config", nobody.config}, exitUnreachable, "", "127.0.0.1:1"},
		"role needs no vCenter": {[]string{"--config", nobody.config, "--role"}, 0, "govc role.create vspherepool ", ""},
		"simulator instead":     {[]string{"--config", nobody.config, "--simulator"}, 0, "ok ", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, stdout, stderr := sandbox(t, nil)
			code := run(t.Context(), p, append([]string{"doctor"}, row.args...)...)
			if code != row.code || !strings.Contains(stdout.String(), row.stdout) || !strings.Contains(stderr.String(), row.stderr) {
				t.Errorf("exit code %d, want %d; standard output:\n%sstandard error:\n%s", code, row.code, stdout, stderr)
			}
		})
	}
}

// bareHost is the URL of an ESXi host.
func bareHost(t *testing.T) string {
	t.Helper()
	model := vcsim.ESX()
	if err := model.Create(); err != nil {
		t.Fatal(err)
	}
	model.Service.TLS = new(tls.Config)
	server := model.Service.NewServer()
	t.Cleanup(func() { server.Close(); model.Remove() })
	u := *server.URL
	u.User = nil
	return u.String()
}

func TestDoctorDocument(t *testing.T) {
	text := findingsListing([]vsphere.Finding{{Check: "clock", Severity: vsphere.Warning, Message: "late", Remedy: "mend it"}}).document
	const want = `{"findings":[{"check":"clock","severity":"warning","message":"late","remedy":"mend it"}]}`
	if string(text) != want || !json.Valid(text) {
		t.Errorf("%s, want %s", text, want)
	}
}

func TestDoctorRole(t *testing.T) {
	site := newPatient(t, simulator.Options{}, func(_ *vsphere.Connection, template *vsphere.Template) {
		template.CPUs, template.Networks = 4, []string{"/DC0/network/DC0_DVPG0"}
	})
	p, stdout, stderr := sandbox(t, nil)
	if code := run(t.Context(), p, "doctor", "--config", site.config, "--role"); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	ids := strings.Fields(stdout.String())
	for _, id := range []string{"VirtualMachine.Inventory.Delete", "VirtualMachine.Config.CPUCount", "Network.Assign"} {
		if !slices.Contains(ids, id) {
			t.Errorf("%s is missing in %q", id, stdout)
		}
	}
	for _, id := range []string{"VirtualMachine.Config.DiskExtend", "StorageProfile.View", "System.Read"} {
		if slices.Contains(ids, id) {
			t.Errorf("%s is in %q", id, stdout)
		}
	}
	if sorted := slices.Compact(slices.Sorted(slices.Values(ids))); len(sorted) != len(ids) || strings.Count(stdout.String(), "\n") != 1 {
		t.Errorf("standard output is %q", stdout)
	}
	for line := range strings.Lines(stderr.String()) {
		if !strings.HasPrefix(line, "# ") {
			t.Errorf("standard error has %q", line)
		}
	}
	for _, text := range []string{
		"VirtualMachine.Config.RemoveDisk on the folder is optional",
		"VirtualMachine.Provisioning.Clone on the template is needed only if it is a VM",
	} {
		if !strings.Contains(stderr.String(), text) {
			t.Errorf("standard error does not say %q:\n%s", text, stderr)
		}
	}
}

func TestDoctorTrial(t *testing.T) {
	site := newPatient(t, simulator.Options{CloneDelay: 20 * time.Millisecond, BootDelay: 20 * time.Millisecond}, nil)
	p, stdout, stderr := sandbox(t, nil)
	if code := run(t.Context(), p, "doctor", "--config", site.config, "--clone"); code != 0 {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	if !strings.Contains(stdout.String(), "was cloned, booted to 10.0.0.1, shut down and destroyed") {
		t.Errorf("standard output:\n%s", stdout)
	}
	var steps []string
	for line := range strings.Lines(stderr.String()) {
		step, _, _ := strings.Cut(line, " doctor-")
		steps = append(steps, step)
	}
	if want := []string{"cloning", "powering on", "waiting for", "shutting down", "removing"}; !slices.Equal(steps, want) {
		t.Errorf("steps are %q, want %q", steps, want)
	}
	if left := site.machines(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestDoctorTrialIsRemoved ends the trial in each of its steps: the machine is always removed.
func TestDoctorTrialIsRemoved(t *testing.T) {
	for name, row := range map[string]struct {
		interruptAt string
		refuse      string
		boot        time.Duration
		timeout     string
		code        int
		says        string
	}{
		"interrupted before the clone":   {interruptAt: "CreateFolder", code: exitError, says: "interrupted"},
		"interrupted in the clone":       {interruptAt: "CloneVM_Task", code: exitError, says: "interrupted"},
		"interrupted at the power-on":    {interruptAt: "PowerOnMultiVM_Task", code: exitError, says: "interrupted"},
		"clone refused":                  {refuse: "CloneVM_Task", code: exitRefused, says: "failure  clone"},
		"power-on refused":               {refuse: "PowerOn", code: exitRefused, says: "failure  clone"},
		"not ready in time":              {boot: time.Hour, timeout: "2s", code: exitRefused, says: "took too long"},
		"destroy refused":                {refuse: "Destroy_Task", code: exitRefused, says: "could not be removed"},
		"interrupted while it shuts off": {interruptAt: "ShutdownGuest", code: exitError, says: "interrupted"},
	} {
		t.Run(name, func(t *testing.T) {
			site := newPatient(t, simulator.Options{BootDelay: row.boot}, nil)
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			site.Before(func(method string, _ any) types.BaseMethodFault {
				if method == row.interruptAt {
					interrupt()
				}
				if row.refuse != "" && strings.HasPrefix(method, row.refuse) {
					return &types.NoPermission{PrivilegeId: "VirtualMachine.Some.Privilege"}
				}
				return nil
			})
			p, stdout, stderr := sandbox(t, nil)
			args := []string{"doctor", "--config", site.config, "--clone", "--timeout", "1m"}
			if row.timeout != "" {
				args[len(args)-1] = row.timeout
			}
			code := run(ctx, p, args...)
			if code != row.code || !strings.Contains(stdout.String()+stderr.String(), row.says) {
				t.Errorf("exit code %d, want %d; standard output:\n%sstandard error:\n%s", code, row.code, stdout, stderr)
			}
			if row.interruptAt != "CreateFolder" && !strings.Contains(stderr.String(), "removing doctor-") {
				t.Errorf("standard error: %s", stderr)
			}
			if left := site.machines(t); len(left) > 0 && row.refuse != "Destroy_Task" {
				t.Errorf("left: %v", left)
			}
		})
	}
}
