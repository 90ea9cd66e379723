package actors

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"vspherepool/benchmarks/goals"
	"vspherepool/vsphere"
)

// What a pool costs at 10, 100, 1,000 and 10,000 members, of what only the package itself can measure.

var costSizes = []int{10, 100, 1000, 10000}

// BenchmarkCosts measures how costs grow with the number of members.
func BenchmarkCosts(b *testing.B) {
	for _, n := range costSizes {
		for name, s := range planned(b, n) {
			b.Run(fmt.Sprintf("plan-%s-%d", name, n), func(b *testing.B) { goals.Report(b, "ms", passTimes(s)...) })
		}
	}
	readCosts(b)
	restCosts(b)
	changeCosts(b)
}

// planned are supervisors before a pass: at rest, growing to ten times the size, and shrinking to nothing.
func planned(tb testing.TB, n int) map[string]*supervisor {
	tb.Helper()
	return map[string]*supervisor{
		"steady":    crowd(tb, n, n),
		"growing":   crowd(tb, n, 10*n),
		"shrinking": crowd(tb, n, 0),
	}
}

// crowd is a supervisor that has n members, of which every tenth waits for its turn if the pool is to grow, and sees vSphere well.
func crowd(tb testing.TB, n, desired int) *supervisor {
	tb.Helper()
	config, err := ParseConfig([]byte(document))
	if err != nil {
		tb.Fatal(err)
	}
	s := &supervisor{Options: Options{Log: slog.New(slog.DiscardHandler)}, config: &config, provider: newWorld(), loaded: true}
	s.seats = map[vsphere.MachineID]*seat{}
	s.pool = PoolRecord{Started: true, Rebuilt: true, Desired: &desired}
	s.sight.observed = time.Now()
	for i := range n {
		r := memberRecord(i)
		if desired > n && i%10 == 0 {
			r.Phase, r.Launched, r.IPs = requested, time.Time{}, nil
		}
		s.seats[r.ID] = &seat{member: member{rec: r}}
	}
	return s
}

// memberRecord is one of a machine at work, with all that a real one shows.
func memberRecord(i int) record {
	begun := time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC)
	return record{
		ID: vsphere.MachineID(fmt.Sprintf("52d3a1c0-5f0e-4b7e-9d3a-%012x", i)), Name: fmt.Sprintf("web-%08x", i), Phase: running,
		Ref: vsphere.Ref(fmt.Sprintf("VirtualMachine:vm-%d", 1000+i)), Task: vsphere.Task(fmt.Sprintf("Task:task-%d", 1000+i)),
		Source: "VirtualMachine:vm-42", Status: vsphere.DefaultStatus(),
		Requested: begun, Launched: begun.Add(30 * time.Second), PoweredOn: begun.Add(40 * time.Second), Region: "DC0", CPUs: 2, MemoryMiB: 4096,
		Host: fmt.Sprintf("esx-%02d.example.com", i%64), Datastore: "vsan-1",
		IPs: []string{fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255)},
	}
}

// passTimes are those of what a pass decides, in milliseconds.
func passTimes(s *supervisor) []float64 {
	var times []float64
	for range 15 {
		begun := time.Now()
		in := s.planInput()
		s.settleAccounts(in)
		s.noteHolding(in)
		plan(in)
		wakeAt(in)
		times = append(times, float64(time.Since(begun))/float64(time.Millisecond))
	}
	return times
}
