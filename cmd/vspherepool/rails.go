package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

func newFreeze(p process) *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: "freeze", Short: "Have the pool start and end no machines by itself", Args: cobra.NoArgs}
	return asks(p, cmd, func(ctx context.Context, c *client, out printer, _ []string) error {
		return setFreeze(ctx, c, out, p.stderr, freezeRequest{Frozen: true, Reason: reason})
	}, option{flag: "reason", value: &reason, help: "why, as `text` of one line for others to read"})
}

func newThaw(p process) *cobra.Command {
	var takeOver bool
	cmd := &cobra.Command{Use: "thaw", Short: "End a freeze, and lift what holds the pool back now", Args: cobra.NoArgs}
	return asks(p, cmd, func(ctx context.Context, c *client, out printer, _ []string) error {
		return setFreeze(ctx, c, out, p.stderr, freezeRequest{TakeOver: takeOver})
	}, option{flag: "take-over", value: &takeOver, help: "take the pool over from another server that writes to it; stop that one first"})
}

// setFreeze also shows what holds the pool now. That it cannot be read is no failure to set it.
func setFreeze(ctx context.Context, c *client, out printer, notes io.Writer, request freezeRequest) error {
	if err := c.post(ctx, "/pool/freeze", request); err != nil {
		return err
	}
	var freeze freezeDocument
	text, err := c.get(ctx, "/pool/freeze", &freeze)
	if err != nil {
		fmt.Fprintf(notes, "done, but the pool cannot be read now: %v\n", err)
		return nil
	}
	rows := [][]string{{"frozen", strconv.FormatBool(freeze.Frozen)}}
	for _, reason := range freeze.Reasons {
		rows = append(rows, []string{"reason", reason})
	}
	return out.print(listing{document: text, rows: rows, names: []string{strconv.FormatBool(freeze.Frozen)}})
}

func newRails(p process) *cobra.Command {
	cmd := &cobra.Command{Use: "rails", Short: "List the limits that keep the pool from doing harm", Args: cobra.NoArgs}
	return asks(p, cmd, showRails)
}

func showRails(ctx context.Context, c *client, out printer, _ []string) error {
	var freeze freezeDocument
	text, err := c.get(ctx, "/pool/freeze", &freeze)
	if err != nil {
		return err
	}
	l := listing{document: text, header: []string{"RAIL", "LIMIT", "VALUE", "HOLDING", "REASON", "TO LIFT IT"}, narrow: 5}
	for _, r := range freeze.Rails {
		l.names = append(l.names, r.Name)
		limit := strconv.Itoa(r.Limit)
		if r.Limit == 0 {
			limit = ""
		}
		l.rows = append(l.rows, []string{r.Name, limit, strconv.Itoa(r.Value), strconv.FormatBool(r.Holding), r.Reason, r.Lift})
	}
	return out.print(l)
}

func newOrphans(p process) *cobra.Command {
	cmd := &cobra.Command{Use: "orphans", Short: "List VMs that carry the pool's mark without being members", Args: cobra.NoArgs}
	return asks(p, cmd, showOrphans)
}

func showOrphans(ctx context.Context, c *client, out printer, _ []string) error {
	var answer orphansDocument
	text, err := c.get(ctx, "/pool/orphans", &answer)
	if err != nil {
		return err
	}
	l := listing{document: text, header: []string{"NAME", "VM", "MACHINE", "STATE", "AGE", "REASON"}}
	for _, o := range answer.Orphans {
		l.names = append(l.names, o.Name)
		age := ""
		if o.Created != nil {
			age = rough(time.Since(*o.Created))
		}
		l.rows = append(l.rows, []string{o.Name, o.VM, o.MachineID, o.State, age, o.Reason})
	}
	return out.print(l)
}

// rough is a time in its largest unit, for a column.
func rough(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	default:
		return fmt.Sprintf("%ds", max(0, d/time.Second))
	}
}
