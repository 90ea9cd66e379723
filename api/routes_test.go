package api

import (
	"testing"
)

// TestEveryOperationIsRouted lists the operations as the two API documents do.
func TestEveryOperationIsRouted(t *testing.T) {
	documents := map[version][]string{
		v2: {
			"GET /pool", "GET /pool/size", "POST /pool/size", "POST /pool/{id}/terminate", "POST /pool/{id}/serviceState",
			"POST /pool/{id}/detach", "POST /pool/{id}/attach",
		},
		v5: {
			"POST /config", "GET /config", "POST /start", "POST /stop", "GET /status", "GET /pool", "GET /pool/size", "POST /pool/size",
			"POST /pool/terminate", "POST /pool/detach", "POST /pool/attach", "POST /pool/serviceState", "POST /pool/membershipStatus",
		},
	}
	table := make(map[string]version)
	for _, route := range routes {
		name := route.method + " " + route.path
		if _, twice := table[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		table[name] = route.versions
	}
	for v, operations := range documents {
		for _, operation := range operations {
			if table[operation]&v == 0 {
				t.Errorf("%s of version bit %d is missing", operation, v)
			}
		}
	}
	own := []string{"GET /pool/freeze", "POST /pool/freeze", "GET /pool/orphans", "GET /metrics"}
	for _, operation := range own {
		if table[operation] == 0 {
			t.Errorf("%s is missing", operation)
		}
	}
	// 7 and 13 operations, three of them shared, and the membership status in the path form of 3.0.
	if want := 7 + 13 - 3 + 1 + len(own); len(routes) != want {
		t.Errorf("%d routes, want %d", len(routes), want)
	}
}
