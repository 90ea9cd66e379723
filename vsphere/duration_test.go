package vsphere

import (
	"encoding/json"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`"30s"`:                           30 * time.Second,
		`"1h30m"`:                         90 * time.Minute,
		`{"time": 30, "unit": "seconds"}`: 30 * time.Second,
		`{"time": 2, "unit": "MINUTES"}`:  2 * time.Minute,
		`{"time": 1, "unit": "Days"}`:     24 * time.Hour,
		`{"time": 0, "unit": "hours"}`:    0,
	} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err != nil || d.Std() != want {
			t.Errorf("%s: %v, %v", text, d.Std(), err)
		}
		b, err := json.Marshal(d)
		var again Duration
		if err != nil || json.Unmarshal(b, &again) != nil || again != d {
			t.Errorf("%s became %s, %v", text, b, err)
		}
	}
}

func TestNoDuration(t *testing.T) {
	for _, text := range []string{
		`30`, `"30"`, `"soon"`, `""`, `{}`, `{"time": 1}`, `{"unit": "seconds"}`,
		`{"time": 1, "unit": "fortnights"}`, `{"time": 1.5, "unit": "hours"}`,
		`{"time": 9223372036854775807, "unit": "days"}`, `null`, `[]`, `true`,
	} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s became %v", text, d.Std())
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, text := range []string{
		`"30s"`, `{"time":30,"unit":"seconds"}`, `{"time":-9223372036854775808,"unit":"NANOSECONDS"}`, `"2562047h47m16.854775807s"`,
		`{"time":106751,"unit":"days"}`, `{"time":106752,"unit":"days"}`, `{"TIME":1,"unit":"days"}`, `"-1h"`, `1e9`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var d, again Duration
		if err := d.UnmarshalJSON(text); err != nil {
			if len(err.Error()) > 300 || d != 0 {
				t.Errorf("%q: %v, %v", text, d, err)
			}
			return
		}
		written, err := d.MarshalJSON()
		if err != nil || again.UnmarshalJSON(written) != nil || again != d {
			t.Errorf("%q is %v, written %s, read as %v", text, d.Std(), written, again.Std())
		}
	})
}
