package api

import (
	"errors"
	"fmt"
	"testing"

	"github.com/valyala/fasthttp"
	"pgregory.net/rapid"
)

// fuzzBody runs a decoder on arbitrary bodies: it succeeds or answers 400 or 415, and never panics.
func fuzzBody(f *testing.F, path string, seeds ...string) {
	for _, seed := range append(seeds, "", "{}", "null", "[[[", `{"a":`, "\xff", `{"machineId":"a"}`) {
		f.Add(seed, jsonType)
		f.Add(seed, "")
	}
	pool := newScripted()
	s, _ := newTestServer(f, pool, defaultLimits)
	f.Fuzz(func(t *testing.T, body, contentType string) {
		response := call{"POST", path, body, contentType, nil}.run(s)
		asked := pool.said() != ""
		switch response.StatusCode() {
		case 200:
			if !asked {
				t.Fatal("200 without asking the pool")
			}
		case 400, 415:
			errorOf(t, response.Body())
			if asked {
				t.Fatal("the pool was asked by a bad request")
			}
		default:
			t.Fatalf("%d %s", response.StatusCode(), response.Body())
		}
	})
}

func FuzzSize(f *testing.F) {
	fuzzBody(f, "/pool/size", `{"desiredSize":3}`, `{"desiredSize":1e9}`, `{"desiredSize":-0}`)
}

func FuzzRemoval(f *testing.F) {
	fuzzBody(f, "/pool/terminate", `{"machineId":"a","decrementDesiredSize":true}`)
}

func FuzzServiceState(f *testing.F) {
	fuzzBody(f, "/pool/serviceState", `{"machineId":"a","serviceState":"BOOTING"}`)
}

func FuzzMembership(f *testing.F) {
	fuzzBody(f, "/pool/membershipStatus", `{"machineId":"a","membershipStatus":{"active":true,"evictable":false}}`)
}

func FuzzConfig(f *testing.F) {
	fuzzBody(f, "/config", `{"name":"web"}`, "name: web")
}

// TestSizeTakesWholeNumbersOnly compares the decoder with the plain statement of what it accepts.
func TestSizeTakesWholeNumbersOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64().Draw(t, "n")
		o, err := parseObject(fmt.Appendf(nil, `{"desiredSize":%d}`, n))
		if err != nil {
			t.Fatal(err)
		}
		got, err := o.size("desiredSize")
		if valid := n >= 0 && n < 1<<31; valid != (err == nil) || valid && int64(got) != n {
			t.Fatalf("%d: %d %v", n, got, err)
		}
	})
}

func TestErrorsAreProblems(t *testing.T) {
	_, err := object{}.membership("m")
	var p *problem
	if !errors.As(err, &p) || p.status != fasthttp.StatusBadRequest {
		t.Errorf("%v", err)
	}
}

func TestCompressedBodyIsRefused(t *testing.T) {
	pool := newScripted()
	s, _ := newTestServer(t, pool, defaultLimits)
	c := call{"POST", "/pool/size", `{"desiredSize":3}`, "", map[string]string{"Content-Encoding": "gzip"}}
	if got := c.run(s).StatusCode(); got != 415 || pool.said() != "" {
		t.Errorf("gzip: %d", got)
	}
	c.headers["Content-Encoding"] = "Identity"
	if got := c.run(s).StatusCode(); got != 200 {
		t.Errorf("identity: %d", got)
	}
}
