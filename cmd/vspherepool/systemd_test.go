package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

const unitFile = "systemd/vspherepool.service"

// unit has the values of each key of a unit file, in order.
type unit map[string][]string

func readUnit(t *testing.T) unit {
	t.Helper()
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	u := unit{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		key, value, found := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#' || line[0] == '[':
		case !found:
			t.Errorf("%q is no setting", line)
		default:
			u[key] = append(u[key], value)
		}
	}
	return u
}

// What the unit sets is what the program has.
func TestUnitFitsTheProgram(t *testing.T) {
	u := readUnit(t)
	var flags, variables []string
	for _, o := range newServeOptions().table() {
		flags, variables = append(flags, "--"+o.flag), append(variables, o.variable())
	}
	command := strings.Fields(strings.Join(u["ExecStart"], " "))
	if len(command) < 2 || command[1] != "serve" {
		t.Fatalf("ExecStart is %q", command)
	}
	for _, argument := range command[2:] {
		if flag, _, _ := strings.Cut(argument, "="); !slices.Contains(flags, flag) {
			t.Errorf("serve has no %s", flag)
		}
	}
	example, err := os.ReadFile("systemd/environment")
	if err != nil {
		t.Fatal(err)
	}
	settings := slices.Collect(strings.Lines(string(example)))
	for _, setting := range append(settings, u["Environment"]...) {
		setting = strings.TrimPrefix(setting, "#")
		if name, _, found := strings.Cut(setting, "="); found && !slices.Contains(variables, name) {
			t.Errorf("serve has no variable %s", name)
		}
	}
	if limit, err := time.ParseDuration(u["TimeoutStopSec"][0]); err != nil || limit <= graceTime {
		t.Errorf("systemd kills after %v, %v; the program takes %v", limit, err, graceTime)
	}
}

func TestUnitIsASandbox(t *testing.T) {
	u := readUnit(t)
	for setting, want := range map[string]string{
		"Type": "notify", "User": "vspherepool", "UMask": "0077", "StateDirectory": "vspherepool", "StateDirectoryMode": "0700",
		"LimitCORE": "0", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "", "PrivateUsers": "yes",
		"ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes", "ProtectKernelTunables": "yes",
		"ProtectKernelModules": "yes", "ProtectKernelLogs": "yes", "ProtectControlGroups": "yes", "ProtectClock": "yes",
		"ProtectHostname": "yes", "ProtectProc": "invisible", "ProcSubset": "pid", "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
		"RestrictNamespaces": "yes", "RestrictRealtime": "yes", "RestrictSUIDSGID": "yes", "LockPersonality": "yes",
		"MemoryDenyWriteExecute": "yes", "SystemCallArchitectures": "native",
		"SystemCallFilter": "@system-service|~@privileged @resources", "SystemCallErrorNumber": "EPERM",
	} {
		if got, set := u[setting]; !set || strings.Join(got, "|") != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
}

// TestUnitVerifies has systemd itself read the unit, where it is installed.
func TestUnitVerifies(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	out, _ := exec.CommandContext(t.Context(), analyze, "verify", unitFile).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "vspherepool.service") && !strings.Contains(line, "is not executable") { // it is not installed here
			t.Error(line)
		}
	}
}
