package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"vspherepool/actors"
)

func TestDocuments(t *testing.T) {
	pool := newScripted()
	s, _ := newTestServer(t, pool, defaultLimits)
	document := func(path string) []byte {
		var out bytes.Buffer
		if err := json.Indent(&out, call{method: "GET", path: path}.run(s).Body(), "", "  "); err != nil {
			t.Fatal(err)
		}
		return append(out.Bytes(), '\n')
	}
	golden(t, "pool.json", document("/pool"))
	golden(t, "size.json", document("/pool/size"))
	golden(t, "status.json", document("/status"))
	pool.view = actors.View{Epoch: "e2"}
	golden(t, "pool-empty.json", document("/pool"))
	churn := actors.Rail{Name: "churn", Limit: 20, Value: 20, Holding: true, Reason: "20 replacements within an hour", Lift: "thaw"}
	pool.status = actors.Status{
		Outage: "vCenter does not answer", Blocked: "datastore full", Frozen: "settling",
		Observed: testView.Observed, Holding: []actors.Rail{churn}, Orphans: 2, Foreign: 1, Notes: []string{"linked clones"},
	}
	golden(t, "status-troubled.json", document("/status"))
	golden(t, "freeze-none.json", document("/pool/freeze"))
	golden(t, "orphans-none.json", document("/pool/orphans"))
	pool.freeze = actors.Freeze{
		Frozen: true, Manual: true, Since: testView.Observed, Reasons: []string{"frozen by hand: SAN work"},
		Rails: []actors.Rail{churn, {Name: "creates", Limit: 8, Value: 2}},
	}
	golden(t, "freeze.json", document("/pool/freeze"))
	pool.strays = []actors.Stray{
		{
			VM: "vm-7", Name: "web-1", Machine: testView.Machines[0].ID, State: "poweredOn",
			Created: testView.Observed.Add(-time.Hour), Seen: testView.Observed, Reason: "no record of it",
		},
		{VM: "vm-8", Name: "web-2", Machine: testView.Machines[1].ID, State: "poweredOff", Seen: testView.Observed},
	}
	golden(t, "orphans.json", document("/pool/orphans"))
}

func TestNegotiate(t *testing.T) {
	for accept, want := range map[string]coding{
		"":                                   identity,
		"gzip":                               gzipped,
		"GZIP":                               gzipped,
		"zstd":                               zstandard,
		"gzip, zstd":                         zstandard,
		"gzip, deflate, br, zstd":            zstandard,
		"gzip;q=1.0, zstd;q=0.5":             gzipped,
		"gzip;q=0":                           identity,
		"gzip;q=0.0, zstd;q=0":               identity,
		"gzip;q=0.000":                       identity,
		"gzip ; Q=0":                         identity,
		"identity":                           identity,
		"identity, gzip;q=0.5":               identity,
		"identity;q=0.5, gzip;q=0.5":         gzipped,
		"identity;q=0, gzip;q=0":             identity,
		"*":                                  gzipped,
		"*;q=0":                              identity,
		"gzip;q=0, *":                        identity,
		"br":                                 identity,
		"deflate, br":                        identity,
		"x-gzip":                             identity,
		"gzip;q=abc":                         identity,
		"gzip;q=2":                           identity,
		"gzip;q=NaN":                         identity,
		"gzip;level=9;q=0":                   identity,
		",, ,gzip,":                          gzipped,
		"zstd;q=0.1, gzip;q=0.2":             gzipped,
		"identity;q=1, *;q=0":                identity,
		"gzip;q=1.0, identity; q=0.5, *;q=0": gzipped,
	} {
		if got := negotiate(accept); got != want {
			t.Errorf("negotiate(%q) = %s, want %s", accept, got, want)
		}
	}
}

func TestHolds(t *testing.T) {
	const tag = `"e1-7-5-gzip"`
	for header, want := range map[string]bool{
		"":                            false,
		tag:                           true,
		"W/" + tag:                    true,
		"*":                           true,
		" * ":                         true,
		`"a", ` + tag:                 true,
		`"a",W/` + tag + `,"b"`:       true,
		`"a,b",` + tag:                true,
		`W/"a" , W/"b"`:               false,
		`"e1-7-5"`:                    false,
		`e1-7-5-gzip`:                 false,
		`"e1-7-5-gzip`:                false,
		`"`:                           false,
		`"x` + tag + `"`:              false,
		`"a", *`:                      false,
		`"unfinished, ` + `"e1-7-5-g`: false,
	} {
		if got := holds(header, tag); got != want {
			t.Errorf("holds(%q) = %t, want %t", header, got, want)
		}
	}
}

func TestPoolIsEncodedAsAskedAndRevalidated(t *testing.T) {
	pool := newScripted()
	s, _ := newTestServer(t, pool, defaultLimits)
	get := func(accept, ifNoneMatch string) (status int, tag, encoding string, body []byte) {
		r := call{method: "GET", path: "/pool", headers: map[string]string{"Accept-Encoding": accept, "If-None-Match": ifNoneMatch}}.run(s)
		if string(r.Header.Peek("Vary")) != "Accept-Encoding" || string(r.Header.Peek("Cache-Control")) != "no-cache" {
			t.Errorf("caching headers:\n%s", r.Header.String())
		}
		return r.StatusCode(), string(r.Header.Peek("ETag")), string(r.Header.ContentEncoding()), r.Body()
	}
	_, plainTag, _, plain := get("", "")
	tags := map[string]bool{plainTag: true}
	for _, accept := range []string{"gzip", "zstd"} {
		status, tag, encoding, body := get(accept, "")
		if status != 200 || encoding != accept || !bytes.Equal(unpack(t, accept, body), plain) {
			t.Errorf("%s: %d, encoding %q, content differs or not", accept, status, encoding)
		}
		tags[tag] = true
		if status, _, encoding, body := get(accept, `"x", W/`+tag); status != 304 || len(body) > 0 || encoding != "" {
			t.Errorf("%s: revalidation answered %d %q", accept, status, body)
		}
		if status, _, _, _ := get(accept, plainTag); status != 200 {
			t.Errorf("%s: the tag of another encoding answered %d", accept, status)
		}
	}
	pool.view.Observed = pool.view.Observed.Add(time.Millisecond)
	status, later, _, body := get("", plainTag)
	if status != 200 || bytes.Equal(body, plain) {
		t.Errorf("a later observation answered %d", status)
	}
	tags[later] = true
	pool.view.Version++
	_, changed, _, _ := get("", "")
	pool.view.Epoch = `e"2, é`
	_, reborn, _, _ := get("", "")
	tags[changed], tags[reborn] = true, true
	if len(tags) != 6 {
		t.Errorf("tags are not distinct: %v", tags)
	}
	if status, _, _, _ := get("", reborn); status != 304 {
		t.Errorf("odd epoch: tag %s answered %d", reborn, status)
	}
}

func unpack(t *testing.T, name string, body []byte) []byte {
	t.Helper()
	var in io.Reader
	if name == "gzip" {
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		in = r
	} else {
		r, err := zstd.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		in = r
	}
	out, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReadersShareOneEncoding(t *testing.T) {
	var cache poolCache
	var readers sync.WaitGroup
	bodies := make([][]byte, 32)
	for i := range bodies {
		readers.Go(func() {
			if answer, err := cache.document(testView).answers[gzipped](); err == nil {
				bodies[i] = answer.body
			}
		})
	}
	readers.Wait()
	for _, body := range bodies {
		if len(body) == 0 || &body[0] != &bodies[0][0] {
			t.Fatal("an encoding was made twice")
		}
	}
}

// TestTagsTellViewsApart checks what a strong tag promises: equal tags, equal bytes.
func TestTagsTellViewsApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		view := rapid.Custom(func(t *rapid.T) actors.View {
			return actors.View{
				Epoch:    rapid.SampledFrom([]string{"a", "a-1", "1", "a%", `"`, "-"}).Draw(t, "epoch"),
				Version:  rapid.Uint64Range(0, 3).Draw(t, "version"),
				Observed: time.UnixMicro(rapid.Int64Range(-3000, 3000).Draw(t, "observed")),
			}
		})
		a, b := view.Draw(t, "a"), view.Draw(t, "b")
		var cache poolCache
		da, db := cache.document(a), cache.document(b)
		ja, errA := da.answers[identity]()
		jb, errB := db.answers[identity]()
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		same := a.Epoch == b.Epoch && a.Version == b.Version && bytes.Equal(ja.body, jb.body)
		if (da.tag(identity) == db.tag(identity)) != same {
			t.Fatalf("%s and %s for %v and %v", da.tag(identity), db.tag(identity), a, b)
		}
	})
}

func FuzzNegotiate(f *testing.F) {
	f.Add("gzip;q=0.5, *;q=0", `W/"a", "b"`)
	f.Fuzz(func(_ *testing.T, accept, match string) {
		negotiate(accept)
		holds(match, `"t"`)
	})
}

func BenchmarkGetPool(b *testing.B) {
	pool := newScripted()
	pool.view.Machines = make([]*actors.Machine, 1000)
	for i := range pool.view.Machines {
		m := *testView.Machines[0]
		m.Metadata.Name = fmt.Sprint("web-", i)
		pool.view.Machines[i] = &m
	}
	s, _ := newTestServer(b, pool, defaultLimits)
	c := call{method: "GET", path: "/pool", headers: map[string]string{"Accept-Encoding": "gzip"}}
	for b.Loop() {
		c.run(s)
	}
}
