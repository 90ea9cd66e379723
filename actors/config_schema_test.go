package actors

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"

	"vspherepool/vsphere"
)

// TestConfigSchema generates the schema and compares it with the one that is built in.
func TestConfigSchema(t *testing.T) {
	want := generateSchema(t)
	if *update {
		if err := os.WriteFile("config_schema.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(ConfigSchema(), want) {
		t.Error("config_schema.json is out of date: run make generate")
	}
}

func generateSchema(t *testing.T) []byte {
	t.Helper()
	r := jsonschema.Reflector{
		DoNotReference: true, Anonymous: true, AllowAdditionalProperties: true, RequiredFromJSONSchemaTags: true,
		Mapper: durations(t),
	}
	for _, dir := range []string{".", "../vsphere"} {
		if err := r.AddGoComments("vspherepool/actors", dir, jsonschema.WithFullComment()); err != nil {
			t.Fatal(err)
		}
	}
	r.LookupComment = groupComment(r.CommentMap)
	schema := r.Reflect(Config{})
	schema.Title = "vspherepool configuration"
	schema.Description = "The configuration document of one pool. Unknown keys are ignored."
	for _, k := range configKeys {
		addKey(t, schema, k)
	}
	text, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

// durations describes the two forms of a [vsphere.Duration].
func durations(t *testing.T) func(reflect.Type) *jsonschema.Schema {
	return func(typ reflect.Type) *jsonschema.Schema {
		if typ != reflect.TypeFor[vsphere.Duration]() {
			return nil
		}
		var s jsonschema.Schema
		mergeKeywords(t, &s, map[string]any{"oneOf": []any{
			map[string]any{"type": "string", "examples": []string{"30s", "5m", "1h30m"}},
			map[string]any{
				"type": "object", "required": []string{"time", "unit"},
				"properties": map[string]any{"time": map[string]any{"type": "integer"}, "unit": map[string]any{"type": "string"}},
			},
		}})
		return &s
	}
}

// groupComment lets the comment above a group of fields ("CPUs, MemoryMiB and DiskGiB …") stand for each field it names, and turns
// Go's names in comments into the document's keys.
func groupComment(comments map[string]string) func(reflect.Type, string) string {
	return func(owner reflect.Type, name string) string {
		prefix := owner.PkgPath() + "." + owner.Name()
		if name == "" || owner.Kind() != reflect.Struct {
			return comments[prefix]
		}
		var last string
		for f := range owner.Fields() {
			own := comments[prefix+"."+f.Name]
			if own != "" {
				last = own
			}
			if f.Name == name {
				return inKeys(owner, described(f, own, last))
			}
		}
		return ""
	}
}

func described(f reflect.StructField, own, last string) string {
	switch {
	case own != "":
		return own
	case regexp.MustCompile(`\b` + f.Name + `\b`).MatchString(last):
		return last
	default:
		return ""
	}
}

func inKeys(owner reflect.Type, text string) string {
	for f := range owner.Fields() {
		text = regexp.MustCompile(`\b`+f.Name+`\b`).ReplaceAllString(text, jsonKey(f))
	}
	return strings.ReplaceAll(text, "\n", " ")
}

func addKey(t *testing.T, schema *jsonschema.Schema, k configKey) {
	t.Helper()
	node := schema
	for key := range strings.SplitSeq(k.path, ".") {
		next, found := node.Properties.Get(key)
		if !found {
			t.Fatalf("configKeys has %s, which Config has not", k.path)
		}
		if k.required && !slices.Contains(node.Required, key) {
			node.Required = append(node.Required, key)
		}
		node = next
	}
	if k.byDefault != nil {
		node.Default = k.byDefault
	}
	for _, rule := range k.rules {
		mergeKeywords(t, node, rule.keywords)
	}
}

func mergeKeywords(t *testing.T, node *jsonschema.Schema, keywords map[string]any) {
	t.Helper()
	text, err := json.Marshal(keywords)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, node); err != nil {
		t.Fatal(err)
	}
}
