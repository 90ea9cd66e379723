package benchmarks

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestCloud shows that a pool grows and shrinks on the scripted vCenter as it should, as fast as its delays allow.
func TestCloud(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const members = 45
		c := newCloud(delays{clone: 30 * time.Second, power: time.Second, boot: 10 * time.Second})
		pool := keep(t, c.connect, quick)
		begun := time.Now()
		scale(t, pool, members)
		if c.size() != members {
			t.Errorf("%d VMs for %d members", c.size(), members)
		}
		if took := time.Since(begun); took < 90*time.Second || took > 110*time.Second {
			t.Errorf("three rounds of clones took %v", took)
		}
		scale(t, pool, 0)
		if c.size() != 0 {
			t.Errorf("%d VMs are left", c.size())
		}
	})
}
