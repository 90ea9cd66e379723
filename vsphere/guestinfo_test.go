package vsphere

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Data arrives as it was, also if it is encoded already.
func TestGuestinfoIsEncodedOnce(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 1, 2000).Draw(r, "data")
		for range rapid.IntRange(0, 3).Draw(r, "encodings") {
			data = []byte(base64.StdEncoding.EncodeToString(data))
		}
		encoded, err := CloudInit{UserData: string(data)}.userData()
		if err != nil {
			r.Fatal(err)
		}
		if got := decodeGuestinfo(t, encoded); !bytes.Equal(got, data) {
			r.Fatalf("%q became %q", data, got)
		}
	})
}

func TestUserDataFileIsExact(t *testing.T) {
	file := filepath.Join(t.TempDir(), "user-data")
	data := []byte("#cloud-config\r\n\xff\xfe\x00 {{.Name}}\n\n")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	_, extra := build(t, place(t, Template{CloudInit: CloudInit{UserDataFile: file}}))
	if got := decodeGuestinfo(t, extra["guestinfo.userdata"]); !bytes.Equal(got, data) {
		t.Errorf("%q", got)
	}
}

func TestIgnition(t *testing.T) {
	const document = "{\n  \"ignition\": {\"version\": \"3.4.0\"}\n}\n"
	file := filepath.Join(t.TempDir(), "config.ign")
	if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ignition := range []Ignition{{Config: document}, {ConfigFile: file}} {
		_, extra := build(t, place(t, Template{Ignition: ignition}))
		if got := string(decodeGuestinfo(t, extra["guestinfo.ignition.config.data"])); got != document {
			t.Errorf("%q", got)
		}
		if extra["guestinfo.ignition.config.data.encoding"] != "gzip+base64" || extra["guestinfo.metadata"] != "" || len(extra) != 4 {
			t.Errorf("%v", extra)
		}
	}
	for name, row := range map[string]Template{
		"butane":         {Ignition: Ignition{Config: "variant: fcos"}},
		"no file":        {Ignition: Ignition{ConfigFile: file + "x"}},
		"with cloudInit": {Ignition: Ignition{Config: document}, CloudInit: CloudInit{Hostname: "a"}},
		"too long":       {Ignition: Ignition{Config: `"` + noise(guestinfoLimit) + `"`}},
	} {
		if _, err := newPlacement("web", row); KindOf(err) != Misconfigured {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// noise is text that does not compress well.
func noise(n int) string {
	var b strings.Builder
	for x := uint32(1); b.Len() < n; {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b.WriteByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[x>>8&63])
	}
	return b.String()
}

func TestExtraConfigHasLimits(t *testing.T) {
	many := map[string]string{}
	for key := range strings.FieldsSeq("a b c d e f g h i") {
		many[key] = strings.Repeat("x", 60<<10)
	}
	for name, row := range map[string]struct {
		extra   map[string]string
		refused string
	}{
		"long, not for the guest": {extra: map[string]string{"a": strings.Repeat("x", 100<<10)}},
		"fits the guest":          {extra: map[string]string{"guestinfo.a": strings.Repeat("x", guestinfoLimit)}},
		"too long for the guest":  {extra: map[string]string{"guestinfo.a": strings.Repeat("x", guestinfoLimit+1)}, refused: "guestinfo.a"},
		"too much for a VMX":      {extra: many, refused: "shorten extraConfig"},
	} {
		_, err := newPlacement("web", Template{ExtraConfig: row.extra})
		if row.refused == "" && err != nil || row.refused != "" && (KindOf(err) != Misconfigured || !strings.Contains(err.Error(), row.refused)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
