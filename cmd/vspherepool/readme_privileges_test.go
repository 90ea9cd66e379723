package main

import (
	"cmp"
	"fmt"
	"strings"

	"vspherepool/vsphere"
)

// privilegesTable has one row per privilege; the object is named in its first row.
func privilegesTable(privileges []vsphere.Privilege) string {
	var b strings.Builder
	b.WriteString("| on | privilege | for | needed |\n|---|---|---|---|\n")
	var last vsphere.Scope
	for _, p := range privileges {
		on := ""
		if p.On != last {
			on = string(p.On)
			if p.On.Propagated() {
				on += ", propagated"
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", on, p.ID, "to "+p.For, when(p))
		last = p.On
	}
	return b.String()
}

func when(p vsphere.Privilege) string {
	if !p.Optional() {
		return cmp.Or(p.If, "always")
	}
	return strings.TrimPrefix(p.If+", ", ", ") + "optional: without it, " + p.Otherwise
}

// roleCommand breaks the command into lines of a few privileges each.
func roleCommand(ids []string) string {
	line := "$ govc role.create vspherepool"
	var lines []string
	for _, id := range ids {
		if len(line)+len(id) > 120 {
			lines, line = append(lines, line), "   "
		}
		line += " " + id
	}
	return "```console\n" + strings.Join(append(lines, line), " \\\n") + "\n```\n"
}
