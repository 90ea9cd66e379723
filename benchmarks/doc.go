// Package benchmarks measures the program from outside, as its users meet it: over HTTPS, on the embedded simulator. What can be measured
// inside one package is measured there. `make bench` runs all of it; figures are to be compared within one run only.
//
// # What was tried
//
// Handlers get what they tell of the pool from its supervisor, an actor. These are ways to ask it for the view, measured alternately with
// an actor that does nothing but answer, by one reader and by 64 at once: the time of an answer as a share of the first way's (the best
// of 19 runs each, on two processors that had other work too), and its allocations.
//
//	                                                     1 reader            64 readers
//	a future for each request, as the actor library has  1.00   12 allocs    1.00   11 allocs
//	a message with a pooled channel for the reply        0.53    3           0.60    3
//	the same without a timer                             0.26    0           0.47    0
//	one message for all who wait at the same moment      0.21    6           0.39    4
//	an answer that stands until it is taken back         0.002   0           0.006   0
//
// The future costs a place in the registry of processes, a timer, and a lock with its wake-up on either side. Most of what is left
// without them is the way there and back between goroutines, which only fewer messages can save: hence one message for all who wait,
// each of whom came before the supervisor began to answer. With a future for each, GET /pool/size reached 0.75 to 0.81 of the floor.
//
// So the answer is leased: the supervisor says how things stand, and takes that back before it looks at any message that may change it;
// whoever reads meanwhile need not ask. The last two ways together are what the program does. A lease that readers check against the
// clock cost 85 to 135 ns a read, most of it for the time of day; a timer that ends the lease leaves 20 to 30 ns. A read that comes after a
// change costs an exchange and, for 10,000 members, some 50 µs for a view in which one pointer differs; making such a view by sorting
// and copying the members took 40 ms.
package benchmarks
