package actors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What one document may cost that is parsed, shown and looked through for unknown keys. The time is the processor's, and generous: the
// race detector takes most of it.
const (
	mostMemory = 300 << 20
	mostTime   = 10 * time.Second
)

// frugal fails if do costs too much.
func frugal(t *testing.T, do func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := processorTime()
	do()
	took := processorTime() - start
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > mostMemory || took > mostTime {
		t.Errorf("took %v and %d MiB", took, allocated>>20)
	}
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// bombs are small documents, or at least allowed ones, that ask for much time or memory.
func bombs() map[string]string {
	repeat := func(s string, size int) string { return strings.Repeat(s, size/len(s)) }
	numbered := func(format string, size int) string {
		var b strings.Builder
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	const size, lines = maxDocument - 1000, maxYAML - 1000
	levels := "a: &a [1,1,1,1,1,1,1,1,1]\n"
	for from := 'a'; from < 'h'; from++ {
		levels += fmt.Sprintf("%c: &%c [*%[3]c,*%[3]c,*%[3]c,*%[3]c,*%[3]c,*%[3]c,*%[3]c,*%[3]c,*%[3]c]\n", from+1, from+1, from)
	}
	template := func(text string) string {
		quoted, _ := json.Marshal(text)
		return machineTemplate("nameTemplate: " + string(quoted))
	}
	return map[string]string{
		"list of values":           `{"alerts":{"a":[1` + repeat(",1", size) + `]}}`,
		"yaml list of values":      minimalConfig + `alerts: {a: [1` + repeat(",1", lines) + `]}`,
		"yaml lines":               minimalConfig + "alerts:\n  a:\n" + repeat("  - 1\n", lines),
		"keys":                     minimalConfig + "alerts:\n" + numbered(" k%d: 1\n", lines),
		"a problem for each value": `{"cloudApiSettings":{"thumbprints":[1` + repeat(",1", size) + `]}}`,
		"deep lists":               `{"alerts":{"a":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}}`,
		"deep objects":             `{"alerts":` + repeat(`{"`+strings.Repeat("k", 100)+`":`, size) + "1" + strings.Repeat("}", size/104) + `}`,
		"deep yaml":                `alerts: ` + strings.Repeat("{a: ", 9000) + strings.Repeat("}", 9000),
		"too deep for anybody":     strings.Repeat("[", lines),
		"aliases":                  levels,
		"aliases of a long text":   "a: &a " + strings.Repeat("x", 120<<10) + "\nb: [*a" + strings.Repeat(",*a", 40_000) + "]",
		"merges":                   "a: &a {x: 1}\nb:\n  <<: [*a" + strings.Repeat(",*a", 80_000) + "]",
		"anchors":                  "a: [" + numbered("&k%d 1,", lines) + "]",
		"long key over many":       `{"alerts":{"` + strings.Repeat("k", 500<<10) + `":[1` + strings.Repeat(",1", 9000) + `]}}`,
		"dashes":                   repeat("- ", lines),
		"questions":                repeat("? ", lines),
		"escapes":                  `a: "` + repeat(`\x41`, lines) + `"`,
		"long number":              `{"desiredSize":` + repeat("9", size) + `}`,
		"long base 60 number":      "desiredSize: 1" + repeat(":59", lines),
		"huge exponent":            `{"alerts":{"a":1e` + repeat("9", size) + `},"bounds":{"min":1e99999}}`,
		"too long":                 minimalConfig + repeat("#", maxDocument),
		"bad metadata":             machineTemplate(`cloudInit: {metaData: {a: ["{{"` + strings.Repeat(`,"{{"`, 9000) + `]}}`),
		"names of a loop":          template("{{range 1000000000000}}{{end}}"),
		"names of nested loops":    template("{{range 100000}}{{range 100000}}{{range 100000}}x{{end}}{{end}}{{end}}"),
		"names of a width":         template(strings.Repeat(`{{printf "%999999d" 1}}`, 1000)),
		"names that double":        template(`{{$x := .ID}}` + strings.Repeat(`{{$x = print $x $x}}`, 40) + "{{$x}}"),
		"names that double unseen": template("{{.ID" + strings.Repeat(` | printf "%[1]s%[1]s"`, 40) + "}}"),
		"names quoted again":       template(`{{"\"\\" ` + strings.Repeat(`| printf "%q" `, 60) + "}}"),
		"names of templates": template(`{{define "a"}}{{template "b"}}{{template "b"}}{{end}}{{define "b"}}{{template "c"}}{{end}}` +
			`{{define "c"}}{{template "c"}}{{end}}{{template "a"}}`),
		"names of conditions": template(repeat("{{if 1}}", 60<<10) + "{{.ID}}" + repeat("{{end}}", 50<<10)),
		"long pool, often": `{"name":"` + strings.Repeat("w", 500<<10) + `","provisioningTemplate":{"nameTemplate":"` +
			strings.Repeat("{{.Pool}}", 5000) + `"}}`,
		"long name, often": machineTemplate(`nameTemplate: "` + strings.Repeat("{{.ID}}", 9000) + `", cloudInit: {metaData: {a: "` +
			strings.Repeat("{{.Name}}", 7000) + `"}}`),
		"device": machineTemplate("ignition: {configFile: /dev/zero}"),
	}
}

func TestDocumentsThatAskForMuch(t *testing.T) {
	all := bombs()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			checkDocument(t, []byte(all[name]))
			if _, err := ParseConfig([]byte(all[name])); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestConfigNamesAPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := ParseConfig([]byte(vcenter("url: https://h/sdk, passwordFile: " + pipe)))
	if err == nil || !strings.Contains(err.Error(), "cloudApiSettings.passwordFile: must be a file") {
		t.Error(err)
	}
}

func TestLimitsOfDocuments(t *testing.T) {
	for name, row := range map[string]struct{ document, says string }{
		"length":  {strings.Repeat(" ", maxDocument+1), "longer than 1048576 bytes"},
		"depth":   {strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1), "nested more than 32 deep"},
		"values":  {"[0" + strings.Repeat(",0", maxValues) + "]", "more than 10000 values"},
		"yaml":    {strings.Repeat("#", maxYAML+1), "for YAML it is too long"},
		"aliases": {"a: &a " + strings.Repeat("x", maxYAML/2) + "\nb: [*a, *a, *a, *a, *a, *a, *a, *a]", "with its aliases written out"},
		"no yaml": {"{", "neither YAML nor JSON"},
	} {
		if _, err := toJSON([]byte(row.document)); err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, document := range map[string]string{
		"depth":        strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth),
		"values":       "[0" + strings.Repeat(",0", maxValues-1) + "]",
		"text":         `"` + strings.Repeat(`[{,\"`, 20_000) + `"`,
		"aliases":      "a: &a {x: 1}\nb: [*a, *a]\nc: {<<: *a}",
		"stars":        "password: '********'",
		"no text ends": `["\\", "a", ",,,"]`,
	} {
		if _, err := toJSON([]byte(document)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzConfigDocument takes a document all the way: it is parsed, checked, shown, and posted again.
func FuzzConfigDocument(f *testing.F) {
	f.Add([]byte(minimalConfig))
	f.Add([]byte(secretConfig))
	f.Add(sampleConfig(f))
	f.Add([]byte(machineTemplate("addresses: {allow: [10.0.0.0/8], ignore: ['::/0']}, cloudInit: {hostname: '{{.Name}}', userData: '#'}")))
	f.Fuzz(func(t *testing.T, document []byte) {
		checkDocument(t, document)
	})
}

func checkDocument(t *testing.T, document []byte) {
	t.Helper()
	if readsFiles(document) {
		return
	}
	frugal(t, func() {
		c, err := ParseConfig(document)
		checkRefusal(t, err)
		masked, maskErr := MaskConfig(document)
		UnknownKeys(document)
		switch {
		case err != nil:
		case maskErr != nil || !json.Valid(masked):
			t.Errorf("masked as %s, %v", masked, maskErr)
		default:
			checkShown(t, c, document, masked)
		}
	})
}

// readsFiles keeps the fuzzer from naming files of the machine it runs on.
func readsFiles(document []byte) bool {
	return bytes.Contains(document, []byte("File")) && !bytes.Contains(document, []byte("/dev/zero")) || bytes.Contains(document, []byte(`\u`))
}

func checkRefusal(t *testing.T, err error) {
	t.Helper()
	var refused *ConfigError
	switch {
	case err == nil:
	case !errors.As(err, &refused) || len(refused.Problems) == 0 || len(refused.Problems) > maxProblems+1:
		t.Errorf("refused with %v", err)
	default:
		for _, p := range refused.Problems {
			if p.Message == "" {
				t.Errorf("nothing is said of %q", p.Path)
			}
		}
	}
}

// checkShown says that what is shown of a valid document holds none of its secrets, and means the same when it is posted again.
func checkShown(t *testing.T, c Config, document, masked []byte) {
	t.Helper()
	tpl := c.ProvisioningTemplate
	for _, secret := range []string{c.CloudAPISettings.Password, tpl.CloudInit.UserData, tpl.Ignition.Config} {
		if len(secret) > len(mask) && bytes.Count(document, []byte(secret)) == 1 && bytes.Contains(masked, []byte(secret)) {
			t.Errorf("%s shows %q", masked, secret)
		}
	}
	back, err := UnmaskConfig(masked, document)
	if err != nil {
		t.Errorf("posted again: %v", err)
		return
	}
	if again, err := ParseConfig(back); err != nil || !reflect.DeepEqual(again, c) {
		t.Errorf("%s is %+v, %v; was %+v", back, again, err, c)
	}
}

// FuzzUnmaskConfig posts any document where any other is stored.
func FuzzUnmaskConfig(f *testing.F) {
	f.Add([]byte(`{"a":[{"password":"********"}],"u":"a://b:********@c"}`), []byte(secretConfig))
	f.Add([]byte(`{"cloudApiSettings":{"url":"https://evil","password":"********"}}`), []byte(minimalConfig))
	f.Fuzz(func(t *testing.T, posted, stored []byte) {
		frugal(t, func() {
			got, err := UnmaskConfig(posted, stored)
			if err != nil || bytes.Contains(posted, []byte("*")) || bytes.Contains(posted, []byte(`\`)) {
				return
			}
			want, _ := toTree(posted)
			if tree, err := toTree(got); err != nil || !reflect.DeepEqual(tree, want) {
				t.Errorf("%s became %s, %v", posted, got, err)
			}
		})
	})
}
