package vsphere

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

const (
	// readsAtOnce is how many reads of single VMs are under way at a time: one, and one more that goes on if that one hangs.
	readsAtOnce = 2
	// linger is how long a read waits for others to go with: many machines whose steps end at the same look at their tasks take the next
	// ones together. It is far less than any step takes.
	linger = 3 * time.Millisecond
	// apartAtOnce is how many reads are made alone at a time when vCenter refuses them together.
	apartAtOnce = 8
)

// reader gathers the reads of single VMs that many machines make at the same time. A read waits a moment for others, and for a call if
// two are under way. Each is as fresh as if it went alone: it is begun after it was asked for.
type reader struct {
	// alone reads one VM, together several.
	alone    readOne
	together readMany
	life     context.Context

	mu     sync.Mutex
	queue  []*inquiry
	flying int
	// boarding says that one of those that fly waits for others to come.
	boarding bool
	closed   bool
	flights  sync.WaitGroup
}

// inquiry is a read that somebody waits for.
type inquiry struct {
	// ctx is the asker's.
	ctx        context.Context
	ref        types.ManagedObjectReference
	properties []string
	told       chan reply
}

type reply struct {
	answer
	err error
}

type (
	readOne  func(context.Context, types.ManagedObjectReference, []string) (answer, error)
	readMany func(context.Context, ...types.PropertyFilterSpec) (answer, error)
)

func newReader(life context.Context, alone readOne, together readMany) *reader {
	return &reader{life: life, alone: alone, together: together}
}

// ask returns what is proven of one object, or the end of the wait.
func (r *reader) ask(ctx context.Context, ref types.ManagedObjectReference, properties []string) (answer, error) {
	q := &inquiry{ctx, ref, properties, make(chan reply, 1)}
	if !r.join(q) {
		return answer{}, errClosed
	}
	select {
	case told := <-q.told:
		return told.answer, told.err
	case <-ctx.Done():
		return answer{}, ctx.Err()
	case <-r.life.Done():
		return answer{}, errClosed
	}
}

func (r *reader) join(q *inquiry) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.queue = append(r.queue, q)
	if r.flying < readsAtOnce && !r.boarding {
		r.flying++
		r.boarding = true
		r.flights.Go(r.fly)
	}
	return true
}

// fly answers questions until there are none.
func (r *reader) fly() {
	for more := true; more; more = r.more() {
		rest(r.life, linger)
		r.answer(r.next())
	}
}

// more says whether there are questions that wait for whoever ends a call.
func (r *reader) more() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.boarding || len(r.queue) == 0 {
		r.flying--
		return false
	}
	r.boarding = true
	return true
}

// next are the questions that go together: those for the same properties, of different objects.
func (r *reader) next() []*inquiry {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.boarding = false
	var batch, left []*inquiry
	seen := map[types.ManagedObjectReference]bool{}
	for _, q := range r.queue {
		if seen[q.ref] || len(batch) == pageSize || !slices.Equal(q.properties, r.queue[0].properties) {
			left = append(left, q)
			continue
		}
		seen[q.ref] = true
		batch = append(batch, q)
	}
	r.queue = left
	return batch
}

func (r *reader) answer(batch []*inquiry) {
	if len(batch) == 1 {
		r.answerAlone(batch[0])
		return
	}
	refs := make([]types.ManagedObjectReference, len(batch))
	for i, q := range batch {
		refs[i] = q.ref
	}
	all, err := r.together(r.life, objects(refs, batch[0].properties, true))
	if err != nil && faultOf(err) == nil {
		for _, q := range batch {
			q.told <- reply{err: err}
		}
		return
	}
	var rest []*inquiry
	for _, q := range batch {
		if a, shown := all.of(q.ref); shown {
			q.told <- reply{answer: a}
		} else {
			rest = append(rest, q)
		}
	}
	r.apart(rest)
}

// apart asks by themselves for those that were refused together, or left out.
func (r *reader) apart(batch []*inquiry) {
	turns := make(chan struct{}, apartAtOnce)
	for _, q := range batch {
		turns <- struct{}{}
		r.flights.Go(func() {
			r.answerAlone(q)
			<-turns
		})
	}
}

// answerAlone makes no call for an asker who has given up; what is left of an answer that is not about the VM is empty.
func (r *reader) answerAlone(q *inquiry) {
	if err := q.ctx.Err(); err != nil {
		q.told <- reply{err: err}
		return
	}
	a, err := r.alone(r.life, q.ref, q.properties)
	a, _ = a.of(q.ref)
	q.told <- reply{a, err}
}

// close waits for the reads under way; the life must have ended.
func (r *reader) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.flights.Wait()
}

// of is what an answer proves of one object; false if it is not about it.
func (a answer) of(ref types.ManagedObjectReference) (answer, bool) {
	for _, o := range a.whole {
		if o.Obj == ref {
			return answer{whole: []types.ObjectContent{o}}, true
		}
	}
	for _, p := range a.partial {
		if p.Obj == ref {
			return answer{partial: []partial{p}}, true
		}
	}
	if a.vanished[ref] {
		return answer{vanished: map[types.ManagedObjectReference]bool{ref: true}}, true
	}
	return answer{}, false
}
