package vsphere

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func TestCommonVersion(t *testing.T) {
	for _, row := range []struct{ ours, theirs, want string }{
		{"9.1.0.0", "8.0.3.0", "8.0.3.0"},
		{"9.1.0.0", "6.7.3", "6.7.3"},
		{"9.1.0.0", "6.0", "6.0"},
		{"9.1.0.0", "10.0.0.0", "9.1.0.0"},
		{"9.1.0.0", "9.1.0.1", "9.1.0.0"},
		{"9.1.0.0", "9.1.0.0", "9.1.0.0"},
		{"9.1.0.0", "9.1.0.0.1", "9.1.0.0"},
		{"9.1.0.0", "9.1", "9.1"},
		{"9.1.0.0", "", "9.1.0.0"},
		{"9.1.0.0", "8.x", "9.1.0.0"},
		{"9.1.0.0", "-1", "9.1.0.0"},
	} {
		if got := agreed(row.ours, row.theirs); got != row.want {
			t.Errorf("%s and %s: %s", row.ours, row.theirs, got)
		}
	}
}

func TestCommonVersionIsSymmetric(t *testing.T) {
	version := rapid.Custom(func(t *rapid.T) string {
		part := rapid.IntRange(0, 20)
		return fmt.Sprintf("%d.%d.%d.%d", part.Draw(t, "major"), part.Draw(t, "minor"), part.Draw(t, "patch"), part.Draw(t, "build"))
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := version.Draw(t, "a"), version.Draw(t, "b")
		low := agreed(a, b)
		if low != agreed(b, a) || low != a && low != b || agreed(low, a) != low {
			t.Fatalf("%s and %s: %s", a, b, low)
		}
	})
}
