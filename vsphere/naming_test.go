package vsphere

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestVMName(t *testing.T) {
	for text, want := range map[string]string{
		"{{.Pool}}-{{.Short}}": "web-5f6a9f2e", "{{.ID}}": string(machine.ID), "plain": "plain", "{{.Name}}x": "x",
		`{{printf "%.3s" .Short}}`: "5f6",
	} {
		if got, err := VMName(text, "web", machine.ID, 0); err != nil || got != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"{{.Pool", "{{.Host}}", "{{template \"x\"}}"} {
		if got, err := VMName(text, "web", machine.ID, 0); err == nil {
			t.Errorf("%s makes %q", text, got)
		}
	}
}

func TestHostnames(t *testing.T) {
	long := strings.Repeat("a", 70)
	for name, row := range map[string]struct {
		vm, text, want string
		refused        bool
	}{
		"the vm's name":    {vm: "web-1", want: "web-1"},
		"made valid":       {vm: "Web_1.Example (a)", want: "web-1-example--a"},
		"no hyphen ends":   {vm: "-web-", want: "web"},
		"cut to a label":   {vm: long, want: long[:63]},
		"cut at a hyphen":  {vm: long[:62] + "-b", want: long[:62]},
		"nothing valid":    {vm: "日本", want: "5f6a9f2e"},
		"template":         {vm: "web-1", text: "{{.Name}}.{{.Pool}}.example.com", want: "web-1.web.example.com"},
		"id":               {text: "i-{{.ID}}", want: "i-" + string(machine.ID)},
		"upper case stays": {text: "WEB", want: "WEB"},
		"underscore":       {text: "a_b", refused: true},
		"empty label":      {text: "a..b", refused: true},
		"hyphen at end":    {text: "a-", refused: true},
		"long label":       {text: long, refused: true},
		"too long":         {text: strings.Repeat("abcdefgh.", 28) + "ab", refused: true},
		"unknown field":    {text: "{{.Host}}", refused: true},
	} {
		got, err := newNaming(row.vm, "web", machine.ID).hostname(row.text)
		if got != row.want || (KindOf(err) == Misconfigured) != row.refused {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// Whatever a VM is called, its guest gets a name that RFC 1123 allows.
func TestHostLabelIsAlwaysValid(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		name := rapid.String().Draw(r, "name")
		got, err := newNaming(name, "web", machine.ID).hostname("")
		if err != nil || !hostnamePattern.MatchString(got) || strings.Contains(got, ".") {
			r.Fatalf("%q becomes %q, %v", name, got, err)
		}
	})
}

func TestMetadataIsFilled(t *testing.T) {
	ci := CloudInit{Hostname: "{{.Name}}.example.com", MetaData: map[string]any{
		"pool": "{{.Pool}}", "nested": map[string]any{"ids": []any{"{{.ID}}", "{{.Short}}", json.Number("7"), true, nil}}, "plain": "{ }",
	}}
	_, extra := build(t, place(t, Template{CloudInit: ci}))
	var got map[string]any
	if err := json.Unmarshal(decodeGuestinfo(t, extra["guestinfo.metadata"]), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"instance-id": string(machine.ID), "local-hostname": "web-1.example.com", "pool": "web", "plain": "{ }",
		"nested": map[string]any{"ids": []any{string(machine.ID), "5f6a9f2e", 7.0, true, nil}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMetadataThatCannotBeMade(t *testing.T) {
	for name, ci := range map[string]CloudInit{
		"pinned id":   {MetaData: map[string]any{"instance-id": "x"}},
		"field":       {MetaData: map[string]any{"a": map[string]any{"b": []any{"{{.Host}}"}}}},
		"unfinished":  {MetaData: map[string]any{"a": "{{.Name"}},
		"no hostname": {Hostname: "-"},
	} {
		if _, err := newPlacement("web", Template{CloudInit: ci}); KindOf(err) != Misconfigured {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := CloudInit{MetaData: map[string]any{"a": map[string]any{"b": "{{.Host}}"}}}.Check("web", "web-1", machine.ID)
	if KindOf(err) != Misconfigured || !strings.Contains(err.Error(), "cloudInit.metaData.a.b") {
		t.Errorf("%v does not say where", err)
	}
	if err := (CloudInit{Hostname: "{{.Name}}"}).Check("web", "web-1", machine.ID); err != nil {
		t.Error(err)
	}
	if _, err := newPlacement("web", Template{NameTemplate: "{{.Pool"}); KindOf(err) != Misconfigured {
		t.Errorf("name template: %v", err)
	}
}
