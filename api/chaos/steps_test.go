package chaos

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// A history is what a run consists of: values only, so that it can be written down, read again, and made smaller.
type history struct {
	Seed uint64 `json:"seed"`
	// Start is the configuration document that the server is started with.
	Start settings `json:"start"`
	Steps []step   `json:"steps"`
}

// step is a pause, and then calls of the API and acts of the outside world, all at the same time.
type step struct {
	// Pause is in seconds of virtual time.
	Pause int    `json:"pause,omitempty"`
	Calls []call `json:"calls,omitempty"`
	Acts  []act  `json:"acts,omitempty"`
}

// call is one request. Which machine it is about is resolved when the step begins: see [target].
type call struct {
	Op string `json:"op"`
	// Path asks for the form of API 2.0, with the machine id in the path.
	Path   bool    `json:"path,omitempty"`
	Target *target `json:"target,omitempty"`
	// Size is the desired size of a resize.
	Size int `json:"size,omitempty"`
	// Decrement, Active, Evictable and Service are the fields of the machine operations.
	Decrement bool   `json:"decrement,omitempty"`
	Active    bool   `json:"active,omitempty"`
	Evictable bool   `json:"evictable,omitempty"`
	Service   string `json:"service,omitempty"`
	// Settings is the document of a configure.
	Settings *settings `json:"settings,omitempty"`
	// Raw is the request of an invalid call: method, path and body.
	Raw []string `json:"raw,omitempty"`
}

// target names a machine or VM by its place in a list whose order does not depend on chance: by id or by managed object id.
type target struct {
	// Of is "member" (allocated), "gone" (a former member), "stranger", "detached", "template" or "nobody".
	Of string `json:"of"`
	N  int    `json:"n,omitempty"`
}

// act is what somebody or something other than a client does.
type act struct {
	// Delay is in milliseconds after the step's calls began.
	Delay int `json:"delay,omitempty"`
	// Op is the administrator's ("powerOff", "suspend", "destroy", "unregister", "rename", "move", "unmark", "spoil", "edit", "copy",
	// "stranger"), vCenter's ("trouble", "calm", "logout"), the disk's ("diskFull", "diskFree") or the process's own ("crash",
	// "crashSoon", "restart", "lose").
	Op string `json:"op"`
	// N chooses the VM; for crashSoon it counts the moments before and after effects until the crash.
	N       int      `json:"n,omitempty"`
	Trouble *trouble `json:"trouble,omitempty"`
	// Down is how many seconds a process that crashed stays down.
	Down int `json:"down,omitempty"`
}

// settings are the parts of the configuration that histories change.
type settings struct {
	Min     int    `json:"min,omitempty"`
	Max     *int   `json:"max,omitempty"`
	Reject  bool   `json:"reject,omitempty"`
	Policy  string `json:"policy,omitempty"`
	Ceiling int    `json:"ceiling,omitempty"`
	Creates int    `json:"creates,omitempty"`
	Orphans bool   `json:"orphans,omitempty"`
	Desired *int   `json:"desired,omitempty"`
}

// effective is a requested size under the bounds.
func (s settings) effective(n int) int {
	n = max(n, s.Min)
	if s.Max != nil {
		n = min(n, *s.Max)
	}
	return n
}

// document is the configuration in YAML. Retention and boot timeout are short, and vCenter is polled less than it would be by default,
// so that hours of virtual time cost little.
func (s settings) document() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "name: web\ncloudApiSettings: {url: 'https://vcenter.invalid/sdk', username: %s, password: %s}\n", user, password)
	b.WriteString("provisioningTemplate: {template: /DC0/vm/templates/ubuntu-24.04, folder: /DC0/vm/pools/web, " +
		"resourcePool: /DC0/host/DC0_C0/Resources, bootTimeout: 5m}\n")
	b.WriteString("poolFetch: {refreshInterval: 90s, eventInterval: 15s}\nretention: 10m\n")
	fmt.Fprintf(&b, "bounds: {min: %d", s.Min)
	if s.Max != nil {
		fmt.Fprintf(&b, ", max: %d", *s.Max)
	}
	if s.Reject {
		b.WriteString(", onViolation: reject")
	}
	b.WriteString("}\n")
	if s.Desired != nil {
		fmt.Fprintf(&b, "desiredSize: %d\n", *s.Desired)
	}
	policy := "NEWEST"
	if s.Policy != "" {
		policy = s.Policy
	}
	fmt.Fprintf(&b, "scaleInConfig: {victimSelectionPolicy: %s, shutdownTimeout: 30s}\n", policy)
	creates := 8
	if s.Creates > 0 {
		creates = s.Creates
	}
	fmt.Fprintf(&b, "limits: {creates: %d, ceiling: %d}\nrails: {retireOrphans: %t}\n", creates, s.Ceiling, s.Orphans)
	return []byte(b.String())
}

// trouble is a fault of vCenter's or of the way to it.
type trouble struct {
	// Kind is "refuse" (no connection), "hang" (no answer), "status" (HTTP 503), "lost" (the answer, after the call was executed), "cut"
	// (before it), "fault" (refused with Fault), "slow" (executed after Delay), "late" (answered after Delay), "truncate" (half of each
	// listing, with a token for more that is not there), "omit" (listings lack VMs) or "disconnected" (VMs whose host is lost).
	Kind string `json:"kind"`
	// Method limits it to one method; empty: any.
	Method string `json:"method,omitempty"`
	Fault  string `json:"fault,omitempty"`
	// Share is the percentage of calls, or of VMs, that it hits.
	Share int `json:"share"`
	// Times is how often it hits before it is over; 0: until somebody calms it.
	Times int `json:"times,omitempty"`
	// Delay is in milliseconds.
	Delay int `json:"delay,omitempty"`
}

func (h history) String() string {
	var b strings.Builder
	text, _ := json.Marshal(h.Start)
	fmt.Fprintf(&b, "seed %d, started with %s\n", h.Seed, text)
	for i, s := range h.Steps {
		text, _ := json.Marshal(s)
		fmt.Fprintf(&b, "%3d %s\n", i, text)
	}
	return b.String()
}

func seconds(n int) time.Duration      { return time.Duration(n) * time.Second }
func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }
