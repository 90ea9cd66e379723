// Package soak has the program work for an hour under load and under fire, and sees whether anything grows that must not.
//
// `make soak` runs it (SOAK=5m shortens it, SEED=7 repeats one's choices, RACE=-race takes a program with the race detector); `go test`
// without more runs it for some seconds, so that it does not rot. The program is a process of its own; the test's has the simulator and,
// in front of it, the proxy that makes trouble.
//
// The time is cut into rounds. A round is a storm, with load and with trouble, and then a calm: the load stops, the trouble ends, the pool
// comes to rest at the same size as ever, and what the process holds then is measured. The first quarter of the rounds ends with the
// program's death or dismissal each, the other rounds are one process's life: its measures in the calms must not grow.
//
// Checked all the time: every answer is one that the API has, members are told apart, what was acknowledged holds, nothing terminated comes
// back. Checked in every calm: the pool converges, vCenter has one VM for each member and no other, no VM of others was touched, and nobody
// logs in again.
package soak
