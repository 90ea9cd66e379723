package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"vspherepool/actors"
)

// showState prints the pool's record, and a table of the machines under it.
func showState(out printer, found actors.Inspection) error {
	document, err := json.Marshal(found)
	if err != nil {
		return fmt.Errorf("format state: %w", err)
	}
	l := listing{
		document: document,
		header:   []string{"NAME", "PHASE", "VM", "SINCE", "ID", "TASK", "REASON"},
		narrow:   5,
	}
	for _, m := range found.Machines {
		l.names = append(l.names, string(m.ID))
		since := ""
		if !m.Since.IsZero() {
			since = m.Since.UTC().Format(time.RFC3339)
		}
		l.rows = append(l.rows, []string{m.Name, m.Phase, string(m.VM), since, string(m.ID), string(m.Task), m.Reason})
	}
	if out.format == "table" || out.format == "wide" {
		if err := out.print(listing{rows: stateRows(found)}); err != nil {
			return err
		}
		if len(l.rows) == 0 {
			return nil
		}
		if err := out.write("\n"); err != nil {
			return err
		}
	}
	return out.print(l)
}

func stateRows(found actors.Inspection) [][]string {
	desired, frozen := "-", "no"
	if found.Desired != nil {
		desired = strconv.Itoa(*found.Desired)
	}
	if found.Frozen != nil {
		frozen = cmp.Or(*found.Frozen, "yes")
	}
	complete := "yes"
	if !found.Complete {
		complete = "no: they are looked for by their marks at the next start"
	}
	return [][]string{
		{"pool", found.Pool},
		{"layout", strconv.Itoa(found.Layout)},
		{"desired size", desired},
		{"started", strconv.FormatBool(found.Started)},
		{"frozen", frozen},
		{"owed", strconv.Itoa(found.Owed)},
		{"configuration", string(found.Fingerprint)},
		{"vcenter", found.VCenter},
		{"writer", found.Writer},
		{"epoch", strconv.Itoa(found.Epoch)},
		{"members complete", complete},
		{"machines", strconv.Itoa(len(found.Machines))},
	}
}

// findings are what a check found, or that it found nothing.
func findings(found actors.Inspection, path string) listing {
	document, _ := json.Marshal(map[string]any{"sound": found.Sound(), "findings": found.Findings}) // strings and booleans always can be
	l := listing{document: document, names: []string{path}}
	if len(found.Findings) == 0 {
		l.rows = [][]string{{path + " is sound: the pool's record and " + strconv.Itoa(len(found.Machines)) + " machines"}}
		return l
	}
	l.header = []string{"TROUBLE", "MEANING", "WHAT TO DO"}
	for _, f := range found.Findings {
		l.rows = append(l.rows, []string{f.Trouble, f.Meaning, f.Remedy})
	}
	return l
}
