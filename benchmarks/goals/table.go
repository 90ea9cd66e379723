package goals

// Table is every goal, in the order of the report.
var Table = []Goal{
	{"Reads/size", "x-floor", AtLeast, 0.90, false, "GET /pool/size, requests a second against a static fasthttp handler of the same bytes"},
	{"Reads/pool-10", "x-floor", AtLeast, 0.95, false, "GET /pool of 10 members, likewise"},
	{"Reads/pool-1000", "x-floor", AtLeast, 0.95, false, "GET /pool of 1,000 members, likewise"},
	{"Reads/pool-10000", "x-floor", AtLeast, 0.95, false, "GET /pool of 10,000 members, likewise"},
	{"Reads/pool-1000-gzip", "x-floor", AtLeast, 5, false, "GET /pool of 1,000 members with gzip, against the plain floor"},
	{"Reads/pool-1000-304", "x-size", AtLeast, 0.90, false, "GET /pool that has not changed (304), against GET /pool/size"},

	{"Handle/size", "allocs/request", AtMost, 0, true, "allocations of answering GET /pool/size of a pool that has not changed"},
	{"Handle/pool-10", "allocs/request", AtMost, 0, true, "likewise GET /pool of 10 members"},
	{"Handle/pool-10000", "allocs/request", AtMost, 0, true, "likewise of 10,000 members"},
	{"Handle/pool-10-304", "allocs/request", AtMost, 1, true, "likewise when the client has it (304), of 10 members"},
	{"Handle/pool-10000-304", "allocs/request", AtMost, 1, true, "likewise of 10,000 members"},
	{"Handle/pool-10-gzip", "allocs/request", AtMost, 4, true, "likewise GET /pool with gzip, of 10 members"},
	{"Handle/pool-10000-gzip", "allocs/request", AtMost, 4, true, "likewise of 10,000 members"},

	{"Converge/up", "x-raw", AtMost, 1.05, false, "time from 0 to 1,000 machines, clones and boots taking none, against a bare govmomi loop"},
	{"Converge/down", "x-raw", AtMost, 1.05, false, "time from 1,000 machines to 0, likewise"},
	{"Converge/calls", "calls/machine", AtMost, 4, true, "SOAP calls per launched machine, all of the adapter's included"},
	{"Converge/calls-down", "calls/machine", AtMost, 4, true, "SOAP calls per terminated machine, likewise"},
	{"Converge/steady", "calls/min", AtMost, 10, true, "SOAP calls a minute at rest with 1,000 members, besides the event poll"},

	{"Costs/leased-read", "allocs/read", AtMost, 0, true, "allocations of asking for size and view of a pool that has not changed"},
	{"Costs/view-1000", "µs", AtMost, 100, false, "time to make the view of 1,000 members after one of them has changed"},
	{"Costs/view-10000", "µs", AtMost, 1000, false, "likewise of 10,000 members"},
	{"Costs/view-growth", "B/member", AtMost, 10, true, "bytes that such a view costs for each member that has not changed: a pointer's"},
	{"Costs/status-10000", "µs", AtMost, 1000, false, "time to tell how a pool of 10,000 members stands, its rails included"},

	{"Costs/plan-steady-10000", "ms", AtMost, 5, false, "time to plan for 10,000 members at rest, the counting of them included"},
	{"Costs/plan-growing-10000", "ms", AtMost, 5, false, "likewise of a pool that grows"},
	{"Costs/plan-shrinking-10000", "ms", AtMost, 5, false, "likewise of one that is to shrink to nothing"},
	{"Costs/launch-alone", "fsyncs/machine", AtMost, 20, true, "flushes of the journal for a machine that is launched alone"},
	{"Costs/launch-alone", "B/machine", AtMost, 135_000, true, "bytes that are written to the journal for it"},
	{"Costs/launch-of-40", "fsyncs/machine", AtMost, 4, true, "flushes per machine where many are launched together"},
	{"Costs/launch-of-40", "B/machine", AtMost, 45_000, true, "bytes likewise"},
	{"Costs/launch-of-40", "messages/machine", AtMost, 110, true, "messages between actors, likewise, those that all share included"},
	{"Costs/status", "fsyncs/change", AtMost, 2, true, "flushes for a change of one machine's status"},
	{"Costs/status", "B/change", AtMost, 33_000, true, "bytes likewise, in a pool of 10,000"},
	{"Costs/resize", "fsyncs/change", AtMost, 2, true, "flushes for a new desired size"},
	{"Costs/resize", "B/change", AtMost, 16_000, true, "bytes likewise, in a pool of 10,000"},
	{"Costs/memory-10000", "B/member", AtMost, 8192, true, "memory per member at rest, in all of its places"},
	{"Costs/idle-10000", "%core", AtMost, 1, false, "processor time at rest with 10,000 members, on a scripted vCenter"},

	{"Change/reads", "x-idle-size-p99", AtMost, 2, false, "p99 of GET /pool/size while 1,000 machines launch, against the pool at rest"},
	{"Change/reads", "x-idle-pool-p99", AtMost, 2, false, "p99 of GET /pool while 1,000 machines launch, against the pool at rest"},
	{"Change/writes", "x-fsync-p99", AtMost, 4, false, "POST /pool/size until it is on disk, p99 against a flushed write of a page"},
	{"Change/sight", "s-p99", AtMost, 1, false, "from a change by an administrator to its showing in GET /pool, p99 with 1,000 members"},

	{"Virtual/up", "x-ideal", AtMost, 1.01, true, "virtual time from 0 to 10,000 machines, 20 clones of 30 s at once, against the ideal"},
	{"Virtual/up", "%core", AtMost, 1, false, "processor time of that growth, against the real time that it would take"},
	{"Virtual/down", "x-ideal", AtMost, 1.01, true, "virtual time from 10,000 machines to 0, 20 destroyed at once, likewise"},
}
