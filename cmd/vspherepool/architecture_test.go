package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// forbiddenImports are the ways back: a package that knew who uses it could not be read, tested or replaced by itself.
var forbiddenImports = []struct{ in, imports, because string }{
	{"vsphere", "vspherepool/actors", "vsphere knows vCenter, not pools"},
	{"vsphere", "vspherepool/api", "vsphere knows vCenter, not HTTP"},
	{"actors", "vspherepool/api", "decisions know nothing of HTTP"},
	{"actors", "github.com/valyala/", "decisions know nothing of HTTP"},
	{"actors", "github.com/vmware/", "SOAP ends in vsphere"},
	{"api", "vspherepool/vsphere", "handlers ask actors, and ask through Service"},
	{"api", "github.com/vmware/", "SOAP ends in vsphere"},
	{"api", "github.com/asynkron/", "handlers ask through Service and know no actors"},
	{"vsphere", "github.com/asynkron/", "verbs are plain calls"},
	{"vsphere", "github.com/spf13/", "flags end in cmd"},
	{"actors", "github.com/spf13/", "flags end in cmd"},
	{"api", "github.com/spf13/", "flags end in cmd"},
	{"actors", "vspherepool/vsphere/simulator", "only --simulator knows that a simulator exists"},
}

// goStatements is where goroutines may start: everything that waits is in few places, so that all of it can be stopped.
var goStatements = map[string]bool{
	"actors/async.go":                  true, // calls that block, next to the actors
	"api/audit_file.go":                true, // the writer of the audit log, which a slow disk may hold up
	"cmd/vspherepool/cleanup.go":       true, // the watchdog of the shutdown
	"cmd/vspherepool/confirm.go":       true, // the reader of a terminal, which nothing else can end
	"cmd/vspherepool/serve.go":         true, // the server
	"cmd/vspherepool/user_password.go": true, // another one, of passwords
	"vsphere/task.go":                  true, // the poller that all tasks share
	"vsphere/simulator/contain.go":     true, // vcsim's tasks, contained
}

func TestArchitecture(t *testing.T) {
	for _, name := range sources(t) {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("../..", name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		checkImports(t, name, file)
		ast.Inspect(file, func(n ast.Node) bool {
			if _, starts := n.(*ast.GoStmt); starts && !goStatements[name] {
				t.Errorf("%s starts a goroutine: use what is in actors/async.go, or name the file here with the reason", name)
			}
			return true
		})
	}
}

func checkImports(t *testing.T, name string, file *ast.File) {
	t.Helper()
	for _, imported := range file.Imports {
		path := strings.Trim(imported.Path.Value, `"`)
		for _, f := range forbiddenImports {
			if strings.HasPrefix(name, f.in+"/") && strings.HasPrefix(path, f.imports) {
				t.Errorf("%s imports %s: %s", name, path, f.because)
			}
		}
	}
}

// sources are the Go files of the module that are no tests.
func sources(t *testing.T) []string {
	t.Helper()
	var names []string
	err := fs.WalkDir(os.DirFS("../.."), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go"):
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
