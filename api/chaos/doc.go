// Package chaos is the proof by fault: it has tests only. A run plays a random history against the whole server (the HTTPS handlers of
// package api, the actors, the bbolt journal, the vSphere driver with its sessions) and the embedded simulator, in one testing/synctest
// bubble, so that hours of virtual time pass in a second, and compares all that can be seen with a small model of what the pool promises.
// It is the one place that may know everything from HTTP to vCenter.
//
// # A history
//
// A history is a list of steps, made from a seed and nothing else: see generate_test.go. A step is a pause and then, all at once, calls
// of the API, in the forms of 2.0 and 5.0, and acts: those of an administrator (admin_test.go), troubles on the way to vCenter
// (wire_test.go), a full disk (disk_test.go), a crash, a restart, the loss of the state directory (world_test.go). Steps are plain JSON.
// They name machines by their places in a sorted list, never by an id.
//
// A crash may come at any effect: an armed fuse counts the moments before and after every journal write and every call that changes
// something in vCenter, and from the chosen one on nothing that the process does has any effect, and no answer of it arrives.
//
// In the end comes peace: all troubles are over, the pool is started and thawed, and has to get where it should be (peace_test.go).
//
// # What is checked
//
//  1. What was acknowledged is never lost: desired size, terminations, detachments, statuses, configuration, started, frozen.
//  2. There are never two VMs for one machine, nor more clones than the ceiling allows.
//  3. Nothing is changed about a VM whose mark is not the pool's and was not read a moment before; an attach may claim one.
//  4. Protected machines are not powered off or destroyed.
//  5. Once there is peace, active comes to desired, and nothing is left over that nobody reports.
//  6. Machines that leave, rails that hold, sizes that are not met and transitions in the log all say why.
//  7. Answers are those of the API, and answers to calls made at the same time make sense in some order; a decrement counts once.
//  8. Nothing panics, and no goroutine outlives the server.
//
// The model (model_test.go) is made from the specification. A call without an answer may have been done or not, so it keeps sets of
// possible values, which an observation narrows. After calls at the same time the possible desired sizes are those of all orders that
// explain the answers (linearize_test.go). A spy (spy_test.go) sees each call at the door of the simulator, and the inventory from within.
//
// What the model does not hold against the pool: a status that was acknowledged before the machine ever ran, and a termination from
// before it had a VM, live in the journal only, and are lost with the state directory; what GET /pool shows while the disk is full may
// be taken back by a crash.
//
// # Reading a failure
//
// The first violation is what matters; the number is that of the list above. Below it stands the command that plays the history again, the
// shrunk history, one step a line, and the end of its transcript: steps, the server's log, calls with their answers, and the acts, all
// with the virtual time in seconds. -transcript shows those of every history. What is kept in testdata/regressions is played by
// TestRegressions from then on; remove the file if the test was wrong.
//
// # What is repeatable
//
// The steps, machine ids, latencies (each call has its own, so that virtual time puts them in order), and which call meets which trouble
// depend on the seed alone. What the scheduler decides is the order of goroutines that are ready at the same instant, and the program draws
// the pauses between its tries at random, so a transcript may differ in places. A crash counted in moments may therefore strike elsewhere
// in another run; a history that fails for that alone may shrink less.
//
// # Limits
//
// The way to vCenter is not HTTP but [vsphere.Connector.Over] the simulator in process, where the sessions, which the simulator would share
// among all, are kept by the test's network. Hosts are not disconnected in the simulator, which knows no such thing of VMs; answers show
// them so. The simulator's proxy does its part with real connections, in the tests of package actors.
package chaos
