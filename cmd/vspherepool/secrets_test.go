package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"vspherepool/api"
	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// planted are the secrets of a run. Each is unlike anything that a program writes by itself, and has characters that encodings change.
var planted = map[string]string{
	"vCenter password":    `vc-Plum7&"q<1>`,
	"refused password":    `no-Plum7&"q<2>`,
	"user data":           "ud-Pear8+/3=",
	"metadata":            "md-Pear8+/4=",
	"password hash":       "$6$ig-Fig9$5",
	"guestinfo":           "gi-Fig9+/6=",
	"alert password":      `al-Kiwi2&"7`,
	"alert URL password":  "al-Kiwi3-8",
	"misspelt key":        "mk-Lime4+/9=",
	"user's password":     `us-Date5&"10`,
	"wrong user password": "wu-Date6+11",
	"misplaced":           "mpQuince7x12",
}

// forms are how a text may look in what a program writes. Encodings of three bytes at a time are found wherever it begins in them.
func forms(secret string) [][]byte {
	quoted, _ := json.Marshal(secret)
	twice, _ := json.Marshal(strings.Trim(string(quoted), `"`))
	plain := &bytes.Buffer{}
	encoder := json.NewEncoder(plain)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(secret)
	all := []string{
		secret, strings.Trim(string(quoted), `"`), strings.Trim(string(twice), `"`), strings.Trim(strings.TrimSpace(plain.String()), `"`),
		url.QueryEscape(secret),
		url.PathEscape(secret), url.UserPassword("", secret).String()[1:], fmt.Sprintf("%x", secret),
		strings.Trim(fmt.Sprintf("%d", []byte(secret)), "[]"), strings.Trim(strconv.Quote(strconv.Quote(secret)), `\"`),
	}
	for offset := range 3 {
		whole := base64.StdEncoding.EncodeToString(append(make([]byte, offset), secret...))
		inside := whole[(offset*8+5)/6 : (offset+len(secret))*8/6]
		all = append(all, inside, strings.NewReplacer("+", "-", "/", "_").Replace(inside))
	}
	var found [][]byte
	for _, form := range all {
		found = append(found, []byte(form))
	}
	return found
}

// leaks are the names of the secrets that a text has in any form.
func leaks(text []byte, secrets map[string]string) (names []string) {
	for name, secret := range secrets {
		for _, form := range forms(secret) {
			if bytes.Contains(text, form) {
				names = append(names, fmt.Sprintf("%s as %s", name, form))
				break
			}
		}
	}
	return names
}

// TestLeaksAreSeen keeps the test below able to fail.
func TestLeaksAreSeen(t *testing.T) {
	for name, secret := range planted {
		quoted, _ := json.Marshal(map[string]string{"err": secret})
		for _, text := range []string{
			"x" + secret, string(quoted), "https://u:" + url.QueryEscape(secret) + "@h", fmt.Sprintf("%q", secret),
			fmt.Sprintf("%d", []byte("a"+secret)),
			"Basic " + base64.StdEncoding.EncodeToString([]byte("u:"+secret)), base64.URLEncoding.EncodeToString([]byte("us:" + secret)),
			base64.RawStdEncoding.EncodeToString([]byte("use:" + secret + "\n")), fmt.Sprintf("%x", secret+"."),
		} {
			if len(leaks([]byte(text), map[string]string{name: secret})) == 0 {
				t.Errorf("%q does not show as %s", secret, text)
			}
		}
	}
	if found := leaks([]byte(`{"password":"********","passwordFile":"/etc/password"}`), planted); found != nil {
		t.Errorf("found %v", found)
	}
}

// eavesdropper is a server with secrets wherever there may be any, and all that it and the commands ever said.
type eavesdropper struct {
	*victim
	sim     *simulator.Simulator
	secrets map[string]string
	heard   bytes.Buffer
	// token is one that the server accepts.
	token string
}

// TestSecrets has the program do all it can, and looks for each secret in every byte that comes out. The journal, which holds the
// configuration, and files that were given to the program are left out: nobody but their owner reads them.
func TestSecrets(t *testing.T) {
	e := newEavesdropper(t)
	e.configure(e.document(nil))
	e.start()
	e.everyRoute()
	e.badDocuments()
	e.rotations()
	e.commands()
	e.outage()
	e.crash()
	e.look()
}

func newEavesdropper(t *testing.T) *eavesdropper {
	t.Helper()
	sim, err := simulator.New(simulator.Options{Password: planted["vCenter password"]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	if _, err := sim.Serve("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	e := &eavesdropper{sim: sim, secrets: map[string]string{}}
	maps.Copy(e.secrets, planted)
	e.victim = newVictim(t, os.Args[0], asServer+"=1", "VSPHEREPOOL_LOG_LEVEL=debug", "GOTRACEBACK=all",
		"PLANTED="+planted["vCenter password"])
	hash, err := api.HashPassword(planted["user's password"])
	if err != nil {
		t.Fatal(err)
	}
	token, sealed := api.NewToken()
	e.token, e.secrets["token"], e.secrets["hash"], e.secrets["hashed token"] = token, token, hash, sealed
	e.write("users", "root:"+hash+":admin\nrobot:"+sealed+":admin\n")
	e.env = append(e.env, "VSPHEREPOOL_USERS="+e.path("users"), "VSPHEREPOOL_AUDIT_LOG="+e.path("audit.log"))
	e.write("password", planted["vCenter password"]+"\n")
	e.write("wrong", planted["refused password"]+"\n")
	t.Cleanup(func() { e.kill() })
	return e
}

func (e *eavesdropper) write(name, text string) {
	e.t.Helper()
	if err := os.WriteFile(e.path(name), []byte(text), 0o600); err != nil {
		e.t.Fatal(err)
	}
}

// document is a configuration with a secret at every place for one; settings replace those of the connection.
func (e *eavesdropper) document(settings map[string]any) []byte {
	connection := e.sim.Connection()
	reach := map[string]any{
		"url": connection.URL, "username": connection.Username, "thumbprints": connection.Thumbprints, "password": connection.Password,
		"pasword": planted["misspelt key"],
	}
	if settings != nil {
		delete(reach, "password")
	}
	maps.Copy(reach, settings)
	template, _ := json.Marshal(e.sim.Template())
	var machines map[string]any
	_ = json.Unmarshal(template, &machines)
	machines["cloudInit"] = vsphere.CloudInit{
		UserData: "#cloud-config\n# " + planted["user data"], MetaData: map[string]any{"note": planted["metadata"]},
	}
	machines["extraConfig"] = map[string]string{"guestinfo.note": planted["guestinfo"], "rootPassword": planted["guestinfo"]}
	smtp := map[string]any{"authentication": map[string]string{"username": "u", "password": planted["alert password"]}}
	document, err := json.Marshal(map[string]any{
		"name": "web", "desiredSize": 1, "cloudApiSettings": reach, "provisioningTemplate": machines,
		"alerts": map[string]any{"smtp": []any{smtp}, "http": []string{"https://u:" + planted["alert URL password"] + "@alerts.example/hook"}},
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return document
}

// ask sends a request and keeps all of the answer.
func (e *eavesdropper) ask(method, path, kind string, body []byte, login func(*http.Request)) int {
	e.t.Helper()
	request, err := http.NewRequestWithContext(e.t.Context(), method, e.url+path, bytes.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	request.Header.Set("Content-Type", kind)
	login(request)
	response, err := e.client.Do(request)
	if err != nil {
		e.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	fmt.Fprintf(&e.heard, "%s %s: %d %v\n%s\n", method, path, response.StatusCode, response.Header, answer)
	return response.StatusCode
}

func (e *eavesdropper) asAdmin(r *http.Request) { r.Header.Set("Authorization", "Bearer "+e.token) }

func (e *eavesdropper) everyRoute() {
	e.t.Helper()
	type login = func(*http.Request)
	logins := []login{
		func(*http.Request) {},
		func(r *http.Request) { r.SetBasicAuth("root", planted["wrong user password"]) },
		func(r *http.Request) { r.SetBasicAuth(planted["wrong user password"], planted["wrong user password"]) },
		func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+planted["wrong user password"]) },
		func(r *http.Request) { r.Header.Set("Authorization", planted["wrong user password"]) },
		func(r *http.Request) { r.SetBasicAuth("root", planted["user's password"]) },
		e.asAdmin,
	}
	requests := map[string][]string{
		"GET": {"/pool", "/pool/size", "/config", "/status", "/metrics", "/pool/freeze", "/pool/orphans", "/nowhere", "/start"},
		"POST": {
			"/pool/size", "/pool/x/terminate", "/pool/x/detach", "/pool/vm-0/attach", "/pool/x/serviceState", "/pool/x/membershipStatus",
			"/pool/terminate",
			"/pool/attach", "/pool/freeze", "/stop", "/start", "/config", "/nowhere",
		},
		"DELETE": {"/pool"},
	}
	bodies := []string{
		`{"desiredSize": 2}`, `{"frozen": true, "reason": "x"}`, `{"frozen": false}`, `{"machineId": "x", "serviceState": "BOOTING"}`,
		`{"password": "` + planted["misplaced"], planted["misplaced"], "",
	}
	for _, login := range logins[:5] {
		if status := e.ask(http.MethodGet, "/pool", "application/json", nil, login); status < 400 {
			e.t.Errorf("status %d without a login", status)
		}
	}
	for _, login := range logins[5:] {
		if status := e.ask(http.MethodGet, "/pool/size", "application/json", nil, login); status != http.StatusOK {
			e.t.Errorf("status %d with a login", status)
		}
		for method, paths := range requests {
			for _, path := range paths {
				for _, body := range bodies {
					e.ask(method, path, "application/json", []byte(body), login)
				}
			}
		}
	}
}

// misplacements are what people and programs do to a document, around the text MISPLACED.
var misplacements = []string{
	"password: \"MISPLACED", "password: *MISPLACED", "password: MISPLACED: x", "\tpassword: MISPLACED", "{[MISPLACED]: 1}",
	"? {a: MISPLACED}\n: 1",
	"MISPLACED", "- MISPLACED", "a: 1\na: MISPLACED\n", "password: !MISPLACED x", "%MISPLACED\n---\na: 1", "password: @MISPLACED",
	"p: |MISPLACED\n x",
	"cloudApiSettings: MISPLACED", "cloudApiSettings: {password: {a: MISPLACED}}", "cloudApiSettings: {password: [MISPLACED]}",
	"cloudApiSettings: {url: MISPLACED}", "cloudApiSettings: {url: 'https://u:MISPLACED@vc/sdk'}",
	"cloudApiSettings: {url: 'https://u:MISPLACED@v c/%zz'}",
	"cloudApiSettings: {url: 'ftp://MISPLACED@vc'}", "cloudApiSettings: {passwordFile: MISPLACED}",
	"cloudApiSettings: {passwordEnv: MISPLACED}",
	"cloudApiSettings: {caFile: MISPLACED}", "cloudApiSettings: {insecureSkipVerify: MISPLACED}", "desiredSize: MISPLACED",
	"name: [MISPLACED]", "name: 'x MISPLACED'",
	"retention: MISPLACED", "retention: {time: 3, unit: MISPLACED}", "retention: {time: MISPLACED}", "limits: {creates: MISPLACED}",
	"limits: [MISPLACED]",
	"bounds: {onViolation: MISPLACED}", "provisioningTemplate: {cloneMode: MISPLACED}",
	"provisioningTemplate: {addresses: {allow: [MISPLACED]}}",
	"provisioningTemplate: {ignition: {config: MISPLACED}}", "provisioningTemplate: {ignition: {configFile: MISPLACED}}",
	"provisioningTemplate: {cloudInit: {userDataFile: MISPLACED}}", "provisioningTemplate: {cloudInit: {metaData: {a: '{{MISPLACED}}'}}}",
	"provisioningTemplate: {cloudInit: {metaData: MISPLACED}}", "provisioningTemplate: {extraConfig: {a: [MISPLACED]}}",
	"provisioningTemplate: {extraConfig: {vspherepool.mark: MISPLACED}}", "alerts: MISPLACED", "pasword: MISPLACED",
}

func (e *eavesdropper) badDocuments() {
	e.t.Helper()
	for _, text := range misplacements {
		document := []byte(strings.ReplaceAll(text, "MISPLACED", planted["misplaced"]))
		for _, kind := range []string{"application/yaml", "application/json", planted["misplaced"] + "/x"} {
			if status := e.ask(http.MethodPost, "/config", kind, document, e.asAdmin); status < 400 {
				e.t.Errorf("%s was accepted", text)
			}
		}
		e.write("bad.yaml", string(document))
		e.command("", "config", "check", e.path("bad.yaml"))
		e.command("", "doctor", "--config", e.path("bad.yaml"))
	}
	for _, settings := range []map[string]any{
		{"password": planted["vCenter password"], "thumbprints": []string{planted["misplaced"]}},
		{"password": planted["vCenter password"], "url": "https://127.0.0.1:1/sdk"},
		{"password": planted["vCenter password"], "caFile": e.path("password"), "thumbprints": []string{}},
		{"password": planted["vCenter password"], "passwordFile": e.path("password")},
	} {
		if status := e.ask(http.MethodPost, "/config", "application/json", e.document(settings), e.asAdmin); status < 400 {
			e.t.Errorf("%v was accepted", settings)
		}
	}
}

// rotations are configurations with each source of the password, right and wrong.
func (e *eavesdropper) rotations() {
	e.t.Helper()
	for i, settings := range []map[string]any{
		{"passwordFile": e.path("password")},
		{"passwordEnv": "PLANTED"},
		{"password": planted["vCenter password"]},
		{"password": planted["refused password"]},
		{"passwordFile": e.path("wrong")},
	} {
		status := e.ask(http.MethodPost, "/config", "application/json", e.document(settings), e.asAdmin)
		if right := i < 3; right != (status == http.StatusOK) {
			e.t.Errorf("%d: status %d:\n%.2000s", i, status, e.heard.Bytes()[max(0, e.heard.Len()-2000):])
		}
		e.ask(http.MethodGet, "/config", "", nil, e.asAdmin)
		e.ask(http.MethodGet, "/status", "", nil, e.asAdmin)
	}
}

// command runs one in this process and keeps what it says.
func (e *eavesdropper) command(stdin string, args ...string) {
	p, stdout, stderr := sandbox(e.t, map[string]string{"VSPHEREPOOL_PASSWORD": planted["user's password"]})
	p.stdin = strings.NewReader(stdin)
	code := run(e.t.Context(), p, args...)
	fmt.Fprintf(&e.heard, "%v: %d\n%s\n%s\n", args, code, stdout, stderr)
}

func (e *eavesdropper) commands() {
	server := []string{"--server=" + e.url, "--ca-file=" + e.path("state/tls-cert.pem"), "--user=root"}
	for _, command := range []string{
		"config show", "config show -o json", "status", "status -o json", "machines -o wide", "size", "rails", "orphans", "terminate x --yes",
		"attach x",
	} {
		e.command("", append(strings.Fields(command), server...)...)
	}
	e.write("good.json", string(e.document(nil)))
	e.write("refused.json", string(e.document(map[string]any{"password": planted["refused password"]})))
	e.command("", "config", "check", e.path("good.json"))
	for _, name := range []string{"good.json", "refused.json"} {
		e.command("", "doctor", "--config", e.path(name))
		e.command("", "doctor", "-o", "json", "--config", e.path(name))
	}
}

// outage takes vCenter away while the server works on.
func (e *eavesdropper) outage() {
	e.sim.Close()
	for _, path := range []string{"/status", "/pool", "/pool/size", "/metrics", "/pool/freeze"} {
		e.ask(http.MethodGet, path, "", nil, e.asAdmin)
	}
	e.ask(http.MethodPost, "/config", "application/json", e.document(nil), e.asAdmin)
	e.ask(http.MethodPost, "/pool/attach", "application/json", []byte(`{"machineId": "vm-1"}`), e.asAdmin)
}

// crash has the runtime write where each goroutine is, as it does before it ends a program that is broken.
func (e *eavesdropper) crash() {
	e.t.Helper()
	if err := e.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		e.t.Fatal(err)
	}
	select {
	case <-e.dead:
	case <-time.After(30 * time.Second):
		e.t.Fatal("SIGQUIT did not end the server")
	}
}

func (e *eavesdropper) look() {
	e.t.Helper()
	audit, err := os.ReadFile(e.path("audit.log"))
	if err != nil || bytes.Count(audit, []byte("\n")) < 10 {
		e.t.Errorf("audit log has %d bytes, %v", len(audit), err)
	}
	key, err := os.ReadFile(e.path("state/tls-key.pem"))
	if err != nil {
		e.t.Error(err)
	}
	for i, line := range strings.Split(string(key), "\n") {
		if len(line) > 30 && !strings.HasPrefix(line, "-") {
			e.secrets[fmt.Sprint("TLS key, line ", i)] = line
		}
	}
	log := e.log()
	if !strings.Contains(log, "SIGQUIT") || !strings.Contains(log, "\ngoroutine 1 ") {
		e.t.Error("there is no crash output")
	}
	for name, text := range map[string][]byte{"log": []byte(log), "audit log": audit, "answers": e.heard.Bytes()} {
		for line := range bytes.Lines(text) {
			if found := leaks(line, e.secrets); found != nil {
				e.t.Errorf("%s shows %v: %.600s", name, found, line)
			}
		}
	}
}
