package main

import (
	"bytes"
	"testing"
)

func TestTally(t *testing.T) {
	active := membershipStatus{Active: true, Evictable: true}
	now := tally{desired: 2}
	for _, m := range []machineDocument{
		{MachineState: "RUNNING", MembershipStatus: active},
		{MachineState: "RUNNING"},
		{MachineState: "REQUESTED", MembershipStatus: active},
		{MachineState: "PENDING", MembershipStatus: active},
		{MachineState: "TERMINATING"},
		{MachineState: "TERMINATED"},
		{MachineState: "REJECTED"},
	} {
		now.count(m)
	}
	if now.String() != "1 of 2 running, 2 starting, 1 terminating, 1 rejected" || now.settled() {
		t.Errorf("tally is %q, settled %t", now, now.settled())
	}
	if done := (tally{desired: 2, running: 2, rejected: 1}); !done.settled() {
		t.Errorf("%q is not settled", done)
	}
}

func TestProgress(t *testing.T) {
	var file, screen bytes.Buffer
	for _, show := range []progress{newProgress(&file), &bar{to: &screen}} {
		show.machines(tally{desired: 3, running: 1, starting: 2})
		show.machines(tally{desired: 3, running: 1, starting: 2})
		show.machines(tally{running: 1, leaving: 1})
		show.end()
	}
	if want := "1 of 3 running, 2 starting\n1 of 0 running, 1 terminating\n"; file.String() != want {
		t.Errorf("lines are %q", file.String())
	}
	once := "\r[##########....................] 1 of 3 running, 2 starting\x1b[K"
	if want := once + once + "\r[..............................] 1 of 0 running, 1 terminating\x1b[K\n"; screen.String() != want {
		t.Errorf("bar is %q", screen.String())
	}
}
