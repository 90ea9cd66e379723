package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

// answering is a client of a server with fixed answers by path; everything else is away.
func answering(t *testing.T, answers map[string]string) (c *client, posted *bytes.Buffer) {
	t.Helper()
	posted = &bytes.Buffer{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, known := answers[r.Method+" "+r.URL.Path]
		if !known {
			w.WriteHeader(http.StatusBadGateway)
		}
		if r.Method == http.MethodPost {
			_, _ = io.Copy(posted, r.Body)
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	c = &client{base: server.URL, http: server.Client()}
	t.Cleanup(c.close)
	return c, posted
}

const frozen = `{"frozen": true, "reasons": ["by hand: SAN work"], "rails": [
	{"name": "churn", "limit": 20, "value": 20, "holding": true, "reason": "too many", "lift": "thaw"},
	{"name": "ceiling", "limit": 0, "value": 3, "holding": false, "reason": "", "lift": ""}]}`

func TestShows(t *testing.T) {
	day := time.Now().Add(-73 * time.Hour).Format(time.RFC3339)
	c, _ := answering(t, map[string]string{
		"GET /pool/freeze": frozen,
		"GET /pool/orphans": `{"orphans": [
			{"vm": "vm-7", "name": "web-1", "machineId": "a-b", "state": "poweredOn", "created": "` + day + `", "reason": "lost"},
			{"vm": "vm-8"}]}`,
		"GET /status": `{"started": true, "pool": "web", "orphans": 2,
			"holding": [{"name": "churn", "reason": "too many", "lift": "thaw"}]}`,
	})
	for name, test := range map[string]struct {
		show func(context.Context, *client, printer, []string) error
		want string
	}{
		"rails": {showRails, `^RAIL +LIMIT +VALUE +HOLDING +REASON\nchurn +20 +20 +true +too many\nceiling +- +3 +false +-\n$`},
		"orphans": {
			showOrphans,
			`^NAME +VM +MACHINE +STATE +AGE +REASON\nweb-1 +vm-7 +a-b +poweredOn +3d +lost\n- +vm-8 +- +- +- +-\n$`,
		},
		"status": {showStatus, `started +true\n(.*\n)*held: churn +too many; to lift it: thaw\n`},
	} {
		var out bytes.Buffer
		if err := test.show(t.Context(), c, printer{&out, "table"}, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		lines := regexp.MustCompile(` +\n`).ReplaceAllString(out.String(), "\n")
		if !regexp.MustCompile(test.want).MatchString(lines) {
			t.Errorf("%s shows\n%s", name, &out)
		}
	}
	var wide bytes.Buffer
	if err := showRails(t.Context(), c, printer{&wide, "wide"}, nil); err != nil || !strings.Contains(wide.String(), "thaw") {
		t.Errorf("wide rails are %v\n%s", err, &wide)
	}
}

func TestSetFreeze(t *testing.T) {
	c, posted := answering(t, map[string]string{"POST /pool/freeze": "", "GET /pool/freeze": frozen})
	var out, notes bytes.Buffer
	err := setFreeze(t.Context(), c, printer{&out, "table"}, &notes, freezeRequest{Frozen: true, Reason: "SAN work"})
	if err != nil || out.String() != "frozen  true\nreason  by hand: SAN work\n" || notes.Len() > 0 {
		t.Errorf("%v, standard output %q, notes %q", err, &out, &notes)
	}
	if posted.String() != `{"frozen":true,"reason":"SAN work"}` {
		t.Errorf("posted %s", posted)
	}

	halfway, posted := answering(t, map[string]string{"POST /pool/freeze": ""})
	out.Reset()
	err = setFreeze(t.Context(), halfway, printer{&out, "table"}, &notes, freezeRequest{TakeOver: true})
	said := strings.HasPrefix(notes.String(), "done, but")
	if err != nil || out.Len() > 0 || !said || posted.String() != `{"frozen":false,"takeOver":true}` {
		t.Errorf("%v, standard output %q, notes %q, posted %s", err, &out, &notes, posted)
	}
	away, _ := answering(t, nil)
	if err := setFreeze(t.Context(), away, printer{&out, "table"}, &notes, freezeRequest{}); exitCode(err) != exitUnreachable {
		t.Error(err)
	}
}

func TestRough(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": -time.Second, "119s": 119 * time.Second, "2m": 2*time.Minute + 59*time.Second, "119m": 119 * time.Minute,
		"47h": 47*time.Hour + time.Minute, "2d": 48 * time.Hour, "400d": 400 * 24 * time.Hour,
	} {
		if got := rough(d); got != want {
			t.Errorf("%s is %s, want %s", d, got, want)
		}
	}
}

func TestRegistry(t *testing.T) {
	registry, err := newRegistry()
	if err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil || len(families) < 30 {
		t.Errorf("%d metrics, %v", len(families), err)
	}
	if _, err := newRegistry(registry, registry); err == nil {
		t.Error("the same metrics are there twice")
	}
}
