package chaos

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere/simulator"
)

// world is everything in a run: vCenter and its administrator, the network, the disk, the server's process, and the model beside them.
type world struct {
	seed    uint64
	sim     *simulator.Simulator
	network *network
	spy     *spy
	admin   *administrator
	disk    *disk
	model   *model
	book    *book
	process *process
	eyes    eyes

	ids     atomic.Uint64
	jitters atomic.Uint64

	mu sync.Mutex
	// down is how long the process that crashes next stays down, lose whether its state directory is gone then.
	down int
	lose bool
	// troubled is when something was last made wrong on purpose, full when the disk last became full, or free again.
	troubled, full time.Time
	// acted is when anybody but the clients did anything, by the runner's own account.
	acted time.Time
}

func newWorld(h history, dir string) (*world, error) {
	b := newBook()
	sim, err := simulator.New(simulator.Options{CloneDelay: 20 * time.Second, BootDelay: 30 * time.Second})
	if err != nil {
		return nil, err
	}
	client, err := sim.Client(background())
	if err != nil {
		sim.Close()
		return nil, err
	}
	w := &world{seed: h.Seed, sim: sim, book: b, model: newModel(h.Start), disk: &disk{dir: dir}, eyes: newEyes()}
	w.spy = &spy{sim: sim, model: w.model, book: b, proofs: map[proofKey]proof{}, cloning: map[types.ManagedObjectReference]bool{}}
	w.network = newNetwork(h.Seed, sim.Direct(), w.spy)
	w.admin = &administrator{w: w, client: client, destroyed: map[string]bool{}}
	sim.Before(w.network.taskFault)
	if w.spy.folder, err = w.admin.makeFolder(); err != nil {
		sim.Close()
		return nil, err
	}
	if w.process, err = w.launch(h.Start.document()); err != nil {
		sim.Close()
	}
	return w, err
}

// newID makes machine ids that are the same in each run of a history, and sort by age.
func (w *world) newID() string {
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", w.ids.Add(1), w.seed)
}

func (w *world) jitter() float64 {
	return float64(mix(w.seed, "jitter", w.jitters.Add(1))%1000) / 1000
}

// close ends everything; what is left then is a leak, which the bubble reports.
func (w *world) close() {
	w.process.end()
	w.sim.Close()
	time.Sleep(time.Minute) // what is stopped notices
	if err := os.RemoveAll(w.disk.dir); err != nil {
		w.book.violation(order, "%v", err)
	}
}

// play makes one step and then looks at what came of it.
func (w *world) play(s step) {
	time.Sleep(seconds(s.Pause))
	w.revive()
	calls := w.resolve(s.Calls)
	w.model.begin(calls)
	w.together(calls, s.Acts)
	certain := s.Pause <= 60 && len(s.Acts) == 0 && time.Since(w.acted) > 10*time.Minute && !w.inTrouble(10*time.Minute)
	if len(s.Acts) > 0 {
		w.acted = time.Now()
	}
	for _, r := range calls {
		w.book.say("%s -> %d %s (%s)", r, r.answer.Status, strings.TrimSpace(string(r.answer.Body)), r.answer.Took.Round(time.Millisecond))
		w.judge(r)
	}
	if wrong := w.model.end(calls, certain); wrong != "" {
		w.book.violation(sanity, "%s: %v", wrong, calls)
	}
	w.revive()
	synctest.Wait()
	w.spy.census()
	w.observe()
	w.book.mu.Lock()
	w.book.steps++
	w.book.mu.Unlock()
}

// together makes calls and acts at the same time, each call a moment after the one before it.
func (w *world) together(calls []*request, acts []act) {
	var all sync.WaitGroup
	p := w.process
	for i, r := range calls {
		all.Go(func() {
			time.Sleep(time.Duration(i) * 2500 * time.Microsecond)
			r.answer = p.send(r.method, r.path, r.body)
		})
	}
	for i, a := range acts {
		all.Go(func() {
			time.Sleep(milliseconds(a.Delay) + time.Duration(i)*time.Microsecond)
			w.act(a, p)
		})
	}
	all.Wait()
}

func (w *world) act(a act, p *process) {
	switch a.Op {
	case "trouble":
		w.book.say("trouble: %+v", *a.Trouble)
		w.network.trouble(*a.Trouble)
		w.note(&w.troubled)
	case "calm":
		w.book.say("calm")
		w.note(&w.troubled)
		w.network.calm()
	case "logout":
		w.book.say("all sessions end")
		w.network.logoutAll()
		w.note(&w.troubled)
	case "diskFull", "diskFree":
		w.book.say("%s", a.Op)
		w.disk.fill(a.Op == "diskFull")
		w.note(&w.full)
	case "crash", "lose", "crashSoon", "restart":
		w.kill(a, p)
	default:
		w.admin.do(a.Op, a.N)
	}
}

func (w *world) note(at *time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*at = time.Now()
}

// kill ends the process, now or soon.
func (w *world) kill(a act, p *process) {
	w.book.say("%s %d", a.Op, a.N)
	w.mu.Lock()
	w.down = a.Down
	w.lose = w.lose || a.Op == "lose"
	w.mu.Unlock()
	switch a.Op {
	case "crashSoon":
		p.fuse.arm(a.N)
	case "restart":
		p.end()
	default:
		p.fuse.blow()
	}
}

// inTrouble says whether anything was wrong on purpose lately.
func (w *world) inTrouble(lately time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	standing, struck := w.network.standing()
	return standing > 0 || w.disk.isFull() || time.Since(struck) < lately || time.Since(w.troubled) < lately ||
		time.Since(w.full) < lately || time.Since(w.process.began) < 2*time.Minute
}

// revive sweeps up after a process that ended, and starts the next one.
func (w *world) revive() {
	if !w.process.fuse.blown() {
		return
	}
	w.process.end()
	w.mu.Lock()
	down, lose := w.down, w.lose
	w.down, w.lose = 0, false
	w.mu.Unlock()
	var document []byte
	if lose {
		document = w.loseState()
	}
	time.Sleep(seconds(down))
	next, err := w.launch(document)
	if err != nil { // a new state directory on a full disk: somebody makes room
		w.disk.fill(false)
		next, err = w.launch(document)
	}
	if err != nil {
		w.book.violation(order, "the server cannot be started: %v", err)
		next, _ = w.launch(w.model.config[0].document())
	}
	w.process = next
	w.eyes.forget()
	w.book.say("process started")
	w.book.mu.Lock()
	w.book.crashes++
	w.book.mu.Unlock()
	time.Sleep(time.Second)
}

// loseState takes the state directory away, and says what the next server is started with.
func (w *world) loseState() []byte {
	w.disk.generation++
	w.eyes.lost = time.Now()
	start := w.model.config[0]
	start.Desired = nil
	marked := map[string]bool{}
	for _, vm := range w.spy.ours() {
		marked[vm.machine()] = true
	}
	w.model.forget(start, marked)
	return start.document()
}

// resolve finds out what the calls are about.
func (w *world) resolve(calls []call) []*request {
	requests := make([]*request, len(calls))
	for i, c := range calls {
		r := &request{call: c}
		if c.Target != nil {
			r.id, r.vm, r.machine = w.find(*c.Target)
		}
		r.prepare()
		requests[i] = r
	}
	return requests
}

// find resolves a target to what a caller names it by, its VM and its machine id.
func (w *world) find(t target) (id, vm, machine string) {
	switch t.Of {
	case "member", "gone":
		ids := w.model.ids(t.Of == "member")
		if len(ids) > 0 {
			id = ids[t.N%len(ids)]
			return id, w.vmOf(id), id
		}
	case "template":
		return "/DC0/vm/templates/ubuntu-24.04", "", ""
	case "stranger", "detached":
		strangers := slices.DeleteFunc(w.spy.inventory(), func(s sighting) bool { return s.owned() || s.template })
		if len(strangers) > 0 {
			s := strangers[t.N%len(strangers)]
			return []string{s.uuid, s.ref.Value}[t.N/7%2], s.ref.Value, s.uuid
		}
	}
	return "00000000-0000-4000-8000-000000000000", "", ""
}

// vmOf is the VM of a machine, or of what was one.
func (w *world) vmOf(id string) string {
	for _, s := range w.spy.inventory() {
		if s.owned() && s.machine() == id || s.uuid == id {
			return s.ref.Value
		}
	}
	return ""
}

// ids are the machines that are members as far as is known, or were.
func (m *model) ids(members bool) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []string
	for id, k := range m.machines {
		if k.allocated == members {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
