package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// asks makes a command that talks to a server.
func asks(p process, cmd *cobra.Command, do func(context.Context, *client, printer, []string) error, more ...option) *cobra.Command {
	o := newClientOptions()
	cmd.RunE = runs(func(ctx context.Context, args []string) error {
		c, err := newClient(o, p.getenv)
		if err != nil {
			return err
		}
		defer c.close()
		return do(ctx, c, printer{p.stdout, o.output}, args)
	})
	return withOptions(cmd, p, append(o.table(), more...))
}

func newStatus(p process) *cobra.Command {
	return asks(p, &cobra.Command{Use: "status", Short: "Show how the pool as a whole is doing", Args: cobra.NoArgs}, showStatus)
}

func showStatus(ctx context.Context, c *client, out printer, _ []string) error {
	var status statusDocument
	text, err := c.get(ctx, "/status", &status)
	if err != nil {
		return err
	}
	rows := [][]string{
		{"pool", cmp.Or(status.Pool, "-")},
		{"configured", strconv.FormatBool(status.Configured)},
		{"started", strconv.FormatBool(status.Started)},
		{"outage", status.Outage},
		{"blocked", status.Blocked},
		{"frozen", status.Frozen},
		{"unreachable", count(status.Unreachable)},
		{"orphans", count(status.Orphans)},
		{"foreign VMs", count(status.Foreign)},
	}
	for _, rail := range status.Holding {
		reason := rail.Reason + "; to lift it: "
		if strings.Contains(status.Frozen, rail.Reason) {
			reason = "to lift it: " // the rest has been said
		}
		rows = append(rows, []string{"held: " + rail.Name, reason + rail.Lift})
	}
	for _, note := range status.Notes {
		rows = append(rows, []string{"note", note})
	}
	rows = slices.DeleteFunc(rows, func(row []string) bool { return row[1] == "" })
	return out.print(listing{document: text, rows: rows, names: []string{status.Pool}})
}

// count is empty for what is not worth a line.
func count(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func newSize(p process) *cobra.Command {
	return asks(p, &cobra.Command{Use: "size", Short: "Show the pool's size", Args: cobra.NoArgs},
		func(ctx context.Context, c *client, out printer, _ []string) error { return showSize(ctx, c, out) })
}

func showSize(ctx context.Context, c *client, out printer) error {
	var size sizeDocument
	text, err := c.get(ctx, "/pool/size", &size)
	if err != nil {
		return err
	}
	return out.print(listing{
		document: text,
		header:   []string{"DESIRED", "ALLOCATED", "ACTIVE", "REQUESTED"},
		rows:     [][]string{integers(size.DesiredSize, size.Allocated, size.Active, size.RequestedSize)},
		narrow:   3,
		names:    integers(size.DesiredSize),
	})
}

func integers(values ...int) []string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = strconv.Itoa(v)
	}
	return texts
}

func newMachines(p process) *cobra.Command {
	return asks(p, &cobra.Command{Use: "machines", Short: "List the pool's machines", Args: cobra.NoArgs}, showMachines)
}

func showMachines(ctx context.Context, c *client, out printer, _ []string) error {
	var pool poolDocument
	text, err := c.get(ctx, "/pool", &pool)
	if err != nil {
		return err
	}
	l := listing{
		document: text,
		header:   []string{"NAME", "STATE", "SERVICE", "MEMBERSHIP", "IP", "LAUNCHED", "ID", "SIZE", "HOST", "DATASTORE", "REMARK"},
		narrow:   7,
	}
	idLength := prefixLength(pool.Machines)
	if out.format == "wide" {
		idLength = wholeID
	}
	for _, m := range pool.Machines {
		l.names = append(l.names, m.Metadata.Name)
		l.rows = append(l.rows, m.row(idLength))
	}
	return out.print(l)
}

// An id is 36 characters long; a narrow table shows eight of them, if so many tell all ids apart.
const (
	wholeID    = 36
	shortestID = 8
)

// prefixLength is how many characters tell the ids of a pool apart: the commands take that much of an id for the whole.
func prefixLength(machines []machineDocument) int {
	ids := make([]string, len(machines))
	for i, m := range machines {
		ids[i] = m.ID
	}
	slices.Sort(ids)
	length := shortestID
	for i := 1; i < len(ids); i++ {
		length = max(length, 1+common(ids[i-1], ids[i]))
	}
	return length
}

// common is the length of the longest common prefix.
func common(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

func (m machineDocument) row(idLength int) []string {
	launched := ""
	if m.LaunchTime != nil {
		launched = m.LaunchTime.Format("2006-01-02 15:04:05Z")
	}
	return []string{
		m.Metadata.Name, m.MachineState, m.ServiceState, m.MembershipStatus.word(),
		strings.Join(slices.Concat(m.PublicIPs, m.PrivateIPs), ","), launched,
		m.ID[:min(len(m.ID), idLength)], m.MachineSize, m.Metadata.Host, m.Metadata.Datastore, cmp.Or(m.Metadata.Error, m.Metadata.Reason),
	}
}

// word is elastisys' name for a combination.
func (s membershipStatus) word() string {
	switch s {
	case membershipStatus{Active: true, Evictable: true}:
		return "default"
	case membershipStatus{Active: true}:
		return "blessed"
	case membershipStatus{Evictable: true}:
		return "disposable"
	default:
		return "awaiting service"
	}
}
