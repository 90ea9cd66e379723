package vsphere

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestReadFileWaitsForNobody(t *testing.T) {
	dir := t.TempDir()
	pipe, plain, large := filepath.Join(dir, "pipe"), filepath.Join(dir, "plain"), filepath.Join(dir, "large")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{plain: 5, large: maxFile + 1} {
		if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		pipe: "not a regular file", dir: "not a regular file", "/dev/zero": "not a regular file", large: "larger than",
		filepath.Join(dir, "none"): "no such file",
	} {
		if _, err := readFile(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text, err := readFile(plain); err != nil || len(text) != 5 {
		t.Errorf("%q, %v", text, err)
	}
}
