package actors

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vspherepool/vsphere"
)

var errNoSpace = errors.New("no space left on device")

// breakJournal makes writes fail; nil mends it.
func (r *rig) breakJournal(err error) {
	r.journal.mu.Lock()
	defer r.journal.mu.Unlock()
	r.journal.broken = err
}

// acts counts the calls that change something in vSphere.
func (r *rig) acts() int {
	n := 0
	for _, op := range []string{"clone", "powerOn", "shutdown", "powerOff", "destroy", "write", "claim"} {
		n += r.world.called(op)
	}
	return n
}

// witness checks that what is asked of vSphere for a machine is called for by its record, as the journal has it at that moment.
type witness struct {
	fusedProvider
	journal *memory
}

func (w witness) record(op string, id vsphere.MachineID, allowed ...phase) {
	state, err := w.journal.Load()
	if err != nil {
		w.accuse(err.Error())
		return
	}
	for _, r := range state.Machines {
		for _, p := range allowed {
			if r.ID == id && r.Phase == p {
				return
			}
		}
	}
	w.accuse(fmt.Sprintf("%s of %s is not called for by its record", op, id))
}

func (w witness) accuse(crime string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.crimes = append(w.crimes, crime)
}

func (w witness) Clone(ctx context.Context, o vsphere.CloneOrder) (vsphere.Task, error) {
	w.record("clone", o.ID, cloning)
	return w.fusedProvider.Clone(ctx, o)
}

func (w witness) PowerOn(ctx context.Context, o vsphere.Ownership) error {
	w.record("power-on", o.Machine, starting)
	return w.fusedProvider.PowerOn(ctx, o)
}

func (w witness) ShutdownGuest(ctx context.Context, o vsphere.Ownership) error {
	w.record("shutdown", o.Machine, stopping)
	return w.fusedProvider.ShutdownGuest(ctx, o)
}

func (w witness) PowerOff(ctx context.Context, o vsphere.Ownership) error {
	w.record("power-off", o.Machine, halting, removing)
	return w.fusedProvider.PowerOff(ctx, o)
}

func (w witness) Destroy(ctx context.Context, o vsphere.Ownership) error {
	w.record("destroy", o.Machine, destroying, removing)
	return w.fusedProvider.Destroy(ctx, o)
}

// A disk that is full at any moment of a launch or a scale-in keeps everything from being begun, and costs nothing.
func TestAFullDiskAtAnyMoment(t *testing.T) {
	for second := range 45 {
		t.Run(fmt.Sprintf("after %d s", second), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.crash()
				r.wrap = func(p fusedProvider) Provider { return witness{p, r.journal} }
				r.start()
				size := 4 * (second % 2)
				if size == 0 {
					r.grown(4)
				}
				r.resize(size)
				r.after(time.Duration(second) * time.Second)
				r.breakJournal(errNoSpace)
				r.after(3 * time.Second) // what was called for is asked for
				before, tasks := r.acts(), r.world.clones()
				r.after(10 * time.Minute)
				if now := r.acts(); now != before {
					t.Errorf("%d calls without a record", now-before)
				}
				if size := r.view().Size; size.Observed.Before(time.Now().Add(-time.Minute)) {
					t.Error("the pool does not watch any more")
				}
				r.breakJournal(nil)
				r.after(4 * time.Minute)
				r.expect(Running, size)
				if n := r.world.count(); n != size {
					t.Errorf("%d VMs for %d machines", n, size)
				}
				if tasks > 4 || r.world.clones() != 4 {
					t.Errorf("%d clones were made", r.world.clones())
				}
			})
		})
	}
}

// Random histories in which the disk fills up now and then end as asked, and nothing is ever done without a record.
func TestChaosOfDisks(t *testing.T) {
	for seed := range uint64(15) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			inBubble(t, func(_ *testing.T, r *rig) {
				r.crash()
				r.wrap = func(p fusedProvider) Provider { return witness{p, r.journal} }
				r.start()
				c := chaos{rig: r, rnd: rand.New(rand.NewPCG(seed, 7))}
				for range 60 {
					switch c.rnd.IntN(8) {
					case 0:
						r.breakJournal(errNoSpace)
					case 1, 2:
						r.breakJournal(nil)
					default:
						c.act()
					}
					r.after(time.Duration(c.rnd.IntN(20)) * time.Second)
				}
				r.breakJournal(nil)
				r.world.setDown(nil)
				r.after(2 * time.Minute)
				c.desired = r.view().Size.Desired // a machine whose leaving could not be recorded leaves it as it was
				c.peace()
			})
		})
	}
}

func TestARequestThatCannotBeRecordedIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		refs := r.grown(2)
		m := r.expect(Running, 2)[0]
		r.breakJournal(errNoSpace)
		_, _ = r.pool.Resize(t.Context(), 9) // finds out
		r.after(time.Second)
		before := r.acts()
		ctx, id := t.Context(), string(m.ID)
		requests := map[string]func() error{
			"resize":     func() error { _, err := r.pool.Resize(ctx, 5); return err },
			"terminate":  func() error { _, err := r.pool.Terminate(ctx, id, true); return err },
			"detach":     func() error { _, err := r.pool.Detach(ctx, id, true); return err },
			"attach":     func() error { _, err := r.pool.Attach(ctx, "vm-77"); return err },
			"service":    func() error { _, err := r.pool.SetServiceState(ctx, id, InService, false); return err },
			"membership": func() error { _, err := r.pool.SetMembership(ctx, id, Membership{Active: true}); return err },
			"configure":  func() error { _, err := r.pool.Configure(ctx, []byte(document+"desiredSize: 7\n")); return err },
			"stop":       func() error { _, err := r.pool.Stop(ctx); return err },
			"freeze":     func() error { _, err := r.pool.Freeze(ctx, "x"); return err },
		}
		for name, request := range requests {
			if err := request(); KindOf(err) != Internal || !strings.Contains(err.Error(), "nothing was changed") ||
				!strings.Contains(err.Error(), "no space left") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := r.pool.Resize(ctx, 2); err != nil {
			t.Errorf("the size that is recorded already was refused: %v", err)
		}
		if r.acts() != before || r.world.vm(refs[0]) == nil || r.view().Size.Desired != 2 {
			t.Errorf("something was changed: %+v", r.view().Size)
		}
		r.breakJournal(nil)
		r.after(20 * time.Second)
		r.resize(3)
		r.after(time.Minute)
		r.expect(Running, 3)
	})
}

// One outage is one line, however often it is tried to write, and shows in the status until it is over.
func TestAnOutageOfTheJournalIsToldOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		refs := r.grown(3)
		r.breakJournal(errNoSpace)
		for _, ref := range refs {
			r.world.turnOff(ref)
		}
		r.after(30 * time.Minute)
		st := r.status()
		if !strings.Contains(st.Journal, "no space left") || st.Blocked != st.Journal || !strings.Contains(st.Frozen, st.Journal) {
			t.Errorf("%+v", st)
		}
		if text := r.log.String(); strings.Count(text, "no space left") > 2 || !strings.Contains(text, "journal cannot be written") {
			t.Errorf("it is told too often, or not at all:\n%s", text)
		}
		r.breakJournal(nil)
		r.after(longestProbe + time.Second)
		if st := r.status(); st.Journal != "" || st.Blocked != "" {
			t.Errorf("%+v", st)
		}
		if !strings.Contains(r.log.String(), "journal can be written again") {
			t.Error("the end is not told")
		}
		r.after(30 * time.Minute)
		r.expect(Running, 3)
	})
}

// A write that hangs is told of as one that fails, callers are answered within their time, and readers at once.
func TestAWriteThatHangs(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.grown(2)
		release := make(chan struct{})
		r.journal.mu.Lock()
		r.journal.hang = release
		r.journal.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begun := time.Now()
		if _, err := r.pool.Resize(ctx, 3); KindOf(err) != Unavailable || time.Since(begun) > 11*time.Second {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		if st := r.status(); !strings.Contains(st.Blocked, "does not end") {
			t.Errorf("%+v", st)
		}
		if _, err := r.pool.Terminate(t.Context(), string(r.expect(Running, 2)[0].ID), false); KindOf(err) != Internal {
			t.Errorf("%v", err)
		}
		r.after(10 * time.Minute)
		r.expect(Running, 2)
		r.journal.mu.Lock()
		r.journal.hang = nil
		r.journal.mu.Unlock()
		close(release)
		r.after(2 * time.Minute)
		r.expect(Running, 3) // the size that was asked for: nobody said that it was not
		if st := r.status(); st.Journal != "" {
			t.Errorf("%+v", st)
		}
	})
}

func TestAShutdownDoesNotWaitForAWriteThatHangs(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		release := make(chan struct{})
		r.journal.mu.Lock()
		r.journal.hang = release
		r.journal.mu.Unlock()
		answered := make(chan error, 1)
		go func() {
			_, err := r.pool.Resize(t.Context(), 1)
			answered <- err
		}()
		r.after(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begun := time.Now()
		if err := r.pool.Shutdown(ctx); err == nil || time.Since(begun) > 12*time.Second {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		close(release)
		synctest.Wait()
		r.journal.mu.Lock()
		r.journal.hang = nil
		r.journal.mu.Unlock()
		<-answered
		r.start()
	})
}
