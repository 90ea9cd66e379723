package chaos

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

func background() context.Context { return context.Background() }

// The documents that the API answers with, as a client reads them.
type (
	machineDoc struct {
		ID               string            `json:"id"`
		MachineState     string            `json:"machineState"`
		MembershipStatus *membership       `json:"membershipStatus"`
		ServiceState     string            `json:"serviceState"`
		CloudProvider    string            `json:"cloudProvider"`
		Region           string            `json:"region"`
		MachineSize      string            `json:"machineSize"`
		RequestTime      string            `json:"requestTime"`
		PublicIPs        []string          `json:"publicIps"`
		PrivateIPs       []string          `json:"privateIps"`
		Metadata         map[string]string `json:"metadata"`
	}
	poolDoc struct {
		Timestamp string       `json:"timestamp"`
		Machines  []machineDoc `json:"machines"`
	}
	sizeDoc struct {
		DesiredSize, Allocated, Active, OutOfService, RequestedSize int
	}
	statusDoc struct {
		Started, Configured     bool
		Outage, Blocked, Frozen string
		Holding                 []struct{ Name, Reason, Lift string }
		Unreachable, Orphans    int
		Notes                   []string
	}
	freezeDoc struct {
		Frozen, Manual bool
		Reasons        []string
	}
	configDoc struct {
		Bounds struct {
			Min int
			Max *int
		}
		Limits struct{ Ceiling int }
	}
)

// eyes remember between observations.
type eyes struct {
	// short is since when fewer machines are active than desired without a word of explanation.
	short time.Time
	// glances counts the looks at it.
	glances int
	// waiting is since when a machine is REQUESTED.
	waiting map[string]time.Time
	// lost is when the state directory was lost last.
	lost time.Time
}

func newEyes() eyes { return eyes{waiting: map[string]time.Time{}} }

// forget begins to measure anew.
func (e *eyes) forget() {
	e.short = time.Time{}
	clear(e.waiting)
}

// snapshot is what the API shows at one moment; readable is false if there is no view.
type snapshot struct {
	readable bool
	pool     poolDoc
	size     sizeDoc
	status   statusDoc
}

// observe reads everything that can be read and compares it with the model.
func (w *world) observe() snapshot {
	if w.disk.isFull() {
		w.model.doubtUntil(time.Now().Add(time.Minute)) // what is seen is in the server's memory only
	}
	var s snapshot
	var freeze freezeDoc
	var config configDoc
	if w.read("/status", &s.status) {
		w.checkStatus(s.status)
	}
	if w.read("/pool/freeze", &freeze) {
		w.checkFreeze(freeze)
	}
	if w.read("/config", &config) {
		w.model.seeConfig(w, config)
	}
	var again sizeDoc
	s.readable = w.read("/pool/size", &s.size) && w.read("/pool", &s.pool) && w.read("/pool/size", &again)
	if !s.readable || again != s.size {
		return s
	}
	w.checkPool(s)
	w.model.seeSize(w, s.size)
	w.model.seeMachines(w, s.pool)
	w.explained(s)
	return s
}

// read gets a document; an answer that is not 200 must be one that is due.
func (w *world) read(path string, into any) bool {
	a := w.process.send(http.MethodGet, path, "")
	w.judge(&request{call: call{Op: "read"}, method: http.MethodGet, path: path, answer: a})
	if !a.ok() {
		return false
	}
	if err := json.Unmarshal(a.Body, into); err != nil {
		w.book.violation(sanity, "GET %s answered %s: %v", path, a.Body, err)
		return false
	}
	return true
}

// judge checks that an answer is one that the API says may be given now.
func (w *world) judge(r *request) {
	status, message := r.answer.Status, r.answer.message()
	if status != 0 && status != http.StatusOK && (!json.Valid(r.answer.Body) || strings.HasPrefix(message, " |")) {
		w.book.violation(sanity, "%s answered %d without a message: %q", r, status, r.answer.Body)
	}
	switch {
	case r.Op == "raw":
		if status != 0 && (status < 400 || status > 499) {
			w.book.violation(sanity, "%s, which is invalid, answered %d %s", r, status, r.answer.Body)
		}
	case status == 0:
		if !w.process.fuse.blown() && !w.inTrouble(10*time.Minute) {
			w.book.violation(sanity, "%s was not answered within a minute", r)
		}
	case status == http.StatusOK, status == http.StatusBadRequest, status == http.StatusNotFound && r.Op != "read":
	case status == http.StatusInternalServerError && strings.Contains(message, "before being started"):
		if !w.model.started.has(false) {
			w.book.violation(durability, "%s answered that the pool is not started: %s", r, message)
		}
	case status == http.StatusInternalServerError || status == http.StatusBadGateway:
		if !w.inTrouble(10*time.Minute) && !busy(message) {
			w.book.violation(sanity, "%s answered %d although nothing is wrong: %s", r, status, message)
		}
	default:
		w.book.violation(sanity, "%s answered %d: %s", r, status, message)
	}
}

// busy says that a refusal is about the moment.
func busy(message string) bool {
	for _, text := range []string{
		"being set up", "was busy", "being looked for", "has not been read yet", "another configuration",
		"cut short by a failure",
	} {
		if strings.Contains(message, text) {
			return true
		}
	}
	return false
}

func (w *world) checkStatus(s statusDoc) {
	m := w.model
	m.mu.Lock()
	defer m.mu.Unlock()
	if !s.Configured {
		w.book.violation(durability, "the configuration is lost")
	}
	if !m.started.has(s.Started) {
		w.book.violation(durability, "started is %t", s.Started)
	}
	if m.sure() {
		m.started = only(s.Started)
	}
	for _, h := range s.Holding {
		if h.Reason == "" || h.Lift == "" {
			w.book.violation(reasons, "rail %s holds without a reason or a way to lift it", h.Name)
		}
	}
}

func (w *world) checkFreeze(f freezeDoc) {
	m := w.model
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.frozen.has(f.Manual) {
		w.book.violation(durability, "frozen by hand is %t", f.Manual)
	}
	if m.sure() {
		m.frozen = only(f.Manual)
	}
	if f.Frozen && (len(f.Reasons) == 0 || slices.Contains(f.Reasons, "")) {
		w.book.violation(reasons, "the pool is frozen without a reason")
	}
}

// sure says whether what is seen now stays: nothing that was asked for without an answer can still happen.
func (m *model) sure() bool { return !time.Now().Before(m.doubt) }

func (m *model) doubtUntil(t time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.doubt = t
}

func (m *model) seeConfig(w *world, c configDoc) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, known := range m.config {
		if c.Bounds.Min == known.Min && c.Limits.Ceiling == known.Ceiling && equal(c.Bounds.Max, known.Max) {
			if m.sure() {
				m.config = []settings{known}
			}
			return
		}
	}
	w.book.violation(durability, "the configuration is %+v, none of %+v", c, m.config)
}

func equal(a, b *int) bool { return a == b || a != nil && b != nil && *a == *b }

func (m *model) seeSize(w *world, s sizeDoc) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.desired.has(s.RequestedSize) {
		w.book.violation(durability, "the size asked for is %d, it should be one of %v", s.RequestedSize, m.desired)
	}
	if !slices.ContainsFunc(m.config, func(c settings) bool { return c.effective(s.RequestedSize) == s.DesiredSize }) {
		w.book.violation(durability, "the desired size is %d for %d asked for under %+v", s.DesiredSize, s.RequestedSize, m.config)
	}
	if m.sure() {
		m.desired = only(s.RequestedSize)
	}
}

func (w *world) checkPool(s snapshot) {
	allocated, active := 0, 0
	seen := map[string]bool{}
	for _, d := range s.pool.Machines {
		if seen[d.ID] {
			w.book.violation(sanity, "machine %s is listed twice", d.ID)
		}
		seen[d.ID] = true
		w.checkMachine(d)
		if d.allocated() {
			allocated++
			if d.MembershipStatus.Active {
				active++
			}
		}
	}
	z := s.size
	if z.Allocated != allocated || z.Active != active || z.OutOfService != allocated-active {
		w.book.violation(sanity, "the size is %+v, the pool has %d allocated and %d active machines", z, allocated, active)
	}
}

func (d machineDoc) allocated() bool {
	return d.MachineState == "REQUESTED" || d.MachineState == "PENDING" || d.MachineState == "RUNNING"
}

func (w *world) checkMachine(d machineDoc) {
	if d.ID == "" || d.MembershipStatus == nil || d.CloudProvider == "" || d.Region == "" || d.MachineSize == "" ||
		d.PublicIPs == nil || d.PrivateIPs == nil || d.Metadata == nil {
		w.book.violation(sanity, "a mandatory field is missing: %+v", d)
		return
	}
	if !slices.Contains([]string{"BOOTING", "IN_SERVICE", "UNHEALTHY", "OUT_OF_SERVICE", "UNKNOWN"}, d.ServiceState) {
		w.book.violation(sanity, "machine %s has the service state %q", d.ID, d.ServiceState)
	}
	switch d.MachineState {
	case "REQUESTED", "PENDING", "RUNNING":
	case "REJECTED":
		if d.Metadata["error"] == "" {
			w.book.violation(reasons, "machine %s is REJECTED without an error", d.ID)
		}
	case "TERMINATING", "TERMINATED":
		if d.Metadata["reason"] == "" && d.Metadata["error"] == "" {
			w.book.violation(reasons, "machine %s is %s without a reason", d.ID, d.MachineState)
		}
	default:
		w.book.violation(sanity, "machine %s is %q", d.ID, d.MachineState)
	}
}

func (m *model) seeMachines(w *world, p poolDoc) {
	m.mu.Lock()
	defer m.mu.Unlock()
	listed := map[string]bool{}
	for _, d := range p.Machines {
		listed[d.ID] = true
		m.seeMachine(w, d)
	}
	for id, k := range m.machines {
		if !listed[id] {
			k.allocated = false
		}
	}
}

func (m *model) seeMachine(w *world, d machineDoc) {
	_, known := m.machines[d.ID]
	k := m.machine(d.ID)
	if !known {
		w.explainedLaunch(d.ID)
	}
	if !d.allocated() {
		k.allocated, k.over = false, k.over || !w.disk.isFull()
		return
	}
	switch {
	case k.ended:
		w.book.violation(durability, "machine %s was terminated and is %s", d.ID, d.MachineState)
	case k.let:
		w.book.violation(durability, "machine %s was detached and is %s", d.ID, d.MachineState)
	case k.over:
		w.book.violation(durability, "machine %s had left the pool and is %s", d.ID, d.MachineState)
	}
	k.excused = k.excused || !d.MembershipStatus.Evictable
	k.allocated, k.ran = true, k.ran || d.MachineState == "RUNNING"
	m.seeStatus(w, k, d)
}

// seeStatus compares the effective status with the possible ones, and narrows them.
func (m *model) seeStatus(w *world, k *machine, d machineDoc) {
	if !k.service.has(d.ServiceState) {
		w.book.violation(durability, "machine %s has the service state %s, it should be one of %v", d.ID, d.ServiceState, k.service)
	}
	if k.membership == nil || k.hold == nil {
		k.service = only(d.ServiceState)
		k.membership, k.hold = only(*d.MembershipStatus), only(false, !d.MembershipStatus.Active && !d.MembershipStatus.Evictable)
		return
	}
	fits := set[membership]{}
	holds := set[bool]{}
	for is := range k.membership {
		for hold := range k.hold {
			if effective := (membership{is.Active && !hold, is.Evictable && !hold}); effective == *d.MembershipStatus {
				fits[is], holds[hold] = true, true
			}
		}
	}
	if len(fits) == 0 {
		w.book.violation(durability, "machine %s has the status %+v, it should be one of %v, held %v", d.ID, *d.MembershipStatus,
			k.membership, k.hold)
		return
	}
	if m.sure() {
		k.membership, k.hold, k.service = fits, holds, only(d.ServiceState)
	}
}

// explainedLaunch checks that somebody said why there is a machine: the log, or a caller who attached it.
func (w *world) explainedLaunch(id string) {
	w.book.mu.Lock()
	launched := w.book.launched[id]
	w.book.mu.Unlock()
	if !launched && !strings.HasPrefix(id, "ffffffff") {
		w.book.violation(reasons, "machine %s was launched, and the log does not say why", id)
	}
}

// scrutinize looks again a few times at a pool that was short when it was seen last and is short now: it may be so by chance.
func (w *world) scrutinize(s snapshot) {
	if w.eyes.glances++; w.eyes.glances <= 3 {
		time.Sleep(20 * time.Second)
		w.observe()
	} else {
		w.book.violation(reasons, "%d of %d machines are active, and /status does not say why: %+v %+v", s.size.Active, s.size.DesiredSize,
			s.status, s.pool.Machines)
	}
	w.eyes.short, w.eyes.glances = time.Time{}, 0
}

// patience is how long fewer machines may be active than desired, or one wait, without a word.
const patience = 3 * time.Minute

// explained checks that a size that is not met, or a machine that waits, has an explanation.
func (w *world) explained(s snapshot) {
	st := s.status
	word := st.Outage != "" || st.Blocked != "" || st.Frozen != "" || len(st.Holding) > 0 || !st.Started
	if s.size.Active >= s.size.DesiredSize || word {
		w.eyes.short = time.Time{}
	} else if w.eyes.short.IsZero() {
		w.eyes.short = time.Now()
	}
	if !w.eyes.short.IsZero() && time.Since(w.eyes.short) > patience {
		w.scrutinize(s)
	}
	for _, d := range s.pool.Machines {
		if d.MachineState != "REQUESTED" || word || d.Metadata["error"] != "" {
			delete(w.eyes.waiting, d.ID)
			continue
		}
		if w.eyes.waiting[d.ID].IsZero() {
			w.eyes.waiting[d.ID] = time.Now()
		}
		if age := time.Since(w.eyes.waiting[d.ID]); age > 20*time.Minute {
			w.book.violation(reasons, "machine %s is REQUESTED for %s, and nothing says why", d.ID, age)
		}
	}
}
