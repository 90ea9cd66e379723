package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"vspherepool/api"
)

// TestUser is the life of a users file.
func TestUser(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	var token string
	for _, step := range []struct {
		args, stdin string
		code        int
		// stdout, stderr and text are patterns of what is printed, and of the file afterwards.
		stdout, stderr, text string
	}{
		{"list FILE", "", exitError, `^$`, "no such file", ""},
		{"remove FILE alice", "", exitNotFound, `^$`, "there is no user alice", ""},
		{"add FILE alice", "secret\nmore\n", 0, `^$`, `^$`, `^alice:\$2a\$12\$[^:\n]{53}:viewer\n$`},
		{"add FILE alice --role admin", "other\n", exitRefused, `^$`, "--replace", `^alice:\S+:viewer\n$`},
		{"add FILE bob --role king", "x\n", exitUsage, `^$`, "must be one of nobody, viewer", `^alice\S+\n$`},
		{"add FILE bob --expires soon", "x\n", exitUsage, `^$`, "must be a date", `^alice\S+\n$`},
		{"add FILE bob --token --certificate", "", exitUsage, `^$`, "token certificate", `^alice\S+\n$`},
		{"add FILE bob", "", exitError, `^$`, "must not be empty", `^alice\S+\n$`},
		{"add FILE bob", strings.Repeat("x", 100), exitError, `^$`, "72 bytes", `^alice\S+\n$`},
		{"add FILE a:b --token", "", exitError, `^$`, "colon", `^alice\S+\n$`},
		{
			"add FILE ci --token --role autoscaler --expires 2027-06-30", "", 0, `^vspherepool_\S{43}\n$`, `^$`,
			`^alice\S+\nci:\$sha256\$[0-9a-f]{64}:autoscaler:2027-07-01T00:00:00Z\n$`,
		},
		{"add FILE ci --token --replace", "", 0, `^vspherepool_`, `^$`, `\nci:\$sha256\$[0-9a-f]{64}:autoscaler:2027-07-01T00:00:00Z\n$`},
		{"add FILE ci --token --replace --expires never", "", 0, `^vspherepool_`, `^$`, `\nci:\$sha256\$[0-9a-f]{64}:autoscaler\n$`},
		{"add FILE CN=web,O=x --certificate --role nobody", "", 0, `^$`, `^$`, `\nCN=web,O=x:\$x509:nobody\n$`},
		{"add FILE old --certificate --expires 2020-01-01", "", 0, `^$`, `^$`, `\nold:\$x509:viewer:2020-01-02T00:00:00Z\n$`},
		{
			"list FILE", "", 0,
			`^NAME +BY +ROLE +EXPIRES\nalice +password +viewer +-\nci +token +autoscaler +-\nCN=web,O=x +certificate +nobody +-\n` +
				`old +certificate +viewer +2020-01-02T00:00:00Z \(over\)\n$`, `^$`, "",
		},
		{"remove FILE ci", "", 0, `^$`, `^$`, `^alice\S+\nCN=web\S+\nold\S+\n$`},
		{"remove FILE old", "", 0, `^$`, `the certificate of old has the role of serve's --client-role now`, `^alice\S+\nCN=web\S+\n$`},
	} {
		p, stdout, stderr := sandbox(t, nil)
		p.stdin = strings.NewReader(step.stdin)
		args := append([]string{"user"}, strings.Fields(strings.ReplaceAll(step.args, "FILE", file))...)
		code := run(t.Context(), p, args...)
		text, _ := os.ReadFile(file)
		if code != step.code || !regexp.MustCompile(step.stdout).MatchString(stdout.String()) ||
			!regexp.MustCompile(step.stderr).MatchString(stderr.String()) || !regexp.MustCompile(step.text).Match(text) {
			t.Errorf("%s: exit code %d, output %q, %q, file:\n%s", step.args, code, stdout, stderr, text)
		}
		if strings.HasPrefix(stdout.String(), "vspherepool_") {
			if strings.Contains(string(text), strings.TrimSpace(stdout.String())) || stdout.String() == token {
				t.Error("the token is in the file, or not new")
			}
			token = stdout.String()
		}
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	text, _ := os.ReadFile(file)
	if hash := strings.Split(string(text), ":")[1]; bcrypt.CompareHashAndPassword([]byte(hash), []byte("secret")) != nil {
		t.Error("alice's password is another")
	}
}

// TestUsersFileIsEditedWithCare is about what else is in a file, and around it.
func TestUsersFileIsEditedWithCare(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	const text = "# ours\nbroken:hunter2\nbob:$x509:admin\n"
	if err := os.WriteFile(target, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	user := func(args ...string) (int, string) {
		p, _, stderr := sandbox(t, nil)
		return run(t.Context(), p, append([]string{"user"}, args...)...), stderr.String()
	}
	if code, said := user("remove", link, "bob"); code != 0 || !strings.Contains(said, "line 2: ") || strings.Contains(said, "hunter2") {
		t.Errorf("exit code %d: %s", code, said)
	}
	after, err := os.ReadFile(target)
	if err != nil || string(after) != "# ours\nbroken:hunter2\n" {
		t.Errorf("%q, %v", after, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v", err)
	}
	if info, err := os.Stat(target); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("others can still read it: %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(target+".new", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, said := user("remove", link, "broken"); code != exitError || !strings.Contains(said, "being edited") {
		t.Errorf("exit code %d while somebody else edits: %s", code, said)
	}
	if err := os.Remove(target + ".new"); err != nil {
		t.Errorf("somebody else's draft was taken away: %v", err)
	}
	if code, said := user("remove", link, "broken"); code != 0 {
		t.Errorf("exit code %d: %s", code, said)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("files left: %v, %v", left, err)
	}
}

func TestEndOf(t *testing.T) {
	before, now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 22, 12, 0, 0, 5, time.UTC)
	for text, want := range map[string]string{
		"": "2030-01-01T00:00:00Z", "never": "0001-01-01T00:00:00Z", "90d": "2027-02-20T12:00:00Z", "2027-06-30": "2027-07-01T00:00:00Z",
		"2027-06-30T12:00:00+02:00": "2027-06-30T10:00:00Z",
	} {
		if got, err := endOf(text, before, now); err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"soon", "-1d", "1h", "2027-13-01", "99999999d"} {
		if got, err := endOf(text, before, now); err == nil {
			t.Errorf("%q: %s", text, got)
		}
	}
}

// TestHtpasswdFile reads what Apache's htpasswd -B has written.
func TestHtpasswdFile(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), 5)
	if err != nil {
		t.Fatal(err)
	}
	hash = bytes.Replace(hash, []byte("$2a$"), []byte("$2y$"), 1)
	users, err := api.ParseUsers([]byte("alice:" + string(hash) + "\n"))
	if err != nil || len(users.List()) != 1 || users.List()[0].Kind() != api.PasswordUser {
		t.Errorf("%+v, %v", users.List(), err)
	}
}
