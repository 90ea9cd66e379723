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
	f.Add(Mark{Pool: "web", Machine: "m", UUID: "u"}.String())
	f.Add("v1;pool=a%3Bb;machine=%20;uuid=u;state=retiring")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMark(s)
		if err != nil {
			return
		}
		if again, err := ParseMark(m.String()); err != nil || again != m {
			t.Errorf("%q: %+v became %+v, %v", s, m, again, err)
		}
	})
}

func FuzzParseStatus(f *testing.F) {
	f.Add(DefaultStatus().String())
	f.Add("v1;service=IN_SERVICE;active=1;evictable=F;hold=t")
	f.Fuzz(func(t *testing.T, s string) {
		status, err := ParseStatus(s)
		if err != nil {
			return
		}
		if again, err := ParseStatus(status.String()); err != nil || again != status {
			t.Errorf("%q: %+v became %+v, %v", s, status, again, err)
		}
	})
}
