package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func named(id, name, state string) machineDocument {
	return machineDocument{ID: id, MachineState: state, Metadata: machineMetadata{Name: name}}
}

func TestMachineByName(t *testing.T) {
	pool := poolDocument{Machines: []machineDocument{
		named("aaaa0001", "web-1", "RUNNING"), named("aaaa0002", "web-2", "RUNNING"), named("bbbb0001", "aaaa0001", "RUNNING"),
		named("cccc0001", "aaaa", "RUNNING"), named("dddd0001", "twin", "RUNNING"), named("dddd0002", "twin", "REJECTED"),
		named("eeee0001", "", "REQUESTED"),
	}}
	for name, want := range map[string]string{
		"aaaa0001": "aaaa0001", // an id before a name
		"aaaa":     "cccc0001", // a name before the beginning of an id
		"AAAA0002": "aaaa0002",
		"b":        "bbbb0001",
		"BBBB":     "bbbb0001",
		"web-2":    "aaaa0002",
		"eeee":     "eeee0001",
	} {
		if m, err := pool.machine(name); err != nil || m.ID != want {
			t.Errorf("%q is %q, %v; want %q", name, m.ID, err, want)
		}
	}
	for name, code := range map[string]int{
		"twin": exitRefused, "aaaa000": exitRefused, "dddd": exitRefused, "": exitNotFound, "web": exitNotFound, "WEB-1": exitNotFound,
		"aaaa00011": exitNotFound,
	} {
		if m, err := pool.machine(name); err == nil || exitCode(err) != code {
			t.Errorf("%q is %q, exit code %d: %v", name, m.ID, exitCode(err), err)
		}
	}
}

// TestShownIDsAreUnderstood says that what `machines` shows of an id is enough for the other commands.
func TestShownIDsAreUnderstood(t *testing.T) {
	pool := poolDocument{Machines: []machineDocument{
		named("0f1c6b0e-0000-4000-8000-000000000001", "a", ""), named("4f1c6b0e-0000-4000-8000-000000000001", "b", ""),
		named("4f1c6b0e-0000-4000-8000-000000000002", "c", ""), named("4f1c6b0f-0000-4000-8000-000000000002", "d", ""),
	}}
	length := prefixLength(pool.Machines)
	for _, m := range pool.Machines {
		found, err := pool.machine(m.row(length)[6])
		if err != nil || found.ID != m.ID {
			t.Errorf("%s finds %s, %v", m.row(length)[6], found.ID, err)
		}
	}
	if got := prefixLength(pool.Machines[:2]); got != shortestID {
		t.Errorf("%d characters of two ids that differ in the first", got)
	}
	if got := prefixLength(nil); got != shortestID {
		t.Errorf("%d characters of no ids", got)
	}
}

// scriptedServer answers GET /pool with the documents in turn, the last one for ever, and refuses to touch "stuck".
func scriptedServer(t *testing.T, pools ...string) (c *client, posts *[]string) {
	t.Helper()
	posts = &[]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			body, _ := io.ReadAll(r.Body)
			*posts = append(*posts, r.URL.Path+" "+string(body))
			if strings.Contains(string(body), "stuck") {
				w.WriteHeader(http.StatusBadGateway)
				_, _ = io.WriteString(w, `{"message": "vCenter is away"}`)
			}
		case pools[0] == "":
			w.WriteHeader(http.StatusBadGateway)
			pools = pools[1:]
		default:
			_, _ = io.WriteString(w, pools[0])
			pools = pools[min(1, len(pools)-1):]
		}
	}))
	t.Cleanup(server.Close)
	c = &client{base: server.URL, http: server.Client()}
	t.Cleanup(c.close)
	return c, posts
}

func TestChoosingIsAllOrNothing(t *testing.T) {
	const pool = `{"machines": [{"id": "a1", "metadata": {"name": "web-1"}}, {"id": "b1"}]}`
	c, _ := scriptedServer(t, pool)
	chosen, err := choose(t.Context(), c, []string{"web-1", "b", "a1"})
	if err != nil || !slices.Equal(labels(chosen), []string{"web-1", "b1"}) {
		t.Errorf("chosen are %v, %v", labels(chosen), err)
	}
	if chosen, err := choose(t.Context(), c, []string{"web-1", "c"}); exitCode(err) != exitNotFound || chosen != nil {
		t.Errorf("chosen are %v, %v", labels(chosen), err)
	}
	away, _ := scriptedServer(t, "", pool)
	if _, err := choose(t.Context(), away, []string{"web-1"}); exitCode(err) != exitUnreachable {
		t.Errorf("exit code %d: %v", exitCode(err), err)
	}
}

func TestRemovalGoesOnAfterAFailure(t *testing.T) {
	c, posts := scriptedServer(t, "{}")
	err := removal{c, "/pool/terminate", true}.each(t.Context(), []machineDocument{named("stuck", "web-1", ""), named("b", "", "")})
	if exitCode(err) != exitUnreachable || !strings.Contains(err.Error(), "web-1: ") {
		t.Errorf("exit code %d: %v", exitCode(err), err)
	}
	want := []string{
		`/pool/terminate {"machineId":"stuck","decrementDesiredSize":true}`, `/pool/terminate {"machineId":"b","decrementDesiredSize":true}`,
	}
	if !slices.Equal(*posts, want) {
		t.Errorf("posts are %q", *posts)
	}
}

func TestWaitUntilGone(t *testing.T) {
	c, _ := scriptedServer(t,
		`{"machines": [{"id": "a", "machineState": "TERMINATING"}, {"id": "b", "machineState": "TERMINATING"}, {"id": "z"}]}`, "",
		`{"machines": [{"id": "a", "machineState": "TERMINATED"}, {"id": "z"}]}`)
	var said strings.Builder
	chosen := []machineDocument{named("a", "", ""), named("b", "", "")}
	if err := (removal{client: c}).await(t.Context(), newProgress(&said), time.Minute, chosen); err != nil {
		t.Error(err)
	}
	want := "0 of 2 gone\nthe server answered Bad Gateway: no further explanation\n2 of 2 gone\n"
	if got := said.String(); got != want {
		t.Errorf("progress is %q", got)
	}
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := func(context.Context) (bool, error) { return false, nil }
		err := await(t.Context(), time.Minute, "not yet", never)
		if exitCode(err) != exitTimeout || !strings.HasPrefix(err.Error(), "not yet after 1m0s") {
			t.Errorf("exit code %d: %v", exitCode(err), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err = await(ctx, time.Minute, "not yet", never); exitCode(err) != exitError || !strings.HasPrefix(err.Error(), "stopped waiting") {
			t.Errorf("exit code %d: %v", exitCode(err), err)
		}
		pointless := errors.New("pointless")
		err = await(t.Context(), time.Minute, "", func(context.Context) (bool, error) { return false, pointless })
		if !errors.Is(err, pointless) {
			t.Error(err)
		}
		looks := 0
		began := time.Now()
		err = await(t.Context(), time.Minute, "", func(context.Context) (bool, error) { looks++; return looks == 5, nil })
		if took := time.Since(began); err != nil || took != 4*pollInterval {
			t.Errorf("%d looks took %s, %v", looks, took, err)
		}
	})
}

func TestConfirm(t *testing.T) {
	for typed, agreed := range map[string]bool{
		"y\n": true, "Yes\n": true, " y \n": true, "y": true, "n\n": false, "\n": false, "": false, "yesterday\n": false,
	} {
		p, _, stderr := sandbox(t, nil)
		p.stdin = strings.NewReader(typed)
		if err := confirm(t.Context(), p, "Sure?"); (err == nil) != agreed || stderr.String() != "Sure? [y/N] " {
			t.Errorf("%q: %v, asked %q", typed, err, stderr)
		}
	}
	p, _, _ := sandbox(t, nil)
	r, w := io.Pipe()
	defer w.Close()
	p.stdin = r
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := confirm(over, p, "Sure?"); err == nil {
		t.Error("an interrupt is taken for a yes")
	}
}

// TestNobodyToAsk has a pipe, and the null device, as standard input.
func TestNobodyToAsk(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, stdin := range []io.Reader{strings.NewReader("y\n"), null} {
		p, _, stderr := sandbox(t, nil)
		p.stdin = stdin
		if code := run(t.Context(), p, "terminate", "web-1"); code != exitUsage || !strings.Contains(stderr.String(), "--yes") {
			t.Errorf("exit code %d: %s", code, stderr)
		}
	}
}
