// Package actors keeps a pool of machines at its desired size: the decisions, the concurrency, and the memory of it. It knows vSphere
// only through [Provider] and HTTP not at all.
//
// # Who sends what to whom
//
//	handler ──command──▶ supervisor ──command──▶ machine ──operation──▶ Provider
//	   ▲                   │  ▲  ▲                  │  ▲                    │
//	   └──── answer ───────┘  │  └───── fact ───────┘  └────── opDone ──────┘
//	                          │
//	     observer ── swept, noticed        recorder ◀── write ── supervisor, machines
//
// The supervisor owns the desired size, the configuration and the members. It does no I/O and never waits, so it answers at once, from
// an immutable [View]; that answer stands until the supervisor takes it back, so that reading what has not changed takes no message. One
// machine actor per machine drives that machine's life. The observer watches vSphere, the recorder owns the [Journal]. [Pool] is the only
// door for callers. A pool is one supervisor with its children; nothing assumes that there is only one.
//
// # Where things are decided
//
//	plan.go, victims.go   what to do next, as a pure function of values, each decision with its reason
//	lifecycle.go          what may happen to a machine: the transition table, which dispatches; lifecycle.md is generated from it
//	rails.go              how much the pool may do by itself: ration, crisis, churn; what each rail holds, in words
//	rate.go               how many clones at a time vCenter bears
//	breaker.go            when to launch after failures
//	orphans.go            what may become of VMs that carry the pool's mark without being members
//	views.go, lease.go    what readers are shown, and for how long without asking
//	observe.go            what an observation means to a machine
//	call.go               whether a caller's request is admitted, and what it changes
//	async.go              all waiting: goroutines, timers, futures
//
// # Words
//
// A machine is a member of the pool; a VM is what vSphere has of it. A record is what is durable of a machine, a seat is the member
// and its actor in the supervisor. A phase is where a machine's life stands; the API's six states are a coarser view of it. A turn is
// the permission to use up a budget (creates, powerOps, deletes). A mark is the proof on the VM that it is ours, signed by a writer. A
// sweep is a complete reading of vSphere, a glance a partial one. A rail is a limit on what the pool does by itself; machines that were
// lost are owed, and replaced as the rails allow. A VM of which vCenter cannot tell is unknown; many that are, or that fail together,
// are a crisis. A stray is a VM with our mark that is no member.
//
// # Invariants
//
//   - Nothing is done to vSphere for a machine before the record that calls for it is durable.
//   - A machine has one operation in flight at most, and an actor's operation comes back to it as a message.
//   - An answer that readers may give themselves is taken back before anybody can learn of a change that it does not show.
//   - The pool's own record is written by the supervisor only, one write at a time; a machine's by its actor only, but for the write
//     that takes it out, during which the actor writes nothing.
//   - A machine whose end was decided never comes back: no transition leads from TERMINATING, TERMINATED or REJECTED to another state.
//   - A VM whose clone may still be running is not touched.
//   - "Could not read" is never "empty": only a complete view counts, and a VM is gone only when two in a row lack it, the second one
//     having asked for its very reference.
//   - An observation that began before the last thing known first hand is history and is dropped.
//   - A change that takes a machine out and lowers the desired size is one write.
//
// # Crash story
//
// A crash may come between any two steps. The records say what was intended, and each phase says from where to go on (resume):
//
//   - Before the clone call: the intent waits for its turn again; vSphere knows nothing of it.
//   - During or after the clone call, its task not recorded: lookingUp. It waits for every clone of the same source that runs now, and
//     then for the inventory's word: a VM with our mark for this machine is adopted, otherwise the clone is asked for again.
//   - The task recorded: it is awaited, not repeated.
//   - Cloned: power-on, shutdown, power-off and destroy are repeated; each is a success where its goal is reached already.
//   - A terminate marks the VM as retiring first, then writes record and desired size, then answers: an answered one is carried on
//     from the record, and, if even that is lost, from the mark.
//
// A write that fails changes nothing that counts, and leaves a file that is not to be trusted: the next one writes the file anew, and
// until one succeeds nothing is begun. A file that is not exactly what was written to it is refused at the start: see journal_image.go
// for how that is known, journal_pages.go for how it is read, and journal_rebuild.go for how it is repaired.
//
// If the journal is lost, clones that run are waited for, and then all VMs that carry the pool's mark with their own instance UUID become
// members again, wherever they are, with the status that is written beside the mark; only the desired size is lost, and is taken from
// the configuration or the number of active members.
// A panic in a machine's actor is a crash of that machine alone: another actor starts over the record.
package actors
