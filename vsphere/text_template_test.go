package vsphere

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTemplatesThatAreRefused(t *testing.T) {
	for text, says := range map[string]string{
		"{{range 1000000000000}}x{{end}}":                "must not have {{range",
		"{{range .ID}}{{end}}":                           "must not have {{range",
		`{{define "a"}}{{end}}{{.ID}}`:                   "must not define templates",
		`{{template "a"}}`:                               `must not have {{template "a"}}`,
		`{{block "a" .}}{{end}}`:                         "must not define templates",
		"{{$x := .ID}}{{$x}}":                            "the variable $x",
		"{{with $x := .ID}}{{end}}":                      "the variable $x",
		"{{$.ID}}":                                       "must not have $.ID",
		"{{.Host}}":                                      "there is no {{.Host}}",
		"{{.Pool.Name}}":                                 "there is no {{.Pool.Name}}",
		"{{(slice .ID 1).X}}":                            "must not have",
		"{{print .ID .ID}}":                              "must not call print",
		"{{js .ID}}":                                     "must not call js",
		"{{.ID | html}}":                                 "must not call html",
		"{{call .ID}}":                                   "must not call call",
		"{{if eq print .ID}}{{end}}":                     "must not have print",
		`{{printf "%999999d" 1}}`:                        "printf needs a format",
		`{{printf "%*d" 99 1}}`:                          "printf needs a format",
		`{{.ID | printf "%[1]s%[1]s"}}`:                  "printf needs a format",
		`{{.ID | printf "%q"}}`:                          "printf needs a format",
		`{{.ID | printf "%#v"}}`:                         "printf needs a format",
		`{{printf .ID}}`:                                 "printf needs a format",
		`{{.ID | printf}}`:                               "printf needs a format",
		"{{if true}}{{else}}{{range 3}}{{end}}{{end}}":   "must not have {{range",
		"{{if false}}{{range 3}}{{end}}{{end}}":          "must not have {{range",
		"{{slice .Short 0 99}}":                          "error calling slice: index out of range: 99",
		"{{.ID":                                          "unclosed action",
		"{{foo}}":                                        `function "foo" not defined`,
		"{{break}}":                                      "{{break}} outside {{range}}",
		"{{.ID}}" + strings.Repeat(" ", longestTemplate): "longer than 65536 bytes",
		strings.Repeat("{{if 1}}", 8000):                 "unexpected EOF",
		"{{" + strings.Repeat("(", 20_000) + ".ID":       "max expression depth exceeded",
		"{{with .Name}}{{.}}{{else with .Pool}}{{nil}}{{end}}": "nil",
	} {
		_, err := newNaming("web-1", "web", machine.ID).apply(text)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "template: ") {
			t.Errorf("%.60s: %v", text, err)
		}
	}
}

func TestTemplatesThatAreAccepted(t *testing.T) {
	for text, want := range map[string]string{
		"{{if eq .Pool `web`}}a{{else if .Name}}b{{else}}c{{end}}":       "a",
		"{{with .Name}}{{.}}{{end}}":                                     "web-1",
		"{{/* why */}}{{- .Pool -}} {{slice .ID 0 3}}":                   "web" + string(machine.ID[:3]),
		`{{printf "%-4s|%04d|%.2s|%%" .Pool 7 .Short}}`:                  "web |0007|" + string(machine.ID[:2]) + "|%",
		`{{.Pool | printf "%s-%s" "x"}}`:                                 "x-web",
		"{{if and (not false) (lt (len .Pool) 4) | or}}{{.Pool}}{{end}}": "web",
		"{{with .Name}}{{else}}{{end}}":                                  "",
	} {
		if got, err := newNaming("web-1", "web", machine.ID).apply(text); err != nil || got != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}

// Whatever a template says, it is soon done, and makes no more than a small multiple of what it is given.
func FuzzTemplate(f *testing.F) {
	for _, text := range []string{
		"{{.Pool}}-{{.Short}}", `{{printf "%99s%.3s" .ID .Name}}`, "{{range 9}}{{.}}{{end}}", "{{if .Name}}{{slice .ID 2}}{{end}}",
		`{{.ID | printf "%[1]s"}}`, "{{$x := .ID}}", `{{define "a"}}{{template "a"}}{{end}}`, "{{with .Pool}}{{.}}{{else}}{{len .}}{{end}}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		frugal(t, func() {
			const most = 40 // a width of 99 takes four bytes, and a field of five is 36 long
			seen := newNaming("web-1", "web", machine.ID)
			got, err := seen.apply(text)
			if err == nil && len(got) > most*(len(text)+1) || err != nil && len(err.Error()) > 10*len(text)+1000 {
				t.Errorf("%q makes %d bytes, %v", text, len(got), err)
			}
			if again, _ := seen.apply(text); again != got {
				t.Errorf("%q makes %q, and then %q", text, got, again)
			}
			if name, err := VMName(text, "web", machine.ID, 1); err == nil && len(name) > len(got)+shortLength+most*(len(text)+1) {
				t.Errorf("%q makes the name %q", text, name)
			}
			if host, err := seen.hostname(text); err == nil && !hostnamePattern.MatchString(host) {
				t.Errorf("%q makes the host name %q", text, host)
			}
		})
	})
}

// FuzzMetadata fills whatever metadata somebody may configure.
func FuzzMetadata(f *testing.F) {
	f.Add(`{"a":["{{.ID}}",{"b":"{{.Host}}"}],"instance-id":1}`, "{{.Name}}.example")
	f.Add(`{"local-hostname":"{{.Short}}","n":1e400,"{{":null}`, "")
	f.Fuzz(func(t *testing.T, document, hostname string) {
		var values map[string]any
		if decodeNumbers(document, &values) != nil {
			return
		}
		frugal(t, func() {
			ci := CloudInit{Hostname: hostname, MetaData: values}
			if err := ci.Check("web", "web-1", machine.ID); err != nil {
				if KindOf(err) != Misconfigured {
					t.Errorf("%s: %v", document, err)
				}
				return
			}
			made, err := ci.guestinfo(newNaming("web-1", "web", machine.ID), "")
			var got map[string]any
			if ci.used() && (err != nil || decodeNumbers(string(decodeGuestinfo(t, made["guestinfo.metadata"])), &got) != nil) {
				t.Errorf("%s becomes %v, %v", document, made, err)
			}
			if ci.used() && got["instance-id"] != string(machine.ID) {
				t.Errorf("%s makes %v", document, got)
			}
		})
	})
}

func decodeNumbers(document string, into any) error {
	d := json.NewDecoder(strings.NewReader(document))
	d.UseNumber()
	return d.Decode(into)
}
