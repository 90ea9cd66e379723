package actors

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

// Whoever reads after a change was acknowledged, or after somebody has read of it, reads of it too.
func TestReadsFollowWrites(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		var newest atomic.Int64
		var over atomic.Bool
		var all sync.WaitGroup
		defer all.Wait()
		defer over.Store(true)
		for range 4 {
			all.Go(func() {
				for !over.Load() {
					readOnce(t, r.pool, &newest)
					runtime.Gosched()
				}
			})
		}
		for n := range 200 {
			r.resize(n)
			learn(&newest, n)
			readOnce(t, r.pool, &newest)
		}
	})
}

// readOnce reads the size that was asked for, which only ever grows, and tells of it.
func readOnce(t *testing.T, p *Pool, newest *atomic.Int64) {
	t.Helper()
	known := newest.Load()
	size, err := p.Size(t.Context())
	if err != nil {
		t.Error(err)
		return
	}
	if int64(size.Requested) < known {
		t.Errorf("read %d after %d was known", size.Requested, known)
	}
	learn(newest, size.Requested)
}

func learn(newest *atomic.Int64, n int) {
	for {
		known := newest.Load()
		if known >= int64(n) || newest.CompareAndSwap(known, int64(n)) {
			return
		}
	}
}

// At rest an answer stands from one sweep to the next, however often it is read.
func TestAnswersStandAtRest(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.grown(20)
		r.after(10 * time.Minute)
		answers := map[*lease]bool{}
		const rest = 10 * time.Minute
		for range rest / (250 * time.Millisecond) {
			r.view()
			answers[r.pool.readers.lease.Load()] = true
			r.after(250 * time.Millisecond)
		}
		if sweeps := int(rest / (30 * time.Second)); len(answers) > sweeps+1 {
			t.Errorf("%d answers in %s, of %d sweeps", len(answers), rest, sweeps)
		}
	})
}

// silent is a vCenter that does not answer sweeps while it is so told, or a provider that panics, once.
type silent struct {
	fusedProvider
	hang, mine *atomic.Bool
}

func (s silent) Sweep(ctx context.Context, elsewhere []vsphere.Ref) (vsphere.Inventory, error) {
	if s.hang.Load() {
		<-ctx.Done()
		return vsphere.Inventory{}, ctx.Err()
	}
	return s.fusedProvider.Sweep(ctx, elsewhere)
}

func (s silent) Site() vsphere.Site {
	if s.mine.CompareAndSwap(true, false) {
		panic("scripted")
	}
	return s.fusedProvider.Site()
}

// silence starts the pool anew behind a silent provider.
func (r *rig) silence() silent {
	r.t.Helper()
	s := silent{hang: &atomic.Bool{}, mine: &atomic.Bool{}}
	r.stop()
	r.wrap = func(p fusedProvider) Provider {
		s.fusedProvider = p
		return s
	}
	r.start()
	r.after(time.Minute)
	return s
}

func TestAnAnswerEndsWhenItIsTooOld(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.grown(3)
		vc := r.silence()
		vc.hang.Store(true)
		read := 0
		for range 8 * 60 {
			r.after(time.Second)
			v, err := r.pool.View(t.Context())
			if KindOf(err) == Unavailable {
				continue
			}
			read++
			if age := time.Since(v.Observed); err != nil || age > 5*time.Minute {
				t.Fatalf("a view of %s ago: %v", age, err)
			}
		}
		if read < 4*60 || read > 5*60 {
			t.Errorf("%d reads", read)
		}
		vc.hang.Store(false)
		r.after(5 * time.Minute)
		r.view()
	})
}

// The timer takes an answer back even if the supervisor hangs.
func TestAnAnswerNeedsNoSupervisorToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLease(View{Observed: time.Now().Add(-time.Minute)}, 5*time.Minute)
		v := views{lease: l}
		time.Sleep(4*time.Minute - 1)
		if !l.holds() {
			t.Error("over too early")
		}
		v.suspend()
		time.Sleep(time.Second)
		if l.holds() || l.state.CompareAndSwap(leaseSuspended, leaseHolds) {
			t.Error("an answer that is too old may be given again")
		}
	})
}

func TestAPanicTakesTheAnswerBack(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.grown(3)
		r.config = document + "poolUpdate: {updateInterval: 7s}\n" // passes come between sweeps, and panic without having learned anything
		vc := r.silence()
		before := r.view()
		var given *lease
		vc.mine.Store(true)
		for vc.mine.Load() {
			r.view()
			given = r.pool.readers.lease.Load()
			r.after(100 * time.Millisecond)
		}
		if given.holds() {
			t.Error("the answer of a supervisor that panicked stands")
		}
		r.after(time.Minute)
		if after := r.view(); after.Epoch == before.Epoch || len(after.Machines) != 3 {
			t.Errorf("%s after %s: %d machines", after.Epoch, before.Epoch, len(after.Machines))
		}
	})
}

// Those who ask at the same time share one question, until somebody has begun to answer it.
func TestInquiriesAreShared(t *testing.T) {
	r := &readers{}
	first, fresh := r.join()
	if again, both := r.join(); !fresh || both || again != first {
		t.Error("two questions at once")
	}
	first.close()
	second, fresh := r.join()
	if !fresh || second == first {
		t.Error("a question that is being answered is joined")
	}
	first.close()
	if again, _ := r.join(); again != second {
		t.Error("an earlier question ends the sharing of a later one")
	}
}

// deaf takes messages and never answers.
type deaf struct{}

func (deaf) Receive(actor.Context) {}

func TestALostInquiryIsAskedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		nobody := r.pool.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return deaf{} }))
		others := &readers{over: make(chan struct{})}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := others.inquire(ctx, r.pool.system.Root, nobody); !errors.Is(err, actor.ErrTimeout) || KindOf(err) != Unavailable {
			t.Error(err)
		}
		if _, err := others.inquire(t.Context(), r.pool.system.Root, r.pool.supervisor); err != nil {
			t.Error(err)
		}
		r.pool.system.Root.Stop(nobody)
		others.dismiss()
		others.dismiss()
		begun := time.Now()
		if _, err := others.inquire(t.Context(), r.pool.system.Root, nobody); KindOf(err) != Unavailable || time.Since(begun) > 0 {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
	})
}

// TestNobodyAsksASupervisorThatIsGone has it end outside of a shutdown, as it does after too many panics.
func TestNobodyAsksASupervisorThatIsGone(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.resize(1)
		r.after(time.Minute)
		r.view()
		if err := r.pool.end("supervisor", r.pool.supervisor); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := r.pool.View(t.Context()); KindOf(err) != Unavailable {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("that took %v", took)
		}
		r.pool.ops.close(t.Context())
		r.pool.recorderOp.close(t.Context())
		r.fuse.blow()
		r.start()
	})
}
