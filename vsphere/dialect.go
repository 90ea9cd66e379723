package vsphere

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
)

// dialect makes calls in the newest version of the API that both sides know, which may change at each login, when vCenter was upgraded.
// govmomi by itself claims its own version, whatever vCenter's is.
type dialect struct {
	*soap.Client
	next   soap.RoundTripper
	action atomic.Pointer[string]
}

// RoundTrip implements [soap.RoundTripper].
func (d *dialect) RoundTrip(ctx context.Context, req, res soap.HasFault) error {
	return d.next.RoundTrip(d.WithHeader(ctx, soap.Header{Action: *d.action.Load()}), req, res)
}

// agree settles on a version, given vCenter's.
func (d *dialect) agree(theirs string) {
	action := "urn:" + vim25.Namespace + "/" + agreed(vim25.Version, theirs)
	d.action.Store(&action)
}

// agreed is the lower one of two versions such as 8.0.2.0; theirs does not count unless it is a version.
func agreed(ours, theirs string) string {
	if other := numbers(theirs); len(other) > 0 && slices.Compare(other, numbers(ours)) < 0 {
		return theirs
	}
	return ours
}

// numbers are a version's parts, none if one of them is no number.
func numbers(version string) []uint64 {
	var parts []uint64
	for text := range strings.SplitSeq(version, ".") {
		part, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return nil
		}
		parts = append(parts, part)
	}
	return parts
}

// older compares dotted version numbers; what is no number counts as 0.
func older(version, than string) bool {
	a, b := strings.Split(version, "."), strings.Split(than, ".")
	for i := range max(len(a), len(b)) {
		if x, y := numberAt(a, i), numberAt(b, i); x != y {
			return x < y
		}
	}
	return false
}

func numberAt(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	n, _ := strconv.Atoi(parts[i])
	return n
}
