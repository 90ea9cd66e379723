package actors

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestChangesTellBeforeAndAfter asks a pool for one change after the other: each finds what the one before it left.
func TestChangesTellBeforeAndAfter(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		r.resize(3)
		r.after(10 * time.Minute)
		id := string(r.expect(Running, 3)[0].ID)
		told := func(name string, got any, err error, want any) {
			t.Helper()
			if err != nil || got != want {
				t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
			}
		}
		size, err := r.pool.Resize(ctx, 5)
		told("resize", size, err, Changed[int]{3, 5})
		size, err = r.pool.Resize(ctx, 5)
		told("resize again", size, err, Changed[int]{5, 5})
		state, err := r.pool.SetServiceState(ctx, id, OutOfService, true)
		told("out of service", state, err, Changed[Service]{Service{State: UnknownState}, Service{OutOfService, true}})
		state, err = r.pool.SetServiceState(ctx, id, InService, true)
		told("in service", state, err, Changed[Service]{Service{OutOfService, true}, Service{InService, false}})
		member, err := r.pool.SetMembership(ctx, id, Membership{Active: true})
		told("protect", member, err, Changed[Membership]{Membership{true, true}, Membership{true, false}})
		member, err = r.pool.SetMembership(ctx, id, Membership{Active: true, Evictable: true})
		told("unprotect", member, err, Changed[Membership]{Membership{true, false}, Membership{true, true}})
		size, err = r.pool.Terminate(ctx, id, true)
		told("terminate", size, err, Changed[int]{5, 4})
		gone := r.in(Running)[0]
		size, err = r.pool.Detach(ctx, string(gone.ID), false)
		told("detach", size, err, Changed[int]{4, 4})
		size, err = r.pool.Attach(ctx, gone.Metadata.VM)
		told("attach", size, err, Changed[int]{4, 5})
		size, err = r.pool.Attach(ctx, gone.Metadata.VM)
		told("attach again", size, err, Changed[int]{5, 5})
		flag, err := r.pool.Freeze(ctx, "maintenance")
		told("freeze", flag, err, Changed[bool]{false, true})
		flag, err = r.pool.Thaw(ctx, false)
		told("thaw", flag, err, Changed[bool]{true, false})
		flag, err = r.pool.Stop(ctx)
		told("stop", flag, err, Changed[bool]{true, false})
		flag, err = r.pool.Start(ctx)
		told("start", flag, err, Changed[bool]{false, true})
		flag, err = r.pool.Start(ctx)
		told("start again", flag, err, Changed[bool]{true, true})
		config, err := r.pool.Configure(ctx, []byte(strings.Replace(document, "password: p", "password: q", 1)+"retention: 20m\n"))
		if want := []string{"cloudApiSettings.password", "retention"}; err != nil || !slices.Equal(config.Paths, want) ||
			config.Before == config.After || config.Before == "" {
			t.Errorf("configure: %+v, %v", config, err)
		}
	})
}

func TestReconfigured(t *testing.T) {
	tests := map[string]struct {
		before, after, paths string
		same                 bool
	}{
		"first":          {"", `{"name": "web"}`, "name", false},
		"none":           {`{"name": "web"}`, "name: web", "", true},
		"secret only":    {`{"a": {"password": "p"}}`, `{"a": {"password": "q"}}`, "a.password", true},
		"added, removed": {`{"a": {"b": 1, "c": 2}}`, `{"a": {"c": 2, "d": {"e": 1}}}`, "a.b a.d.e", false},
		"lists":          {`{"a": [1, 2]}`, `{"a": [1, 3]}`, "a", true}, // masked: nothing here has such a key
		"kinds":          {`{"name": {"b": 1}}`, `{"name": 3}`, "name", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := reconfigured([]byte(test.before), []byte(test.after))
			if strings.Join(got.Paths, " ") != test.paths || (got.Before == got.After) != test.same {
				t.Errorf("%+v", got)
			}
		})
	}
}
