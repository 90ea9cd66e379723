package vsphere

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// Severity says how much a finding matters.
type Severity string

// The severities.
const (
	// Fine: nothing to do.
	Fine Severity = "ok"
	// Warning: the pool works, but something will go wrong or is missing that a feature needs.
	Warning Severity = "warning"
	// Failure: machines cannot be made, followed or removed until it is mended.
	Failure Severity = "failure"
)

// Finding is the result of one check of what a pool needs of its vCenter.
type Finding struct {
	// Check names what was checked, "privileges".
	Check string
	// Object is what it was checked on: an inventory path, or a name.
	Object   string
	Severity Severity
	// Message is a sentence that says what is so, and for what it matters; Remedy one that says what to do, empty if nothing.
	Message string
	Remedy  string
}

// Sentence is the finding in words: what is so, and what to do.
func (f Finding) Sentence() string {
	if f.Remedy == "" {
		return f.Message
	}
	return f.Message + "; " + f.Remedy
}

// Examine checks everything that a pool needs of this vCenter, and changes nothing. It makes a dozen calls, however large the pool is.
// The findings are sorted, failures first. The error says that the checks could not be made; what a single one cannot be made for is
// a finding.
func (c *Client) Examine(ctx context.Context) ([]Finding, error) {
	e := &examination{c: c, template: c.place.template, seen: map[types.ManagedObjectReference]types.ObjectContent{}}
	for _, s := range surveys {
		err := wrap("examine "+s.of, "", s.read(e, ctx))
		if KindOf(err) == Unreachable && err != nil {
			return nil, err
		}
		if err != nil {
			e.findings = append(e.findings, unchecked(s.of, err))
		}
	}
	for _, check := range checks {
		e.findings = append(e.findings, check(e)...)
	}
	return ordered(e.findings), nil
}

// examination is what was read for the checks. What could not be read is left zero and has a finding already.
type examination struct {
	c        *Client
	template Template
	findings []Finding

	// account is the session's user, key the session's own.
	account, key string
	skew         time.Duration
	// targets are the objects involved, and seen is what vCenter shows of them and of what belongs to them.
	targets []target
	seen    map[types.ManagedObjectReference]types.ObjectContent
	// allowed are the privileges that the account has on each target; an object without an entry could not be asked about.
	allowed map[types.ManagedObjectReference][]string
}

// target is an object that the pool works with.
type target struct {
	on  Scope
	ref types.ManagedObjectReference
	// called is what the configuration calls it; empty if it is the pool's own choice.
	called string
}

// surveys are the reads, in order: each may use what those before it found. One that fails leaves out the checks that need it.
var surveys = []struct {
	of   string
	read func(*examination, context.Context) error
}{
	{"account", (*examination).readAccount},
	{"clock", (*examination).readClock},
	{"references", (*examination).locate},
	{"folder", (*examination).climb},
	{"objects", (*examination).readTargets},
	{"machines", (*examination).readMachines},
	{"cluster", (*examination).readCluster},
	{"hosts", (*examination).readHosts},
	{"privileges", (*examination).readPrivileges},
}

// checks turn what was read into findings; they are pure.
var checks = []func(*examination) []Finding{
	checkVersion, checkClock, checkFlaw, checkNotes, checkVisibility, checkPrivileges,
	checkTemplate, checkSnapshot, checkTools, checkStores, checkHosts, checkReach, checkDRS, checkNames,
}

// Diagnose makes a failed connection, or the flaw of a site, a finding.
func Diagnose(check string, err error) Finding {
	var e *Error
	if !errors.As(err, &e) {
		return Finding{Check: check, Severity: Failure, Message: err.Error()}
	}
	bare := *e
	bare.Hint = ""
	return Finding{Check: check, Object: e.Object, Severity: Failure, Message: bare.Error(), Remedy: e.Hint}
}

// unchecked is a check that failed by itself, which says nothing about the pool.
func unchecked(check string, err error) Finding {
	f := Diagnose(check, err)
	f.Severity, f.Message = Warning, "it could not be checked: "+f.Message
	return f
}

// ordered has failures first, and everything once.
func ordered(findings []Finding) []Finding {
	rank := map[Severity]int{Failure: 0, Warning: 1, Fine: 2}
	slices.SortStableFunc(findings, func(a, b Finding) int { return cmp.Compare(rank[a.Severity], rank[b.Severity]) })
	seen := map[string]bool{}
	return slices.DeleteFunc(findings, func(f Finding) bool {
		again := seen[f.Message]
		seen[f.Message] = true
		return again
	})
}

// fine is one finding that all is well.
func fine(check, object, message string) []Finding {
	return []Finding{{Check: check, Object: object, Severity: Fine, Message: message}}
}
