package actors

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"vspherepool/vsphere"
)

// Inspection is what the file of a journal holds, as far as it can be read, and what is wrong with it. It holds no secrets.
type Inspection struct {
	// Layout is the layout's version, 0 if it is not known.
	Layout int `json:"layout"`
	// PoolRecord says that the pool's own record can be read; the fields up to VCenter are its.
	PoolRecord bool `json:"poolRecord"`
	// Pool is the pool's name, empty without a configuration or if its record is lost. Fingerprint names the configuration document as
	// the audit log does.
	Pool        string   `json:"pool"`
	Fingerprint Revision `json:"configFingerprint"`
	// Desired is the size that was asked for, nil if nobody did.
	Desired *int `json:"desiredSize"`
	Started bool `json:"started"`
	// Complete says that the members are all on record; otherwise they are looked for by their marks at the next start.
	Complete bool   `json:"complete"`
	Writer   string `json:"writer"`
	Epoch    int    `json:"epoch"`
	Owed     int    `json:"owed"`
	// Frozen is the reason of the order to begin nothing, nil without one.
	Frozen   *string         `json:"frozen"`
	VCenter  string          `json:"vcenter"`
	Machines []StoredMachine `json:"machines"`
	Findings []Finding       `json:"findings"`
}

// StoredMachine is a machine's record.
type StoredMachine struct {
	ID    vsphere.MachineID `json:"id"`
	Phase string            `json:"phase"`
	State MachineState      `json:"machineState"`
	Name  string            `json:"name"`
	VM    vsphere.Ref       `json:"vm"`
	Task  vsphere.Task      `json:"task"`
	// Since is the last of the times on record.
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
}

// Finding is one thing about a file that is not as it should be.
type Finding struct {
	Trouble string `json:"trouble"`
	Meaning string `json:"meaning"`
	Remedy  string `json:"remedy"`
	// Harmless findings keep no server from using the file.
	Harmless bool `json:"harmless"`
}

// Sound says whether a server can use the file.
func (i Inspection) Sound() bool {
	return !slices.ContainsFunc(i.Findings, func(f Finding) bool { return !f.Harmless })
}

const rebuildRemedy = "stop the server and run vspherepool state rebuild; the members are found again by the marks on their VMs"

// InspectJournal reads a journal's file without changing it. Fails with [ErrLocked] while a server has it, with fs.ErrNotExist, and with
// a *[NewerJournalError]; a file that is damaged is no error.
func InspectJournal(path string) (Inspection, error) {
	file, err := sharedFile(path)
	if err != nil {
		return Inspection{}, fmt.Errorf("inspect journal: %w", plainly(err))
	}
	defer file.Close()
	raw, err := readWhole(file)
	if err != nil {
		return Inspection{}, fmt.Errorf("inspect journal %s: %w", path, plainly(err))
	}
	found, err := salvage(raw)
	if err != nil {
		return Inspection{}, fmt.Errorf("inspect journal %s: %w", path, err)
	}
	return found.inspection(), nil
}

// salvaged is what can be read of a file.
type salvaged struct {
	layout   int
	pool     *PoolRecord
	machines []record
	findings []Finding
}

// salvage reads what it can. The error is a *[NewerJournalError].
func salvage(raw []byte) (salvaged, error) {
	var s salvaged
	if len(raw) == 0 {
		s.note(true, "the file is empty", "it was made a moment before its server ended, or it lost all it held",
			"nothing needs to be done: members are found by their marks, and the desired size is taken from the configuration")
		return s, nil
	}
	f, err := readPages(raw)
	if err != nil {
		s.note(false, err.Error(), "nothing can be read of it", rebuildRemedy)
		return s, nil
	}
	if len(f.metas) == 1 {
		s.note(true, "one of the two pages that say where the records are is damaged",
			"a crash in the middle of a write leaves this behind; the state before that write is in force", "nothing: the next write mends it")
	}
	if f.untouched() {
		s.note(true, "nothing was ever written to the file", "its server ended while it was made", "nothing needs to be done")
		return s, nil
	}
	return s, s.read(f)
}

func (s *salvaged) note(harmless bool, trouble, meaning, remedy string) {
	s.findings = append(s.findings, Finding{Trouble: trouble, Meaning: meaning, Remedy: remedy, Harmless: harmless})
}

func (s *salvaged) read(f pageFile) error {
	t := f.tree(f.metas[0])
	i, err := t.content()
	if err != nil {
		return err
	}
	for _, flaw := range t.flaws {
		s.note(false, flaw.Error(), "records may be missing, or older than they should be", rebuildRemedy)
	}
	s.layout, _ = t.version()
	s.readPool(i)
	if s.pool == nil && len(f.metas) > 1 && len(t.flaws) > 0 {
		if earlier, err := f.tree(f.metas[1]).content(); err == nil {
			s.readPool(earlier)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(i.machines)) {
		r, err := decodeMachine(id, i.machines[id])
		if err != nil {
			s.note(false, err.Error(), "the machine's record is of no use", rebuildRemedy)
			continue
		}
		s.machines = append(s.machines, r)
	}
	s.findTwins()
	return nil
}

func (s *salvaged) readPool(i image) {
	if i.pool == nil {
		return
	}
	var p PoolRecord
	if err := json.Unmarshal(i.pool, &p); err != nil {
		s.note(false, "the pool's record cannot be decoded: "+err.Error(), "the desired size and the configuration are lost", rebuildRemedy)
		return
	}
	s.pool = &p
}

// findTwins looks for machines that claim the same VM: none of them can be believed.
func (s *salvaged) findTwins() {
	owner := map[vsphere.Ref]vsphere.MachineID{}
	for _, r := range s.machines {
		if r.Ref == "" || !r.live() {
			continue
		}
		if first, taken := owner[r.Ref]; taken {
			s.note(false, fmt.Sprintf("machines %s and %s claim the same VM, %s", first, r.ID, r.Ref), "one of the records is wrong", rebuildRemedy)
		}
		owner[r.Ref] = r.ID
	}
}

func (s salvaged) inspection() Inspection {
	i := Inspection{Layout: s.layout, Machines: []StoredMachine{}, Findings: append([]Finding{}, s.findings...)}
	if p := s.pool; p != nil {
		i.PoolRecord, i.Pool, i.Fingerprint = true, nameIn(p.Document), revisionOf(p.Document)
		i.Desired, i.Started, i.Complete = p.Desired, p.Started, p.Rebuilt
		i.Writer, i.Epoch, i.Owed, i.VCenter = p.Writer.ID, p.Writer.Epoch, p.Owed, p.VCenter
		if p.Still != nil {
			i.Frozen = &p.Still.Reason
		}
	}
	for _, r := range s.machines {
		since := slices.MaxFunc([]time.Time{r.Requested, r.Launched, r.PoweredOn, r.Ended}, time.Time.Compare)
		i.Machines = append(i.Machines, StoredMachine{
			ID: r.ID, Phase: string(r.Phase), State: r.state(), Name: r.Name, VM: r.Ref, Task: r.Task, Since: since,
			Reason: cmp.Or(r.trouble(), r.Reason),
		})
	}
	return i
}
