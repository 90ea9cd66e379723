// Package load makes requests at an adapter and measures how long the answers take.
//
// In a closed loop every worker sends its next request when it has the answer to its last. That shows what the server can do at most, and
// hides how long users wait: while the server stalls, nobody asks. In an open loop requests are due at times that do not depend on the
// server, as those of many users are, and each one's latency counts from when it was due, even if no worker was free to send it then. That
// is free of what Gil Tene calls coordinated omission. Pollers ask for the pool again and again, as autoscalers do, each on a connection of
// its own; theirs is an open loop, too.
//
// Latencies are kept in histograms of three digits (HdrHistogram), and for each second in one of two.
package load
