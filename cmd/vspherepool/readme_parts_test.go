package main

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vspherepool/actors"
	"vspherepool/api"
	"vspherepool/vsphere"
)

// commandsTable lists the commands with the options that only they have.
func commandsTable(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("| command | options | what it does |\n|---|---|---|\n")
	for _, cmd := range leaves(root) {
		use := strings.TrimPrefix(cmd.CommandPath()+" "+strings.Join(strings.Fields(cmd.Use)[1:], " "), root.Name()+" ")
		options := strings.Join(ownOptions(cmd), ", ")
		if cmd.Name() == "serve" {
			options = "see above"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", strings.TrimSpace(use), options, cmd.Short)
	}
	return b.String()
}

func leaves(cmd *cobra.Command) []*cobra.Command {
	if !cmd.HasSubCommands() {
		return []*cobra.Command{cmd}
	}
	var all []*cobra.Command
	for _, sub := range cmd.Commands() {
		all = append(all, leaves(sub)...)
	}
	return all
}

func ownOptions(cmd *cobra.Command) []string {
	var own []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !slices.ContainsFunc(newClientOptions().table(), func(o option) bool { return o.flag == f.Name }) {
			own = append(own, "`--"+f.Name+"`")
		}
	})
	return own
}

var describedMetric = regexp.MustCompile(`fqName: "(vspherepool_\w+)", help: "(.*)", constLabels: \{\}, variableLabels: \{([\w,]*)\}`)

// metricsTable lists the metrics of a server and its pool as they describe themselves.
func metricsTable(t *testing.T) string {
	t.Helper()
	journal, err := actors.OpenJournal(filepath.Join(t.TempDir(), journalFile))
	if err != nil {
		t.Fatal(err)
	}
	defer journal.Close()
	log := slog.New(slog.DiscardHandler)
	pool, err := actors.Start(actors.Options{Journal: journal, Connect: through(vsphere.NewConnector("")), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Shutdown(t.Context())
	registry, err := newRegistry(pool.Collector())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.NewServer(api.Options{Service: pool, Log: log, SelfSignedDir: t.TempDir(), Metrics: registry}); err != nil {
		t.Fatal(err)
	}
	rows := metricRows(registry)
	if len(rows) < 20 {
		t.Fatalf("only %d metrics describe themselves", len(rows))
	}
	return "| metric | labels | meaning |\n|---|---|---|\n" + strings.Join(rows, "")
}

func metricRows(registry prometheus.Collector) []string {
	descriptions := make(chan *prometheus.Desc, 1000)
	registry.Describe(descriptions)
	close(descriptions)
	var rows []string
	for d := range descriptions {
		if m := describedMetric.FindStringSubmatch(strings.ReplaceAll(d.String(), `\"`, "`")); m != nil {
			labels := strings.ReplaceAll(m[3], ",", ", ")
			rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", m[1], labels, m[2]))
		}
	}
	slices.Sort(rows)
	return rows
}
