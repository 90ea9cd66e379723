package actors

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"vspherepool/vsphere"
)

func TestBreakerPausesThenLetsOneCanaryThrough(t *testing.T) {
	var b breaker
	if got := b.allowance(noon); got != unlimited {
		t.Fatalf("without failures: %d", got)
	}
	b = b.failed(noon, vsphere.Storage, "datastore full", 0)
	if got := b.allowance(noon.Add(14 * time.Second)); got != 0 {
		t.Errorf("during the pause: %d", got)
	}
	if got := b.allowance(noon.Add(15 * time.Second)); got != 1 {
		t.Errorf("after the pause: %d", got)
	}
	if got := b.succeeded().allowance(noon); got != unlimited {
		t.Errorf("after a success: %d", got)
	}
}

func TestFailuresUnderWayDoNotLengthenThePause(t *testing.T) {
	b := breaker{}.failed(noon, vsphere.Storage, "full", 0)
	for range 7 {
		b = b.failed(noon.Add(time.Second), vsphere.Storage, "full", 0)
	}
	if b.fails != 1 || !b.until.Equal(noon.Add(15*time.Second)) {
		t.Errorf("%d failures, until %s", b.fails, b.until)
	}
}

func TestAnotherCauseStartsAnew(t *testing.T) {
	b := breaker{}.failed(noon, vsphere.Storage, "full", 0).failed(noon.Add(time.Minute), vsphere.Storage, "full", 0)
	b = b.failed(noon.Add(2*time.Minute), vsphere.Forbidden, "no privilege", 0)
	if b.fails != 1 || b.message != "no privilege" {
		t.Errorf("%+v", b)
	}
}

func TestThreeMachinesThatNeverBootSuspectTheTemplate(t *testing.T) {
	var b breaker
	for i := range bootFailureLimit {
		if b.open() {
			t.Fatalf("open after %d", i)
		}
		b = b.bootFailed(noon, "no address", 0)
	}
	if !b.open() || b.allowance(noon) != 0 || b.allowance(noon.Add(time.Minute)) != 1 {
		t.Errorf("%+v", b)
	}
}

func TestBackoffProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := time.Duration(rapid.IntRange(1, 600).Draw(t, "first")) * time.Second
		attempt := rapid.IntRange(1, 1000).Draw(t, "attempt")
		jitter := rapid.Float64Range(0, 0.999).Draw(t, "jitter")
		d := backoff(first, attempt, jitter)
		if d <= 0 || d > backoffCap {
			t.Fatalf("pause %s", d)
		}
		if longer := backoff(first, attempt+1, jitter); longer < d {
			t.Fatalf("attempt %d pauses %s, the next one %s", attempt, d, longer)
		}
	})
}
