package goals

// Table is every goal, in the order of the report.
var Table = []Goal{
	{"Reads/size", "x-floor", AtLeast, 0.90, false, "GET /pool/size, requests a second against a static fasthttp handler of the same bytes"},
	{"Reads/pool-10", "x-floor", AtLeast, 0.95, false, "GET /pool of 10 members, likewise"},
	{"Reads/pool-1000", "x-floor", AtLeast, 0.95, false, "GET /pool of 1,000 members, likewise"},
	{"Reads/pool-10000", "x-floor", AtLeast, 0.95, false, "GET /pool of 10,000 members, likewise"},
	{"Reads/pool-1000-gzip", "x-floor", AtLeast, 5, false, "GET /pool of 1,000 members with gzip, against the plain floor"},
	{"Reads/pool-1000-304", "x-size", AtLeast, 0.90, false, "GET /pool that has not changed (304), against GET /pool/size"},

	{"Converge/up", "x-raw", AtMost, 1.05, false, "time from 0 to 1,000 machines, against a bare govmomi loop with the same concurrency"},
	{"Converge/down", "x-raw", AtMost, 1.05, false, "time from 1,000 machines to 0, likewise"},
	{"Converge/calls", "calls/machine", AtMost, 4, true, "SOAP calls per launched machine, all of the adapter's included"},
	{"Converge/steady", "calls/min", AtMost, 10, true, "SOAP calls a minute at rest with 1,000 members, besides the event poll"},

	{"Virtual/up", "x-ideal", AtMost, 1.01, true, "virtual time from 0 to 10,000 machines, clones of 30 s, 20 at a time, against the ideal schedule"},
}
