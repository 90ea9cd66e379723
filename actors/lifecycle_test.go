package actors

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// allPhases lists the phases in the order of their life, which is the order of the table.
func allPhases() []phase {
	var order []phase
	for _, t := range transitions {
		for _, p := range []phase{t.from, t.to} {
			if !slices.Contains(order, p) {
				order = append(order, p)
			}
		}
	}
	return order
}

// diagram is lifecycle.md, generated from the tables.
func diagram() string {
	var b strings.Builder
	b.WriteString("# Life of a machine\n\n")
	b.WriteString("Generated from the tables in lifecycle.go by `make generate`; a test fails when it is out of date.\n\n")
	b.WriteString("| phase | API state | waits for a turn | holds | does | after a crash | meaning |\n|---|---|---|---|---|---|---|\n")
	for _, p := range allPhases() {
		i := phases[p]
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n",
			p, i.state, budgetName(i.waits), budgetName(i.holds), i.does, i.resumes, i.about)
	}
	b.WriteString("\n```mermaid\nstateDiagram-v2\n    [*] --> requested\n    [*] --> adopting\n")
	for _, t := range transitions {
		fmt.Fprintf(&b, "    %s --> %s: %s\n", t.from, t.to, t.on)
	}
	b.WriteString("    forgotten --> [*]\n```\n")
	return b.String()
}

func budgetName(b budget) string {
	return [...]string{free: "", creates: "creates", powerOps: "powerOps", deletes: "deletes"}[b]
}

func TestLifecycleDiagramIsUpToDate(t *testing.T) {
	want := diagram()
	if *update {
		if err := os.WriteFile("lifecycle.md", []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("lifecycle.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("lifecycle.md is out of date: run make generate")
	}
}

func TestEveryPhaseIsDescribedAndReachable(t *testing.T) {
	reached := map[phase]bool{requested: true, adopting: true}
	for range transitions {
		for _, tr := range transitions {
			if reached[tr.from] {
				reached[tr.to] = true
			}
		}
	}
	for p, info := range phases {
		if !reached[p] {
			t.Errorf("%s cannot be reached", p)
		}
		if info.state == "" || info.about == "" {
			t.Errorf("%s is not described", p)
		}
		if _, ok := phases[resume(p)]; !ok {
			t.Errorf("%s resumes in %q, which is no phase", p, info.resumes)
		}
	}
	for _, p := range allPhases() {
		if _, ok := phases[p]; !ok {
			t.Errorf("%s is in the table but not described", p)
		}
	}
}

// A machine whose end was decided never comes back: from a phase that is not allocated no transition leads to one that is.
func TestTheEndIsFinal(t *testing.T) {
	for _, tr := range transitions {
		if !phases[tr.from].state.Allocated() && phases[tr.to].state.Allocated() {
			t.Errorf("%s comes back to %s on %q", tr.from, tr.to, tr.on)
		}
	}
}

// Whatever happens to a machine, it can be terminated while it is a member, and every phase but the last one can be left.
func TestNoPhaseIsADeadEnd(t *testing.T) {
	for p, info := range phases {
		if _, ok := next(p, retireRequested); info.state.Allocated() && !ok {
			t.Errorf("%s cannot be retired", p)
		}
		leaves := slices.ContainsFunc(transitions, func(tr transition) bool { return tr.from == p && tr.to != p })
		if !leaves && p != forgotten {
			t.Errorf("%s cannot be left", p)
		}
	}
}

// Only a VM that is provably ours and not in the middle of a clone is ever acted on: destroying needs a turn, which only phases with
// a known outcome wait for.
func TestDestructionIsOnlyReachedByTurnsOrDeadlines(t *testing.T) {
	for _, tr := range transitions {
		does := phases[tr.to].does
		if does != doDestroy && does != doRemove && does != doPowerOff && does != doShutdown {
			continue
		}
		switch tr.on {
		case turnGranted, deadlinePassed, guestDeaf, opFailed:
		default:
			t.Errorf("%s does %q on %q", tr.to, does, tr.on)
		}
	}
}

// Whatever an operation ends with, even a panic, the machine goes on.
func TestEveryOperationMayFail(t *testing.T) {
	for p, info := range phases {
		if _, ok := next(p, opFailed); info.does != doNothing && !ok {
			t.Errorf("%s does %q and has no way to go on if that fails", p, info.does)
		}
	}
}

func TestBudgetsAreHeldWhereTheyAreWaitedFor(t *testing.T) {
	for p, info := range phases {
		if info.waits == free {
			continue
		}
		to, ok := next(p, turnGranted)
		if !ok || phases[to].holds != info.waits {
			t.Errorf("%s waits for %s, but its turn leads to %s, which holds %s", p, budgetName(info.waits), to, budgetName(phases[to].holds))
		}
	}
}
