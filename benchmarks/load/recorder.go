package load

import (
	"errors"
	"maps"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"github.com/valyala/fasthttp"
)

const (
	// resolution is below what can be told apart over a network.
	resolution = time.Microsecond
	// longest is beyond every timeout; what takes longer counts as that.
	longest = time.Hour
	// late is what a request is that was sent so long after it was due: timers and a busy machine stay below.
	late = 10 * time.Millisecond
)

func newHistogram(digits int) *hdr.Histogram {
	return hdr.New(int64(resolution), int64(longest), digits)
}

func add(h *hdr.Histogram, latency time.Duration) {
	_ = h.RecordValue(int64(min(latency, longest))) // there is an error beyond longest only
}

// recorder takes what one stream of requests measures.
type recorder struct {
	inFlight, sent, late atomic.Int64

	mu         sync.Mutex
	operations []operationRecord
	// second has the latencies of those that have ended in the last one of points, which is still going on.
	second *hdr.Histogram
	points []Point
}

type operationRecord struct {
	name     string
	latency  *hdr.Histogram
	statuses map[int]int64
	errors   map[string]int64
	failed   int64
	bytes    int64
}

func newRecorder(names ...string) *recorder {
	r := &recorder{second: newHistogram(2), points: make([]Point, 1)}
	for _, name := range names {
		r.operations = append(r.operations, operationRecord{
			name: name, latency: newHistogram(3), statuses: map[int]int64{}, errors: map[string]int64{},
		})
	}
	return r
}

func (r *recorder) sending(delay time.Duration) {
	r.sent.Add(1)
	r.inFlight.Add(1)
	if delay > late {
		r.late.Add(1)
	}
}

func (r *recorder) record(operation int, a Answer, latency, now time.Duration) {
	r.inFlight.Add(-1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turnTo(now)
	point := &r.points[len(r.points)-1]
	point.Count++
	if !a.ok() {
		point.Errors++
	}
	add(r.second, latency)
	r.operations[operation].record(a, latency)
}

func (o *operationRecord) record(a Answer, latency time.Duration) {
	add(o.latency, latency)
	o.bytes += int64(a.Bytes)
	if a.Err != nil {
		o.errors[reason(a.Err)]++
	} else {
		o.statuses[a.Status]++
	}
	if !a.ok() {
		o.failed++
	}
}

// reason leaves out the addresses, by which every error would be one of its own.
func reason(err error) string {
	var op *net.OpError
	switch {
	case errors.Is(err, fasthttp.ErrTimeout) || errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.Is(err, fasthttp.ErrConnectionClosed):
		return "connection closed"
	case errors.As(err, &op):
		return op.Op + ": " + reason(op.Err)
	default:
		return err.Error()
	}
}

// turnTo ends the seconds before now, also those in which nothing happened. What comes late, between two goroutines, counts in the last.
func (r *recorder) turnTo(now time.Duration) {
	for len(r.points) <= int(now/time.Second) {
		r.points[len(r.points)-1].take(r.second)
		r.second.Reset()
		r.points = append(r.points, Point{Second: len(r.points)})
	}
}

// last is the last second that is over.
func (r *recorder) last(now time.Duration) Point {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turnTo(now)
	return r.points[max(0, len(r.points)-2)]
}

// stream is all that was recorded until now, the last second included if something ended in it.
func (r *recorder) stream(now time.Duration) Stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turnTo(now)
	s := Stream{Sent: r.sent.Load(), Late: r.late.Load()}
	s.Seconds = append(s.Seconds, r.points...)
	end := &s.Seconds[len(s.Seconds)-1]
	end.take(r.second)
	if end.Count == 0 && len(s.Seconds) > 1 {
		s.Seconds = s.Seconds[:len(s.Seconds)-1]
	}
	for i := range r.operations {
		s.Operations = append(s.Operations, r.operations[i].operation(now))
	}
	return s
}

func (o *operationRecord) operation(took time.Duration) Operation {
	h := o.latency
	result := Operation{
		Name: o.name, Count: h.TotalCount(), Errors: o.failed, Bytes: o.bytes, Rate: float64(h.TotalCount()) / took.Seconds(),
		Answers: maps.Clone(o.errors),
	}
	for status, n := range o.statuses {
		result.Answers[strconv.Itoa(status)] = n
	}
	if result.Count > 0 {
		result.Latency = Latency{
			Min: time.Duration(h.Min()), P50: quantile(h, 50), P90: quantile(h, 90), P99: quantile(h, 99), P999: quantile(h, 99.9),
			Max: time.Duration(h.Max()),
		}
	}
	return result
}

func quantile(h *hdr.Histogram, q float64) time.Duration { return time.Duration(h.ValueAtQuantile(q)) }
