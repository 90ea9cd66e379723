// Command vspherepool keeps a pool of vSphere VMs at a desired size and serves the elastisys cloud adapter REST API: the server
// (serve), and the commands that talk to a running one.
//
// This package is wiring: it reads flags and environment, puts the packages together in a straight line, takes them down in the
// reverse order, and turns errors into exit codes. It decides nothing about machines, and nothing else knows of processes,
// terminals or environment variables.
//
// # Invariants
//
//   - The ready line is the only thing that serve writes to standard output, and it is written once, when requests are answered.
//   - A set-up that fails half-way is taken down by the same stack of clean-ups as a finished one.
//   - What an option is called, defaults to, means and may be stands in one table, see serve_options.go.
//
// # Crash story
//
// All durable state is in the state directory and is the journal's business. What else a killed process leaves behind is the copy of
// its certificate for clients on the same machine, which the next one overwrites, and with --simulator a temporary directory.
package main
