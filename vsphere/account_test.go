package vsphere

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// doorman is a vCenter that knows one password, and what happens at its door.
type doorman struct {
	password string
	refusal  types.AnyType
	about    types.AboutInfo
	// alive: the session is known. deaf: nothing is answered but faults of the network.
	alive, deaf bool
	seen        []string
}

func (d *doorman) RoundTrip(_ context.Context, req, res soap.HasFault) error {
	if d.deaf {
		return io.EOF
	}
	switch body := req.(type) {
	case *methods.LoginBody:
		d.seen = append(d.seen, "login")
		if body.Req.Password != d.password {
			return soapFault(d.refusal)
		}
		d.alive = true
		res.(*methods.LoginBody).Res = &types.LoginResponse{}
	case *methods.RetrieveServiceContentBody:
		d.seen = append(d.seen, "about")
		res.(*methods.RetrieveServiceContentBody).Res = &types.RetrieveServiceContentResponse{Returnval: types.ServiceContent{About: d.about}}
	case *methods.RetrievePropertiesExBody:
		d.seen = append(d.seen, "alive?")
		if !d.alive {
			return soapFault(types.NotAuthenticated{})
		}
		current := types.DynamicProperty{Name: "currentSession", Val: types.UserSession{Key: "key"}}
		page(res, "", types.ObjectContent{Obj: body.Req.SpecSet[0].ObjectSet[0].Obj, PropSet: []types.DynamicProperty{current}})
	}
	return nil
}

func (d *doorman) logins() int {
	return len(slices.DeleteFunc(slices.Clone(d.seen), func(s string) bool { return s != "login" }))
}

func newDoorman() *doorman {
	return &doorman{password: "right", refusal: types.InvalidLogin{}, about: types.AboutInfo{InstanceUuid: "uuid-1", ApiVersion: "8.0.2.0"}}
}

// of is an account at the doorman's.
func (d *doorman) of(password, file string) *account {
	a := &account{
		user: "pool", from: passwordSource{text: password, file: file}, guard: newGuard("salt", vcenterRests), vim: scripted(d),
		vcenter: "uuid-1",
	}
	a.dialect = &dialect{}
	a.dialect.agree(d.about.ApiVersion)
	return a
}

func TestRefusedPasswordRests(t *testing.T) {
	for _, refusal := range []types.AnyType{types.InvalidLogin{}, types.PasswordExpired{}} {
		synctest.Test(t, func(t *testing.T) {
			d := newDoorman()
			d.refusal = refusal
			a := d.of("old", "")
			for range 5 {
				if err := a.login(t.Context()); KindOf(err) != BadLogin {
					t.Fatal(err)
				}
			}
			if d.logins() != 1 {
				t.Fatalf("%d logins with a refused password", d.logins())
			}
			time.Sleep(refusedRest)
			if err := a.login(t.Context()); KindOf(err) != BadLogin || d.logins() != 2 {
				t.Fatalf("%v after %d logins", err, d.logins())
			}
			a.from.text = "right"
			if err := a.login(t.Context()); err != nil || d.logins() != 3 {
				t.Fatalf("%v after %d logins", err, d.logins())
			}
		})
	}
}

func TestSecret(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	a := newDoorman().of("", file)
	for _, row := range []struct {
		content string
		want    string
	}{{"", ""}, {"\n", ""}, {"right\n", "right"}, {" right\r\n", " right"}, {"rotated", "rotated"}} {
		if err := os.WriteFile(file, []byte(row.content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := a.secret()
		if got != row.want || (err == nil) != (row.want != "") {
			t.Errorf("%q: %q, %v", row.content, got, err)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := a.login(t.Context()); KindOf(err) != Misconfigured || !strings.Contains(err.Error(), "passwordFile") {
		t.Error(err)
	}
}

func TestLoginSteps(t *testing.T) {
	for name, row := range map[string]struct {
		opened bool
		edit   func(*doorman)
		want   []string
		kind   Kind
		fails  bool
	}{
		"first":              {false, func(*doorman) {}, []string{"login"}, 0, false},
		"again":              {true, func(*doorman) {}, []string{"alive?", "about", "login"}, 0, false},
		"not lost after all": {true, func(d *doorman) { d.alive = true }, []string{"alive?"}, 0, false},
		"no answer":          {true, func(d *doorman) { d.deaf = true }, nil, Unreachable, true},
		"another vCenter": {
			true, func(d *doorman) { d.about.InstanceUuid = "uuid-2" },
			[]string{"alive?", "about"},
			Misconfigured, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoorman()
			a := d.of("right", "")
			a.opened = row.opened
			row.edit(d)
			err := a.login(t.Context())
			if !slices.Equal(d.seen, row.want) || (err != nil) != row.fails || row.fails && KindOf(wrap("log in", "", err)) != row.kind {
				t.Errorf("%v, %v", d.seen, err)
			}
			for _, uuid := range []string{"uuid-1", "uuid-2"} {
				if name == "another vCenter" && !strings.Contains(err.Error(), uuid) {
					t.Errorf("%v does not name %s", err, uuid)
				}
			}
		})
	}
}

func TestVersionIsAgreedAtEachLogin(t *testing.T) {
	d := newDoorman()
	a := d.of("right", "")
	a.opened = true
	d.about.ApiVersion = "8.0.3.0"
	if err := a.login(t.Context()); err != nil || *a.dialect.action.Load() != "urn:vim25/8.0.3.0" {
		t.Errorf("%v, %s", err, *a.dialect.action.Load())
	}
}

// Two clients of one account are one account.
func TestGuardIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoorman()
		one := d.of("wrong", "")
		two := d.of("wrong", "")
		two.guard = one.guard
		for _, a := range []*account{one, two} {
			if err := a.login(t.Context()); KindOf(err) != BadLogin {
				t.Error(err)
			}
		}
		if d.logins() != 1 {
			t.Errorf("%d logins", d.logins())
		}
		must := one.guard.turn.take(t.Context())
		hasty, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := two.login(hasty); must != nil || KindOf(wrap("log in", "", err)) != Unreachable {
			t.Errorf("a login beside another one: %v", err)
		}
		one.guard.turn.leave()
	})
}
