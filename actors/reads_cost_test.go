package actors

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"vspherepool/benchmarks/goals"
)

// What readers cost the pool.

func readCosts(b *testing.B) {
	b.Helper()
	for _, n := range costSizes {
		s := exhibited(b, n)
		b.Run(fmt.Sprintf("view-%d", n), func(b *testing.B) { goals.Report(b, "µs", times(func(i int) { s.glanceAfterChange(i) })...) })
		b.Run(fmt.Sprintf("status-%d", n), func(b *testing.B) { goals.Report(b, "µs", times(func(int) { s.standing() })...) })
	}
	b.Run("leased-read", func(b *testing.B) { goals.Report(b, "allocs/read", leasedAllocations(b)) })
	b.Run("view-growth", func(b *testing.B) { goals.Report(b, "B/member", viewGrowth(b)) })
}

// exhibited is a crowd with a view.
func exhibited(tb testing.TB, n int) *supervisor {
	tb.Helper()
	s := crowd(tb, n, n)
	s.views = newViews(time.Now())
	for id := range s.seats {
		s.views.touch(id)
	}
	s.view()
	return s
}

// glanceAfterChange is one change of one member, and a look at the pool.
func (s *supervisor) glanceAfterChange(i int) View {
	seat := s.seats[memberRecord(i*7919%len(s.seats)).ID]
	rec := seat.rec
	rec.Error = fmt.Sprint("trouble ", i)
	s.note(seat, rec)
	return s.view()
}

// times are those of some runs, in microseconds.
func times(run func(i int)) []float64 {
	var took []float64
	for i := range 25 {
		begun := time.Now()
		run(i)
		took = append(took, float64(time.Since(begun))/float64(time.Microsecond))
	}
	return took
}

// viewGrowth is how many bytes more a look after a change allocates for each member that has not changed.
func viewGrowth(tb testing.TB) float64 {
	tb.Helper()
	const small, large = 1000, 10_000
	return (viewBytes(exhibited(tb, large)) - viewBytes(exhibited(tb, small))) / (large - small)
}

func viewBytes(s *supervisor) float64 {
	const looks = 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range looks {
		s.glanceAfterChange(i)
	}
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc-before.TotalAlloc) / looks
}

func TestAViewCostsWhatHasChanged(t *testing.T) {
	goals.Check(t, "Costs/view-growth", "B/member", viewGrowth(t))
}

func TestALeasedReadAllocatesNothing(t *testing.T) {
	goals.Check(t, "Costs/leased-read", "allocs/read", leasedAllocations(t))
}

// leasedAllocations are those of a View and a Size on an answer that stands.
func leasedAllocations(tb testing.TB) float64 {
	tb.Helper()
	s, ctx := exhibited(tb, 1000), tb.Context()
	p := &Pool{}
	p.readers.lease.Store(newLease(s.view(), time.Hour))
	defer p.readers.lease.Load().stop()
	return testing.AllocsPerRun(1000, func() {
		v, err := p.View(ctx)
		size, sizeErr := p.Size(ctx)
		if err != nil || sizeErr != nil || size != v.Size {
			tb.Error(err, sizeErr, size)
		}
	})
}
