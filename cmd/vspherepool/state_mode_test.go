package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestStateIsClosedToOthers(t *testing.T) {
	tests := map[string]struct {
		mode os.FileMode
		// holds are the files in the directory.
		holds   []string
		refused bool
		want    os.FileMode
	}{
		"private":           {0o700, []string{"letters"}, false, 0o700},
		"new":               {0o755, nil, false, 0o700},
		"state":             {0o777, []string{journalFile, "tls-key.pem"}, false, 0o700},
		"somebody's":        {0o755, []string{"letters"}, true, 0o755},
		"shared, sticky":    {0o777 | os.ModeSticky, []string{journalFile}, true, 0o777},
		"private, restored": {0o700, []string{journalFile}, false, 0o700},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			for _, file := range test.holds {
				if err := os.WriteFile(filepath.Join(dir, file), nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(dir, test.mode); err != nil {
				t.Fatal(err)
			}
			err := keepPrivate(dir)
			info, statErr := os.Stat(dir)
			if statErr != nil || (err != nil) != test.refused || info.Mode().Perm() != test.want {
				t.Fatalf("%v; mode is %v, %v", err, info.Mode(), statErr)
			}
			for _, file := range test.holds {
				info, err := os.Stat(filepath.Join(dir, file))
				if own := file != "letters" && !test.refused; err != nil || own && info.Mode().Perm() != 0o600 {
					t.Errorf("%s has mode %v, %v", file, info.Mode(), err)
				}
			}
		})
	}
}
