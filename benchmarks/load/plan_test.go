package load

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSchedule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := schedule{rapid.Float64Range(0.01, 100_000).Draw(t, "rate"), 10 * time.Second}
		i := rapid.Int64Range(0, 100_000).Draw(t, "request")
		if s.due(0) != 0 {
			t.Errorf("the first is due after %s", s.due(0))
		}
		gap := s.due(i+1) - s.due(i)
		if want := time.Duration(float64(time.Second) / s.rate); gap < want-time.Microsecond || gap > want+time.Microsecond {
			t.Errorf("%s between two, and not %s", gap, want)
		}
		at := time.Duration(rapid.Int64Range(-1, int64(12*time.Second)).Draw(t, "time"))
		n := s.until(at)
		if bound := min(at, s.end); n > 0 && s.due(n-1) >= bound || n >= 0 && s.due(n) < bound {
			t.Errorf("%d until %s: the last at %s, the next one at %s", n, at, s.due(n-1), s.due(n))
		}
	})
	if n := (schedule{}).until(time.Second); n != 0 {
		t.Errorf("%d without a rate", n)
	}
	if n := (schedule{100, 2 * time.Second}).until(time.Hour); n != 200 {
		t.Errorf("%d of 200", n)
	}
}

func TestRound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 50), 1, 5).Draw(t, "weights")
		var mix Mix
		total := 0
		for _, w := range weights {
			mix, total = append(mix, Share{Weight: w}), total+w
		}
		round := mix.round()
		if len(round) != total {
			t.Fatalf("%d of %d", len(round), total)
		}
		counts := make([]int, len(weights))
		for turn, i := range round {
			counts[i]++
			for j, w := range weights {
				// Until now, each has had about its share.
				ideal := float64(w) * float64(turn+1) / float64(total)
				if math.Abs(ideal-float64(counts[j])) > float64(len(weights)) {
					t.Errorf("%d: %d of %g", j, counts[j], ideal)
				}
			}
		}
		if !slices.Equal(counts, weights) {
			t.Errorf("%v, and not %v", counts, weights)
		}
	})
	if got := (Mix{{"size", 3}, {"pool", 1}}).round(); !slices.Equal(got, []int{0, 0, 1, 0}) {
		t.Errorf("not spread: %v", got)
	}
}

func TestParseMix(t *testing.T) {
	mix, err := ParseMix("size=80, pool=15,pool-304")
	if err != nil || !slices.Equal(mix, Mix{{"size", 80}, {"pool", 15}, {"pool-304", 1}}) {
		t.Errorf("%v, %v", mix, err)
	}
	if !mix.Has("pool") || mix.Has(Resize) {
		t.Error("it does not know what it has")
	}
	for text, want := range map[string]string{
		"":                "pool, pool-304, pool-gzip, resize, size",
		"sizes=1":         `no operation "sizes"`,
		"size=0":          "from 1 to 10000",
		"size=-1":         "from 1 to 10000",
		"size=x":          "from 1 to 10000",
		"size=10001":      "from 1 to 10000",
		"size=1,size=2":   "twice",
		"size=1,,pool=20": `no operation ""`,
	} {
		if mix, err := ParseMix(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", text, mix, err)
		}
	}
}

func FuzzParseMix(f *testing.F) {
	f.Add("size=80,pool=15,pool-gzip=3,pool-304=1,resize=1")
	f.Fuzz(func(t *testing.T, text string) {
		mix, err := ParseMix(text)
		if err != nil {
			return
		}
		for _, s := range mix {
			if s.Weight < 1 || s.Weight > maxWeight {
				t.Errorf("%q: %v", text, mix)
			}
		}
		if len(mix) == 0 || len(mix) > len(operations) {
			t.Errorf("%q: %v", text, mix)
		}
	})
}
