package actors

import (
	"time"

	"vspherepool/vsphere"
)

// boots is what the observer knows of the machines that boot: since when each does, and how long boots took lately, the shorter ones
// rather. A value; every method returns the next one.
type boots struct {
	since map[vsphere.Ref]time.Time
	usual time.Duration
	// youngest is when the latest boot began.
	youngest time.Time
}

const (
	// quickest is the shortest pause between two looks at machines that boot. bootPart is the part of a boot, as long as they usually
	// take, that passes between two: what takes long need not be looked at often.
	quickest = 100 * time.Millisecond
	bootPart = 8
)

// seen takes in which machines boot now.
func (b boots) seen(booting []vsphere.Ref, now time.Time) boots {
	next := boots{since: make(map[vsphere.Ref]time.Time, len(booting)), usual: b.usual}
	for _, ref := range booting {
		since, known := b.since[ref]
		if !known {
			since = now
		}
		next.since[ref] = since
		if since.After(next.youngest) {
			next.youngest = since
		}
	}
	for ref, since := range b.since {
		if _, still := next.since[ref]; !still {
			next = next.took(now.Sub(since))
		}
	}
	return next
}

// took notes how long a boot took. Longer ones are believed slowly.
func (b boots) took(d time.Duration) boots {
	if b.usual == 0 || d < b.usual {
		b.usual = d
	} else {
		b.usual += (d - b.usual) / bootPart
	}
	return b
}

// pause is the time between two looks, the longest one while nothing boots.
func (b boots) pause(now time.Time, longest time.Duration) time.Duration {
	if len(b.since) == 0 {
		return longest
	}
	pause, age := b.usual/bootPart, now.Sub(b.youngest)
	if b.usual == 0 || age > 2*b.usual {
		pause = age / bootPart
	}
	return min(max(pause, quickest), longest)
}
