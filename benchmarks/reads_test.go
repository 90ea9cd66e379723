package benchmarks

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vspherepool/benchmarks/goals"
)

const (
	// readers are the connections, each with one request at a time.
	readers = 16
	// rounds are the turns that each server takes, alternately; a ratio is that of two turns next to each other.
	rounds = 7
	turn   = 500 * time.Millisecond
)

// reading is one kind of request.
type reading struct {
	name    string
	members int
	request []byte
	// floor is what the static server answers, if that is not what the adapter does.
	floor []byte
}

// BenchmarkReads compares reads over TLS keep-alive with the floor, a handler of the same server library that answers the same bytes
// whatever it is asked, and with what one would write with the standard library.
func BenchmarkReads(b *testing.B) {
	for _, r := range []reading{
		{name: "size", members: 10, request: get("/pool/size")},
		{name: "pool-10", members: 10, request: get("/pool")},
		{name: "pool-1000", members: 1000, request: get("/pool")},
		{name: "pool-10000", members: 10000, request: get("/pool")},
		{name: "pool-1000-gzip", members: 1000, request: get("/pool", "Accept-Encoding: gzip"), floor: get("/pool")},
	} {
		b.Run(r.name, func(b *testing.B) { againstFloor(b, r) })
	}
	b.Run("pool-1000-304", unchanged)
}

// unchanged compares the question whether a pool has changed with the one for its size.
func unchanged(b *testing.B) {
	adapter := spawn(b, "adapter", "1000")
	tag := etag(b, adapter, get("/pool"))
	same, size := conns(b, adapter, get("/pool", "If-None-Match: "+tag)), conns(b, adapter, get("/pool/size"))
	var ratios []float64
	for range rounds {
		s, a := drive(b, adapter, size, turn), drive(b, adapter, same, turn)
		ratios = append(ratios, a.rate/s.rate)
	}
	goals.Report(b, "x-size", ratios...)
}

func againstFloor(b *testing.B, r reading) {
	adapter := spawn(b, "adapter", fmt.Sprint(r.members))
	plain := r.floor
	if plain == nil {
		plain = r.request
	}
	floor := spawn(b, "floor", saved(b, answer(b, adapter, plain)))
	standard := spawn(b, "standard", saved(b, answer(b, adapter, plain)))
	ratios, costs, others := []float64{}, []float64{}, []float64{}
	mine, theirs, those := conns(b, adapter, r.request), conns(b, floor, r.request), conns(b, standard, r.request)
	drive(b, adapter, mine, turn)
	drive(b, floor, theirs, turn)
	for range rounds {
		f, a, s := drive(b, floor, theirs, turn), drive(b, adapter, mine, turn), drive(b, standard, those, turn)
		ratios = append(ratios, a.rate/f.rate)
		others = append(others, a.rate/s.rate)
		costs = append(costs, float64(a.cpu)/float64(f.cpu))
	}
	goals.Report(b, "x-floor", ratios...)
	goals.Report(b, "x-floor-cpu", costs...)
	goals.Report(b, "x-nethttp", others...)
}

func conns(b *testing.B, server *child, request []byte) []*wire {
	b.Helper()
	all := make([]*wire, readers)
	for i := range all {
		all[i] = dial(b, server.addr, request)
	}
	return all
}

// answer is the body of one answer.
func answer(b *testing.B, server *child, request []byte) []byte {
	b.Helper()
	var body bytes.Buffer
	if _, err := dial(b, server.addr, request).exchange(&body); err != nil {
		b.Fatal(err)
	}
	return body.Bytes()
}

func saved(b *testing.B, body []byte) string {
	b.Helper()
	file := filepath.Join(b.TempDir(), "body.json")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		b.Fatal(err)
	}
	return file
}

// etag is the validator of the current answer.
func etag(b *testing.B, server *child, request []byte) string {
	b.Helper()
	head, err := dial(b, server.addr, request).exchange(nil)
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := strings.Cut(string(head), "Etag: ")
	tag, _, found := strings.Cut(after, "\r\n")
	if !found {
		b.Fatalf("no tag in %q", head)
	}
	return tag
}
