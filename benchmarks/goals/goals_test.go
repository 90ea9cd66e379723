package goals

import "testing"

func TestTable(t *testing.T) {
	seen := map[[2]string]bool{}
	for _, g := range Table {
		key := [2]string{g.Benchmark, g.Unit}
		if seen[key] {
			t.Errorf("%v is there twice", key)
		}
		seen[key] = true
		if g.Text == "" || g.Unit == "" || (g.Bound != AtLeast && g.Bound != AtMost) {
			t.Errorf("%v is incomplete", g)
		}
		if found, ok := Of(g.Benchmark, g.Unit); !ok || found != g {
			t.Errorf("%v is not found", key)
		}
	}
	if _, ok := Of("Reads/size", "bananas"); ok {
		t.Error("a goal that nobody has set")
	}
}

func TestMet(t *testing.T) {
	for _, c := range []struct {
		bound  Bound
		figure float64
		want   bool
	}{{AtLeast, 0.9, true}, {AtLeast, 0.89, false}, {AtMost, 0.9, true}, {AtMost, 0.91, false}} {
		if got := (Goal{Bound: c.bound, Limit: 0.9}).Met(c.figure); got != c.want {
			t.Errorf("%g %s 0.9: %t", c.figure, c.bound, got)
		}
	}
}

func TestMedian(t *testing.T) {
	if got := median([]float64{1, 2, 9}); got != 2 {
		t.Errorf("odd: %g", got)
	}
	if got := median([]float64{1, 2, 4, 9}); got != 3 {
		t.Errorf("even: %g", got)
	}
}
