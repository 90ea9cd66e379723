package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/invopop/jsonschema"

	"vspherepool/actors"
	"vspherepool/api"
	"vspherepool/vsphere"
)

//go:generate go test -run ^TestReadme$ . -update

var update = flag.Bool("update", false, "rewrite the generated parts of the README")

const readme = "../../README.md"

// TestReadme generates the README's reference tables from their sources and compares.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(actors.ConfigSchema(), &schema); err != nil {
		t.Fatal(err)
	}
	want := replacePart(t, string(text), "configuration", configurationTable(&schema))
	want = replacePart(t, want, "options", optionsTable(newServeOptions().table()))
	want = replacePart(t, want, "roles", rolesTable(api.Operations()))
	want = replacePart(t, want, "commands", commandsTable(newRoot(process{})))
	want = replacePart(t, want, "metrics", metricsTable(t))
	want = replacePart(t, want, "privileges", privilegesTable(vsphere.Privileges()))
	want = replacePart(t, want, "role", roleCommand(vsphere.Role(vsphere.Privileges())))
	switch {
	case *update:
		if err := os.WriteFile(readme, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	case want != string(text):
		t.Error("README.md is out of date: run make generate")
	}
}

func replacePart(t *testing.T, text, name, part string) string {
	t.Helper()
	start := "<!-- " + name + ": written by make generate -->\n"
	before, rest, found := strings.Cut(text, start)
	_, after, ended := strings.Cut(rest, "<!-- end -->")
	if !found || !ended {
		t.Fatalf("the README has no part %q", name)
	}
	return before + start + part + "<!-- end -->" + after
}

func optionsTable(table []option) string {
	var b strings.Builder
	b.WriteString("| flag | environment | default | meaning |\n|---|---|---|---|\n")
	for _, o := range table {
		fmt.Fprintf(&b, "| `--%s` | `%s` | %s | %s |\n", o.flag, o.variable(), defaultText(o), strings.ReplaceAll(o.help, "`", ""))
	}
	return b.String()
}

func defaultText(o option) string {
	switch v := o.value.(type) {
	case *bool:
		return "off"
	case *time.Duration:
		return v.String()
	case *string:
		if *v != "" {
			return "`" + *v + "`"
		}
	}
	return o.otherwise
}

func configurationTable(schema *jsonschema.Schema) string {
	var b strings.Builder
	b.WriteString("| key | type | default | meaning |\n|---|---|---|---|\n")
	writeKeys(&b, "", schema)
	return b.String()
}

func writeKeys(b *strings.Builder, prefix string, object *jsonschema.Schema) {
	for pair := object.Properties.Oldest(); pair != nil; pair = pair.Next() {
		path, key := prefix+pair.Key, pair.Value
		if key.Properties != nil {
			writeKeys(b, path+".", key)
			continue
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", path, typeText(key), keyDefault(object, pair.Key, key), key.Description)
	}
}

func typeText(key *jsonschema.Schema) string {
	switch {
	case len(key.Enum) > 0:
		return "`" + strings.Trim(strings.ReplaceAll(fmt.Sprint(key.Enum), " ", "`, `"), "[]") + "`"
	case len(key.OneOf) > 0:
		return "duration"
	case key.Type == "array":
		return "list"
	default:
		return map[string]string{"string": "text", "integer": "number" + rangeText(key), "boolean": "true, false", "object": "object"}[key.Type]
	}
}

func rangeText(key *jsonschema.Schema) string {
	switch {
	case key.Maximum != "":
		return fmt.Sprintf(" %s to %s", key.Minimum, key.Maximum)
	case key.Minimum != "":
		return fmt.Sprintf(" ≥ %s", key.Minimum)
	default:
		return ""
	}
}

func keyDefault(object *jsonschema.Schema, name string, key *jsonschema.Schema) string {
	if slices.Contains(object.Required, name) {
		return "required"
	}
	if key.Default == nil {
		return ""
	}
	return fmt.Sprintf("`%v`", key.Default)
}
