package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// answer is what a client got; Status 0 is no answer at all, after which anything may be true.
type answer struct {
	Status int
	Body   []byte
	Took   time.Duration
}

func (a answer) ok() bool { return a.Status == http.StatusOK }

// unknown says that the call may have had its effect or not.
func (a answer) unknown() bool {
	return a.Status == 0 || a.Status == http.StatusInternalServerError && !a.unchanged()
}

// unchanged is the server's word that nothing was changed.
func (a answer) unchanged() bool {
	m := a.message()
	return strings.Contains(m, "nothing was changed") || strings.Contains(m, "before being started")
}

func (a answer) message() string {
	var problem struct{ Message, Detail string }
	_ = json.Unmarshal(a.Body, &problem)
	return problem.Message + " | " + problem.Detail
}

// request is a call on its way: what it asks for, with its target resolved.
type request struct {
	call
	// id is the machine id, or whatever else attach takes; vm the VM's reference, if there is one.
	id, vm string
	// machine is the id that the VM has, or would get, as a member.
	machine string

	method, path, body string
	answer             answer
}

// prepare makes the request of a call.
func (r *request) prepare() {
	r.method = http.MethodPost
	var fields map[string]any
	switch r.Op {
	case "resize":
		r.path, fields = "/pool/size", map[string]any{"desiredSize": r.Size}
	case "terminate", "detach":
		fields = map[string]any{"decrementDesiredSize": r.Decrement}
	case "attach":
		fields = map[string]any{}
	case "serviceState":
		fields = map[string]any{"serviceState": r.Service}
	case "membershipStatus":
		fields = map[string]any{"membershipStatus": map[string]bool{"active": r.Active, "evictable": r.Evictable}}
	case "freeze", "thaw":
		r.path, fields = "/pool/freeze", map[string]any{"frozen": r.Op == "freeze", "reason": "chaos"}
	case "start", "stop":
		r.path = "/" + r.Op
	case "configure":
		r.path, r.body = "/config", string(r.Settings.document())
	case "raw":
		r.method, r.path, r.body = r.Raw[0], r.Raw[1], r.Raw[2]
	}
	if r.Target != nil {
		r.path = "/pool/" + r.Op
		if r.Path {
			r.path = "/pool/" + url.PathEscape(r.id) + "/" + r.Op
		} else {
			fields["machineId"] = r.id
		}
	}
	if fields != nil && (r.Op != "attach" || !r.Path) {
		body, _ := json.Marshal(fields)
		r.body = string(body)
	}
}

// send makes the request; a process that dies before its answer has arrived has not answered.
func (p *process) send(method, path, body string) answer {
	began := time.Now()
	req, err := http.NewRequest(method, "https://localhost"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return answer{}
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
		if strings.HasPrefix(body, "name:") {
			req.Header.Set("Content-Type", "application/yaml")
		}
	}
	res, err := p.client.Do(req)
	if err != nil {
		return answer{Took: time.Since(began)}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || p.fuse.blown() {
		return answer{Took: time.Since(began)}
	}
	return answer{res.StatusCode, text, time.Since(began)}
}

func (r *request) String() string {
	text := fmt.Sprintf("%s %s %s", r.method, r.path, strings.ReplaceAll(strings.TrimSpace(r.body), "\n", "; "))
	if r.Op == "configure" {
		raw, _ := json.Marshal(r.Settings)
		text = "POST /config " + string(raw)
	}
	return text
}
