package vsphere

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMarkRoundTrip(t *testing.T) {
	text := rapid.StringN(1, 40, -1)
	rapid.Check(t, func(t *rapid.T) {
		m := Mark{
			Pool: text.Draw(t, "pool"), Machine: MachineID(text.Draw(t, "machine")), UUID: text.Draw(t, "uuid"),
			Retiring: rapid.Bool().Draw(t, "retiring"), Attached: rapid.Bool().Draw(t, "attached"),
		}
		got, err := ParseMark(m.String())
		if err != nil || got != m {
			t.Fatalf("%q became %+v, %v", m, got, err)
		}
	})
}

func TestStatusRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Status{
			Service: rapid.StringN(1, 40, -1).Draw(t, "service"), Active: rapid.Bool().Draw(t, "active"),
			Evictable: rapid.Bool().Draw(t, "evictable"), Hold: rapid.Bool().Draw(t, "hold"),
		}
		got, err := ParseStatus(s.String())
		if err != nil || got != s {
			t.Fatalf("%q became %+v, %v", s, got, err)
		}
	})
}

func TestMarksOfOtherVersions(t *testing.T) {
	newer := "v1;pool=web;machine=m;uuid=u;state=active;epoch=7"
	if m, err := ParseMark(newer); err != nil || m.Pool != "web" {
		t.Errorf("%q: %+v, %v", newer, m, err)
	}
	for _, bad := range []string{
		"", "v2;pool=web;machine=m;uuid=u", "v1", "v1;pool=web;machine=m", "v1;pool=;machine=m;uuid=u", "v1;pool=web;machine=m;uuid=%zz",
		"v1;pool",
		strings.Repeat("x", 1000),
	} {
		if m, err := ParseMark(bad); err == nil {
			t.Errorf("%q became %+v", bad, m)
		}
	}
}

func TestOwned(t *testing.T) {
	mark := func(pool, uuid string) *Mark { return &Mark{Pool: pool, Machine: "m", UUID: uuid} }
	for name, row := range map[string]struct {
		vm   VM
		want bool
	}{
		"ours":      {VM{InstanceUUID: "u", Mark: mark("web", "u")}, true},
		"unmarked":  {VM{InstanceUUID: "u"}, false},
		"a copy":    {VM{InstanceUUID: "other", Mark: mark("web", "u")}, false},
		"of others": {VM{InstanceUUID: "u", Mark: mark("db", "u")}, false},
	} {
		if got := row.vm.Owned("web"); got != row.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func FuzzParseMark(f *testing.F) {
	f.Add(Mark{Pool: "web", Machine: "m", UUID: "u"}.String(), "web", "u")
	f.Add(Mark{Pool: "a;b", Machine: " ", UUID: "u", Retiring: true, Attached: true, Writer: Writer{ID: "w%", Epoch: 7}}.String(), "a;b", "u")
	f.Add("v1;pool=a%3Bb;machine=%20;uuid=u;state=retiring;news=1;news=2;pool=c", "c", "u")
	f.Add("v1;pool=web;machine=m;uuid=u;state=;origin=;writer=;epoch=-9223372036854775808", "web", "other")
	f.Add("v2;pool=web;machine=m;uuid=u", "web", "u")
	f.Add("v1;pool=web;machine=m;uuid=u;epoch=99999999999999999999", "web", "u")
	f.Fuzz(func(t *testing.T, s, pool, uuid string) {
		m, err := ParseMark(s)
		if err != nil {
			if len(err.Error()) > 2*len(s)+200 || m != (Mark{}) {
				t.Errorf("%q: %+v, %v", s, m, err)
			}
			return
		}
		text := m.String()
		if again, err := ParseMark(text); err != nil || again != m || again.String() != text {
			t.Errorf("%q: %+v became %+v, %v", s, m, again, err)
		}
		if newer, err := ParseMark(text + ";news=x%3B"); err != nil || newer != m {
			t.Errorf("%q with a newer field: %+v, %v", text, newer, err)
		}
		vm := VM{InstanceUUID: uuid, Mark: &m}
		if vm.Owned(pool) != (m.Pool == pool && m.UUID == uuid) {
			t.Errorf("%q on %q, seen by %q: owned is %t", s, uuid, pool, vm.Owned(pool))
		}
	})
}

func FuzzParseStatus(f *testing.F) {
	f.Add(DefaultStatus().String())
	f.Add("v1;service=IN_SERVICE;active=1;evictable=F;hold=t")
	f.Add("v1;service=%zz;active=true;evictable=true;hold=true")
	f.Add("v1;service=a;active=true;active=x;evictable=true;hold=true;news=1")
	f.Fuzz(func(t *testing.T, s string) {
		status, err := ParseStatus(s)
		if err != nil {
			if status != (Status{}) && status.Service == "" {
				t.Errorf("%q: %+v", s, status)
			}
			return
		}
		text := status.String()
		if again, err := ParseStatus(text); err != nil || again != status || again.String() != text {
			t.Errorf("%q: %+v became %+v, %v", s, status, again, err)
		}
	})
}
