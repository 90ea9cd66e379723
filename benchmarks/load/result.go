package load

import (
	"slices"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a run has measured. In JSON, all durations are in nanoseconds.
type Result struct {
	Began time.Time `json:"began"`
	// Sent is when the last request could be sent, Took when the last answer was there.
	Sent time.Duration `json:"sentNs"`
	Took time.Duration `json:"tookNs"`
	// Workers, Rate, Pollers and PollInterval are those of the plan.
	Workers      int           `json:"workers"`
	Rate         float64       `json:"rate,omitempty"`
	Pollers      int           `json:"pollers,omitempty"`
	PollInterval time.Duration `json:"pollIntervalNs,omitempty"`
	Requests     Stream        `json:"requests"`
	// Polls is nil without pollers.
	Polls *Stream `json:"polls,omitempty"`
}

// Stream is the requests of the workers, or those of the pollers.
type Stream struct {
	// Sent are the requests that were sent.
	Sent int64 `json:"sent"`
	// Late are those that were sent 10 ms or more after they were due, for want of a free connection or of time. Their latencies count
	// from when they were due.
	Late int64 `json:"late"`
	// Unsent were due and not sent before the end. No latency tells of them.
	Unsent     int64       `json:"unsent"`
	Operations []Operation `json:"operations"`
	// Seconds has each second of the run, by the requests that ended in it.
	Seconds []Point `json:"seconds"`
}

// Operation is what came of all requests of one kind.
type Operation struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
	// Rate is in requests a second.
	Rate float64 `json:"rate"`
	// Errors are requests without an answer, and those with another status than 200 and 304.
	Errors int64 `json:"errors"`
	// Answers counts them by status; those that did not come, by what was wrong.
	Answers map[string]int64 `json:"answers"`
	// Bytes are those of the bodies.
	Bytes   int64   `json:"bytes"`
	Latency Latency `json:"latency"`
}

// Latency is a distribution of latencies, errors included, each precise to a thousandth.
type Latency struct {
	Min  time.Duration `json:"minNs"`
	P50  time.Duration `json:"p50Ns"`
	P90  time.Duration `json:"p90Ns"`
	P99  time.Duration `json:"p99Ns"`
	P999 time.Duration `json:"p999Ns"`
	Max  time.Duration `json:"maxNs"`
}

// Point is one second of a run.
type Point struct {
	// Second counts from 0.
	Second int           `json:"second"`
	Count  int64         `json:"count"`
	Errors int64         `json:"errors"`
	P50    time.Duration `json:"p50Ns"`
	P99    time.Duration `json:"p99Ns"`
	Max    time.Duration `json:"maxNs"`
}

func (p *Point) take(h *hdr.Histogram) {
	if h.TotalCount() > 0 {
		p.P50, p.P99, p.Max = quantile(h, 50), quantile(h, 99), time.Duration(h.Max())
	}
}

// Progress is how far a run is.
type Progress struct {
	Elapsed time.Duration
	// Requests and Polls are about the last second that is over.
	Requests, Polls Point
	InFlight        int64
}

// Operation finds one by its name, Poll for the pollers'.
func (r Result) Operation(name string) (Operation, bool) {
	all := r.Requests.Operations
	if r.Polls != nil {
		all = append(slices.Clip(all), r.Polls.Operations...)
	}
	for _, o := range all {
		if o.Name == name {
			return o, true
		}
	}
	return Operation{}, false
}

// Errors are those of all requests.
func (r Result) Errors() (n int64) {
	for _, o := range r.Requests.Operations {
		n += o.Errors
	}
	if r.Polls != nil {
		for _, o := range r.Polls.Operations {
			n += o.Errors
		}
	}
	return n
}
