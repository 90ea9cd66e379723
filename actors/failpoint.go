//go:build failpoints

package actors

import (
	"reflect"
	"slices"
	"strings"

	"vspherepool/vsphere"
)

// This file is in no released program: it names the steps of a pool's life, so that tests can kill the program at each of them.

// Within a phase, machine:noted is what was learned of the machine and machine:status what a caller said of it.
const (
	notedStep     = "machine:noted"
	statusStep    = "machine:status"
	forgottenStep = "machine:forgotten"
)

// Steps are the names of all steps that a write to the journal may record: one for each phase that a machine enters, and one for each field
// of the pool's own record that changes.
func Steps() []string {
	names := []string{notedStep, statusStep}
	for p := range phases {
		names = append(names, phaseStep(p))
	}
	for i := range reflect.TypeFor[PoolRecord]().NumField() {
		names = append(names, fieldStep(i))
	}
	slices.Sort(names)
	return names
}

func phaseStep(p phase) string { return "machine:" + string(p) }

func fieldStep(i int) string {
	name, _, _ := strings.Cut(reflect.TypeFor[PoolRecord]().Field(i).Tag.Get("json"), ",")
	return "pool:" + name
}

// WatchSteps is the journal j with at called before and after each write, for each step that the write records: "pool:desired/before".
func WatchSteps(j Journal, at func(point string)) Journal {
	return &watchedJournal{Journal: j, at: at, machines: map[vsphere.MachineID]record{}}
}

// watchedJournal knows what is stored, to tell what changes. The journal's users write one after the other.
type watchedJournal struct {
	Journal
	at       func(string)
	pool     PoolRecord
	machines map[vsphere.MachineID]record
}

func (j *watchedJournal) Load() (State, error) {
	s, err := j.Journal.Load()
	j.pool = s.Pool
	for _, r := range s.Machines {
		j.machines[r.ID] = r
	}
	return s, err
}

func (j *watchedJournal) Write(changes []Change) error {
	var steps []string
	for _, c := range changes {
		steps = append(steps, j.note(c)...)
	}
	for _, step := range steps {
		j.at(step + "/before")
	}
	err := j.Journal.Write(changes)
	for _, step := range steps {
		j.at(step + "/after")
	}
	return err
}

// note takes a change in, and names what it changes.
func (j *watchedJournal) note(c Change) []string {
	switch {
	case c.pool != nil:
		changed := fieldsChanged(j.pool, *c.pool)
		j.pool = *c.pool
		return changed
	case c.machine == nil:
		delete(j.machines, c.forget)
		return []string{forgottenStep}
	}
	before, now := j.machines[c.machine.ID], *c.machine
	j.machines[now.ID] = now
	switch {
	case now.Phase != before.Phase:
		return []string{phaseStep(now.Phase)}
	case now.Status != before.Status:
		return []string{statusStep}
	default:
		return []string{notedStep}
	}
}

func fieldsChanged(before, now PoolRecord) []string {
	var names []string
	a, b := reflect.ValueOf(before), reflect.ValueOf(now)
	for i := range a.NumField() {
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			names = append(names, fieldStep(i))
		}
	}
	return names
}
