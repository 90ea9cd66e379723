package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vspherepool/actors"
	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// doctorOptions are the options of doctor.
type doctorOptions struct {
	config                 string
	role, clone, simulator bool
	timeout                time.Duration
	output                 string
}

func newDoctorOptions() *doctorOptions {
	return &doctorOptions{timeout: 15 * time.Minute, output: "table"}
}

func (o *doctorOptions) table() []option {
	return []option{
		{flag: "config", value: &o.config, check: o.checkConfig, help: "pool configuration `file` (YAML or JSON)"},
		{flag: "role", value: &o.role, help: "print the govc command that makes the minimal role, and ask vCenter nothing"},
		{flag: "clone", value: &o.clone, help: "also clone, boot and destroy one machine"},
		{flag: "timeout", value: &o.timeout, check: notNegative(&o.timeout), help: "how long all of it may take"},
		{flag: "simulator", value: &o.simulator, help: "examine an embedded vCenter simulator, and without --config its default pool"},
		{
			flag: "output", shorthand: "o", value: &o.output, check: among(&o.output, "table", "wide", "json", "yaml"),
			help: "`format`: table, wide, json or yaml",
		},
	}
}

func (o *doctorOptions) checkConfig() error {
	if o.config == "" && !o.simulator {
		return errors.New("must name the configuration file")
	}
	return nil
}

func newDoctor(p process) *cobra.Command {
	o := newDoctorOptions()
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check all that a pool needs of its vCenter: privileges, template, space, networks, clock",
		Args:  cobra.NoArgs,
		RunE:  runs(func(ctx context.Context, _ []string) error { return doctor(ctx, o, p) }),
	}
	return withOptions(cmd, p, o.table())
}

// doctor reads the configuration, examines its vCenter directly, without a server, and prints what it found.
func doctor(ctx context.Context, o *doctorOptions, p process) (err error) {
	undo := cleanups{log: slog.New(slog.DiscardHandler)}
	defer func() { err = errors.Join(err, undo.run(ctx)) }()
	config, err := o.read(p, &undo)
	if err != nil {
		return err
	}
	if o.role {
		return printRole(p, config.ProvisioningTemplate)
	}
	limit, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	v := visit{vsphere.NewConnector("doctor"), config}
	findings, err := v.examine(limit)
	if err == nil && o.clone {
		findings, err = v.tryOne(limit, newProgress(p.stderr), findings)
	}
	switch {
	case ctx.Err() != nil && err != nil:
		return fmt.Errorf("interrupted: %w", err)
	case err != nil:
		return unreachable(err)
	}
	if err := (printer{p.stdout, o.output}).print(findingsListing(findings)); err != nil {
		return err
	}
	return verdictOn(findings)
}

// read is the configuration of the file, or the simulator's; with both, the file's on the simulator.
func (o *doctorOptions) read(p process, undo *cleanups) (actors.Config, error) {
	var connection vsphere.Connection
	var document []byte
	var err error
	if o.simulator {
		connection, document, err = serveSimulator(undo)
	}
	if o.config != "" && err == nil {
		document, err = readNamed(p, o.config)
	}
	if err != nil {
		return actors.Config{}, fmt.Errorf("read configuration: %w", err)
	}
	config, err := actors.ParseConfig(document)
	if o.simulator {
		config.CloudAPISettings = connection
	}
	return config, err
}

func serveSimulator(undo *cleanups) (vsphere.Connection, []byte, error) {
	sim, err := simulator.New(simulator.Options{})
	if err != nil {
		return vsphere.Connection{}, nil, fmt.Errorf("start simulator: %w", err)
	}
	undo.add("close simulator", func(context.Context) error {
		sim.Close()
		return nil
	})
	if _, err := sim.Serve(localhost + ":0"); err != nil {
		return vsphere.Connection{}, nil, err
	}
	document, err := demoDocument(sim.Connection(), sim.Template())
	return sim.Connection(), document, err
}

// visit is one look at the vCenter of a configuration.
type visit struct {
	*vsphere.Connector
	config actors.Config
}

func (v visit) connect(ctx context.Context, pool string) (*vsphere.Client, error) {
	return v.Connect(ctx, pool, v.config.CloudAPISettings, v.config.ProvisioningTemplate)
}

// examine connects as the pool would. What vCenter refuses is a finding; that it cannot be reached is an error.
func (v visit) examine(ctx context.Context) ([]vsphere.Finding, error) {
	client, err := v.connect(ctx, v.config.Name)
	switch {
	case err != nil && vsphere.KindOf(err) == vsphere.Unreachable:
		return nil, err
	case err != nil:
		return []vsphere.Finding{vsphere.Diagnose("connection", err)}, nil
	}
	findings, err := client.Examine(ctx)
	return findings, errors.Join(err, client.Close(ctx))
}

func unreachable(err error) error {
	if vsphere.KindOf(err) == vsphere.Unreachable {
		return &failure{exitUnreachable, err}
	}
	return err
}

// printRole writes the command to standard output, and what can be left out of it to standard error.
func printRole(p process, t vsphere.Template) error {
	privileges := t.Privileges()
	for _, privilege := range privileges {
		switch {
		case privilege.System():
		case privilege.Optional():
			fmt.Fprintf(p.stderr, "# %s on the %s is optional, to %s: without it, %s\n",
				privilege.ID, privilege.On, privilege.For, privilege.Otherwise)
		case privilege.Uncertain():
			fmt.Fprintf(p.stderr, "# %s on the %s is needed only %s\n", privilege.ID, privilege.On, privilege.If)
		}
	}
	_, err := fmt.Fprintln(p.stdout, "govc role.create vspherepool "+strings.Join(vsphere.Role(privileges), " "))
	return err
}

type findingDocument struct {
	Check    string           `json:"check"`
	Object   string           `json:"object,omitempty"`
	Severity vsphere.Severity `json:"severity"`
	Message  string           `json:"message"`
	Remedy   string           `json:"remedy,omitempty"`
}

func findingsListing(findings []vsphere.Finding) listing {
	l := listing{header: []string{"RESULT", "CHECK", "FINDING", "OBJECT"}, narrow: 3}
	documents := make([]findingDocument, len(findings))
	for i, f := range findings {
		documents[i] = findingDocument(f)
		l.rows = append(l.rows, []string{string(f.Severity), f.Check, f.Sentence(), f.Object})
	}
	l.document, _ = json.Marshal(map[string]any{"findings": documents}) // texts only: it cannot fail
	return l
}

// verdictOn is an error if there are failures.
func verdictOn(findings []vsphere.Finding) error {
	failures := 0
	for _, f := range findings {
		if f.Severity == vsphere.Failure {
			failures++
		}
	}
	if failures == 0 {
		return nil
	}
	return &failure{exitRefused, fmt.Errorf("found %d that the pool cannot work with", failures)}
}
