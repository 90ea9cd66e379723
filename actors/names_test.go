package actors

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"vspherepool/vsphere"
)

// Names of one template have one length, whatever the id and however often they were taken, so that what is checked on a sample holds;
// those of a machine whose name was taken differ from all before.
func TestNamesKeepTheirLength(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		nameTemplate := rapid.SampledFrom([]string{"{{.Pool}}-{{.Short}}", "{{.Short}}", "{{.Pool}}{{.ID}}", "vm-{{.ID}}"}).Draw(r, "template")
		id := func() vsphere.MachineID {
			return vsphere.MachineID(rapid.StringMatching(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`).Draw(r, "id"))
		}
		one, other := id(), id()
		seen := map[string]bool{}
		for attempt := range 5 {
			name, err := nameOf(nameTemplate, "web", one, attempt)
			if err != nil || seen[name] {
				r.Fatalf("attempt %d: %q again, %v", attempt, name, err)
			}
			seen[name] = true
			if same, _ := nameOf(nameTemplate, "web", other, attempt); utf8.RuneCountInString(same) != utf8.RuneCountInString(name) {
				r.Fatalf("%q and %q", name, same)
			}
		}
	})
}

func TestNamesAreNotCut(t *testing.T) {
	pool := strings.Repeat("p", 200)
	if name, err := nameOf("{{.Pool}}-{{.Short}}", pool, sampleMachines[0], 0); err != nil || name != pool+"-01234567" {
		t.Errorf("%q, %v", name, err)
	}
}
