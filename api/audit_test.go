package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"

	"vspherepool/actors"
)

// auditing is a server whose audit log is a file.
func auditing(t *testing.T, pool Service) (*Server, *Audit, string) {
	t.Helper()
	s, log := newTestServer(t, pool, defaultLimits)
	file := filepath.Join(t.TempDir(), "audit.log")
	audit, err := OpenAudit(file, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAudit(t, audit) })
	s.audit = audit
	return s, audit, file
}

func closeAudit(t *testing.T, a *Audit) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	if err := a.Close(ctx); err != nil {
		t.Error(err)
	}
}

// plainLines are the lines of a log without what differs from run to run.
func plainLines(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for line := range strings.Lines(string(content)) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		for _, name := range []string{"time", "since", "request", "durationMs"} {
			delete(fields, name)
		}
		plain, _ := json.Marshal(fields)
		out.Write(append(plain, '\n'))
	}
	return out.Bytes()
}

// TestAuditTranscript is a day's requests and what the audit log has of them.
func TestAuditTranscript(t *testing.T) {
	pool := newScripted()
	s, audit, file := auditing(t, pool)
	const id = "4f1c6b0e-0000-4000-8000-000000000001"
	for _, c := range []call{
		{method: "GET", path: "/pool"},
		{method: "POST", path: "/pool/size", body: `{"desiredSize": 7}`},
		{method: "POST", path: "/pool/size", body: `{"desiredSize": 7}`},
		{method: "POST", path: "/pool/size", body: `{"desiredSize": 7}`},
		{method: "POST", path: "/pool/size", body: `{"desiredSize": -1}`},
		{method: "POST", path: "/pool/size", body: `{"desiredSize": 6}`},
		{method: "POST", path: "/pool/" + id + "/terminate", body: `{"decrementDesiredSize": true}`},
		{method: "POST", path: "/pool/detach", body: `{"machineId": "` + id + `", "decrementDesiredSize": false}`},
		{method: "POST", path: "/pool/attach", body: `{"machineId": "vm-42"}`},
		{method: "POST", path: "/pool/" + id + "/serviceState", body: `{"serviceState": "OUT_OF_SERVICE"}`},
		{method: "POST", path: "/pool/membershipStatus", body: `{"machineId": "m", "membershipStatus": {"active": true, "evictable": false}}`},
		{method: "POST", path: "/pool/freeze", body: `{"frozen": true, "reason": "SAN \"work\" <until> 18:00"}`},
		{method: "POST", path: "/pool/freeze", body: `{"frozen": false, "takeOver": true}`},
		{method: "POST", path: "/config", body: `{"name": "web", "password": "hunter2"}`},
		{method: "POST", path: "/stop"},
		{method: "POST", path: "/stop"},
		{method: "POST", path: "/start"},
		{method: "POST", path: "/nowhere"},
		{method: "DELETE", path: "/pool"},
		{method: "OPTIONS", path: "/pool"},
		{method: "POST", path: "/pool/size", body: `{"desiredSize"`, headers: map[string]string{"Authorization": "Basic aHVudGVyMg=="}},
	} {
		c.run(s)
	}
	pool.err = &actors.Error{Kind: actors.Unavailable, Message: "vSphere cannot be reached"}
	call{method: "POST", path: "/pool/size", body: `{"desiredSize": 3}`}.run(s)
	call{method: "GET", path: "/pool"}.run(s)
	closeAudit(t, audit)
	golden(t, "audit.jsonl", plainLines(t, file))
	content, _ := os.ReadFile(file)
	for _, secret := range []string{"hunter2", "aHVudGVyMg"} {
		if bytes.Contains(content, []byte(secret)) {
			t.Errorf("the audit log has the secret %s", secret)
		}
	}
}

// TestAuditIsThereWithTheAnswer says so of every line of a disk that is not slow.
func TestAuditIsThereWithTheAnswer(t *testing.T) {
	s, _, file := auditing(t, newScripted())
	for n := range 50 {
		call{method: "POST", path: "/pool/size", body: fmt.Sprintf(`{"desiredSize": %d}`, 10+n)}.run(s)
		content, err := os.ReadFile(file)
		if err != nil || bytes.Count(content, []byte("\n")) != n+1 {
			t.Fatalf("%d changes, %v: %s", n+1, err, content)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// TestAuditLineIsOneLine sends what could end a line early, or be endless.
func TestAuditLineIsOneLine(t *testing.T) {
	s, audit, file := auditing(t, newScripted())
	paths := []string{"/pool/a%0Ab%22%7D/terminate", "/x%0D%0Ay", "/\"}{\"", "/" + strings.Repeat("%F0%9F%98%80", 900)}
	for _, path := range paths {
		call{method: "POST", path: path, body: `{"machineId": "` + strings.Repeat("\u2028", 3000) + `"}`}.run(s)
	}
	call{method: strings.Repeat("X", 4000), path: "/pool"}.run(s)
	call{method: "POST", path: "/pool/terminate", body: `{"machineId": "` + strings.Repeat("m\\n", 3000) + `"}`}.run(s)
	closeAudit(t, audit)
	lines := bytes.Split(bytes.TrimSpace(plainLines(t, file)), []byte("\n"))
	if len(lines) != len(paths)+2 {
		t.Errorf("%d lines for %d requests", len(lines), len(paths)+2)
	}
	for _, line := range lines {
		if len(line) > 8<<10 {
			t.Errorf("a line has %d bytes: %.200s", len(line), line)
		}
	}
}

func TestAuditFollowsRotation(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	f, err := openAuditFile(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	write := func(text string, second int) {
		t.Helper()
		if err := f.write([]byte(text), auditEpoch.Add(time.Duration(second)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	write("one", 0)
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	write("two", 0) // not looked for within the second
	write("three", 1)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	write("four", 2)
	old, _ := os.ReadFile(file + ".1")
	made, err := os.ReadFile(file)
	if string(old) != "one\ntwo\n" || string(made) != "four\n" || err != nil {
		t.Errorf("moved: %q, made: %q, %v", old, made, err)
	}
}

// TestAuditGoesOnAfterATornLine has the file of a process that ran out of disk in the middle of a line.
func TestAuditGoesOnAfterATornLine(t *testing.T) {
	for before, want := range map[string]string{"": "next\n", "whole\n": "whole\nnext\n", "to": "to\nnext\n"} {
		file := filepath.Join(t.TempDir(), "audit.log")
		if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := openAuditFile(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.close()
		if err := f.write([]byte("next"), auditEpoch); err != nil {
			t.Fatal(err)
		}
		if content, _ := os.ReadFile(file); string(content) != want {
			t.Errorf("%q became %q", before, content)
		}
	}
}

func TestAuditFileRefuses(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		link: "symbolic link", dir: "directory", filepath.Join(dir, "no", "log"): "no such",
		"/dev/null": "regular",
	} {
		if _, err := OpenAudit(path, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("a symbolic link was followed")
	}
}

// TestAuditThatCannotBeWritten says that requests go on, that the log is told once, and has the lines.
func TestAuditThatCannotBeWritten(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full here")
	}
	pool := newScripted()
	s, audit, _ := auditing(t, pool)
	log := &safeBuffer{}
	closeAudit(t, audit)
	audit = NewAudit(slog.New(slog.NewTextHandler(log, nil)))
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	// Seen a moment from now, so that it is not looked for.
	audit.writer = startAuditWriter(&auditFile{path: "/dev/full", file: full, checked: time.Now().Add(time.Hour)}, audit.outcome)
	s.audit = audit
	for n := range 5 {
		if answer := (call{method: "POST", path: "/pool/size", body: fmt.Sprintf(`{"desiredSize": %d}`,
			10+n)}).run(s); answer.StatusCode() != 200 {
			t.Errorf("status %d", answer.StatusCode())
		}
	}
	closeAudit(t, audit)
	if text := log.String(); strings.Count(text, "cannot be written") != 1 || strings.Count(text, "msg=audit") != 5 || audit.lost.Load() != 5 {
		t.Errorf("%d lines lost, log:\n%s", audit.lost.Load(), text)
	}
}

// TestAuditWithoutAFile keeps its lines in the log, and in virtual time an autoscaler at its work.
func TestAuditWithoutAFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newTestServer(t, newScripted(), defaultLimits)
		log := &safeBuffer{}
		s.audit = NewAudit(slog.New(slog.NewJSONHandler(log, nil)))
		for range 2 * 60 * 6 { // two hours, every ten seconds
			call{method: "POST", path: "/pool/size", body: `{"desiredSize": 5}`}.run(s)
			time.Sleep(10 * time.Second)
		}
		if n := strings.Count(log.String(), `"msg":"audit"`); n < 2 || n > 3 {
			t.Errorf("%d lines:\n%s", n, log)
		}
		closeAudit(t, s.audit)
		if text := log.String(); !strings.Contains(text, `"repeated":`) || !strings.Contains(text, `"entry":{"time":`) {
			t.Errorf("log:\n%s", text)
		}
	})
}

// TestAuditWaitsForNoDisk has a disk that hangs: the first answer waits for it, the others don't, and what finds no room is in the log.
func TestAuditWaitsForNoDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newTestServer(t, newScripted(), defaultLimits)
		log := &safeBuffer{}
		s.audit = NewAudit(slog.New(slog.NewTextHandler(log, nil)))
		s.audit.writer = &auditWriter{lines: make(chan auditLine, 3)} // nobody reads
		began := time.Now()
		for n := range 5 {
			call{method: "POST", path: "/pool/size", body: fmt.Sprintf(`{"desiredSize": %d}`, 10+n)}.run(s)
		}
		if took := time.Since(began); took != auditPatience {
			t.Errorf("five answers took %s", took)
		}
		if text := log.String(); strings.Count(text, "msg=audit ") != 2 {
			t.Errorf("log:\n%s", text)
		}
		s.audit.timer.Stop()
	})
}

func TestAuditOfTheUnreadable(t *testing.T) {
	s, audit, file := auditing(t, newScripted())
	run := serve(t, s)
	c := run.dial(t)
	go func() { _, _ = c.Write([]byte("POST /pool/size HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n")) }()
	if statuses, _ := answers(t, c); fmt.Sprint(statuses) != "[413]" {
		t.Fatal(statuses)
	}
	closeAudit(t, audit)
	if text := plainLines(t, file); !bytes.Contains(text, []byte(`"status":413`)) || !bytes.Contains(text, []byte(`"from":"127.0.0.1:`)) {
		t.Errorf("%s", text)
	}
}

// TestOneNetworkFloodsNoAudit has the holder of an IPv6 network use a new address of it for each refusal.
func TestOneNetworkFloodsNoAudit(t *testing.T) {
	s, audit, file := auditing(t, newScripted())
	for n := range 5 * defaultAuditLimits.refusals {
		call{method: "POST", path: fmt.Sprint("/", n)}.runFrom(s, fmt.Sprintf("2001:db8::%x", n+1))
	}
	closeAudit(t, audit)
	content := plainLines(t, file)
	n, summed := bytes.Count(content, []byte("\n")), bytes.Contains(content, []byte(`"from":"2001:db8::/64"`))
	if n != defaultAuditLimits.refusals+1 || !summed {
		t.Errorf("%d lines:\n%s", n, content)
	}
}

// TestAuditHasTheCertificate that came along with a password: it says whose machine the password was used on.
func TestAuditHasTheCertificate(t *testing.T) {
	var r fasthttp.RequestCtx
	r.Request.Header.SetMethod("POST")
	r.SetStatusCode(fasthttp.StatusForbidden)
	v := begin(&r)
	v.caller, v.known = principal{"alice", viewer, PasswordUser, "laptop"}, true
	want := `"who":{"name":"alice","role":"viewer","by":"password","certificate":"laptop"}`
	if line := entryOf(&r, auditEpoch, 0).line(); !bytes.Contains(line, []byte(want)) {
		t.Errorf("%s", line)
	}
}

func TestAuditHasWhomALoginWasFor(t *testing.T) {
	for failure, want := range map[error]string{
		&refused{&claim{"alice", errWrong}, errUnauthorized}: `"claimed":"alice"`,
		&refused{errUnknown, errUnauthorized}:                `"status":401`,
	} {
		var r fasthttp.RequestCtx
		begin(&r)
		fail(&r, failure, v5)
		line := entryOf(&r, auditEpoch, 0).line()
		answer := []byte(errUnauthorized.message)
		if !bytes.Contains(line, []byte(want)) || !bytes.Contains(line, answer) || bytes.Contains(line, []byte(errWrong.Error())) {
			t.Errorf("%s", line)
		}
	}
}

// TestAuditedRequests says which requests are told of.
func TestAuditedRequests(t *testing.T) {
	for _, test := range []struct {
		method  string
		status  int
		audited bool
	}{
		{"GET", 200, false},
		{"GET", 404, false},
		{"GET", 502, false},
		{"HEAD", 200, false},
		{"OPTIONS", 200, false},
		{"OPTIONS", 405, true},
		{"GET", 401, true},
		{"HEAD", 403, true},
		{"GET", 429, true},
		{"POST", 200, true},
		{"POST", 400, true},
		{"POST", 413, true},
		{"POST", 500, true},
		{"DELETE", 405, true},
		{"BREW", 404, true},
	} {
		var r fasthttp.RequestCtx
		r.Request.Header.SetMethod(test.method)
		r.SetStatusCode(test.status)
		if audited(&r) != test.audited {
			t.Errorf("%s answered with %d: audited is %t", test.method, test.status, !test.audited)
		}
	}
}
