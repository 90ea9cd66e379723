package actors

import (
	"testing"
	"time"

	"vspherepool/vsphere"
)

func TestBootsSetThePace(t *testing.T) {
	const longest = time.Second
	begun := time.Now()
	at := func(d time.Duration) time.Time { return begun.Add(d) }
	var b boots
	for _, row := range []struct {
		what    string
		when    time.Duration
		booting []vsphere.Ref
		want    time.Duration
	}{
		{"nothing boots", 0, nil, longest},
		{"the first one, of which nothing is known", 0, []vsphere.Ref{"vm-1"}, quickest},
		{"it takes long", 4 * time.Second, []vsphere.Ref{"vm-1"}, 500 * time.Millisecond},
		{"it is up, another one boots", 4 * time.Second, []vsphere.Ref{"vm-2"}, 500 * time.Millisecond},
		{"that one takes half an hour", 30 * time.Minute, []vsphere.Ref{"vm-2"}, longest},
		{"a quick one", 30 * time.Minute, []vsphere.Ref{"vm-2", "vm-3"}, 500 * time.Millisecond},
		{"is believed at once", 30*time.Minute + 400*time.Millisecond, []vsphere.Ref{"vm-2", "vm-4"}, quickest},
		{"all are up", 31 * time.Minute, nil, longest},
	} {
		b = b.seen(row.booting, at(row.when))
		if got := b.pause(at(row.when), longest); got != row.want {
			t.Errorf("%s: %v, want %v", row.what, got, row.want)
		}
	}
}
