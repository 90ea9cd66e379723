// Package simulator is an embedded vCenter: govmomi's vcsim with one template, made safe to live inside a server process, used by
// `serve --simulator` over HTTPS and by tests in process, also inside testing/synctest bubbles.
//
// It is not a model of vSphere's resources: nothing is ever full, placement is the template's host, and a linked clone is a full one.
//
// # Why a gate
//
// Plain vcsim runs each task in a goroutine of its own. A missing resource pool, an unknown SET. path in extraConfig, or a VM that
// becomes visible before it has a name panics there, and nobody can recover it: the process dies. In a handler the same panic leaves
// locks taken for ever. So every call of a logged-in client is diverted to the gate, which
//   - refuses references to objects that do not exist, paths that leave the datastore and options that would start containers,
//   - lets calls that can change the inventory take turns, so that none sees another's half-made objects,
//   - makes a task wait (for its delay, then its turn) without any lock, so that the template stays readable meanwhile,
//   - runs tasks that a task starts within it, at once: no lock is ever held across a sleep, which a synctest bubble would not survive,
//   - turns a panic into a SystemError fault, frees the locks it left behind and removes the VMs it left half made.
//
// # Invariants
//
//   - A task is complete only after everything it started is, and a VM that a finished task made is complete.
//   - While a clone waits, its VM does not exist, but its name is taken. Its task shows the template as entity and
//     "VirtualMachine.cloneVm" as descriptionId.
//   - A powered-off VM shows no address; no two living VMs have the same address or, if they are clones, network card address.
//   - After [Simulator.Close] no goroutine, file or port is left, and calls are refused.
//
// # Crash story
//
// All state is memory, apart from a temporary directory (govcsim-*) that a killed process leaves behind.
//
// # What remains dangerous
//
//   - A property collector's wait (WaitForUpdatesEx) on a ContainerView or a folder can deadlock vcsim while VMs are cloned, and costs
//     CPU in proportion to the inventory. It blocks what touches the objects involved, not the process. Poll instead.
//   - Task history collectors read tasks without their locks: a data race, seen by -race only. Read recentTask instead.
//   - A panic while vcsim's own mutexes (TaskManager, history collectors) are held leaves those locked.
//   - TaskManager.CreateTask registers its task in a bare goroutine; it needs a registered extension to get there.
//   - Datastore file transfer (/folder), NFC and guest file transfer are not served over HTTPS, and no datastores can be added.
package simulator
