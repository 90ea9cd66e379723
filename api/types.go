package api

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/valyala/fasthttp"

	"vspherepool/actors"
)

// unknown stands in mandatory text fields that have no value; clients fail on an absent one.
const unknown = "N/A"

// The documents, in the order and the spelling of the API. None of their mandatory fields is ever null or absent.
type (
	machineDoc struct {
		ID               string              `json:"id"`
		MachineState     actors.MachineState `json:"machineState"`
		MembershipStatus membershipDoc       `json:"membershipStatus"`
		ServiceState     actors.ServiceState `json:"serviceState"`
		CloudProvider    string              `json:"cloudProvider"`
		Region           string              `json:"region"`
		MachineSize      string              `json:"machineSize"`
		RequestTime      string              `json:"requestTime,omitempty"`
		// The launch time goes by two names, that of 5.0 and that of 2.0. Clients that ignore case read whichever comes last.
		LaunchTime   string      `json:"launchTime,omitempty"`
		LaunchTimeV2 string      `json:"launchtime,omitempty"`
		PublicIPs    []string    `json:"publicIps"`
		PrivateIPs   []string    `json:"privateIps"`
		Metadata     metadataDoc `json:"metadata"`
	}

	membershipDoc struct {
		Active    bool `json:"active"`
		Evictable bool `json:"evictable"`
	}

	metadataDoc struct {
		Name      string `json:"name,omitempty"`
		VM        string `json:"vm,omitempty"`
		Host      string `json:"host,omitempty"`
		Datastore string `json:"datastore,omitempty"`
		Error     string `json:"error,omitempty"`
		Reason    string `json:"reason,omitempty"`
	}

	sizeDoc struct {
		Timestamp     string `json:"timestamp"`
		DesiredSize   int    `json:"desiredSize"`
		Allocated     int    `json:"allocated"`
		Active        int    `json:"active"`
		OutOfService  int    `json:"outOfService"`
		RequestedSize int    `json:"requestedSize"`
	}

	statusDoc struct {
		Started     bool         `json:"started"`
		Configured  bool         `json:"configured"`
		Pool        string       `json:"pool,omitempty"`
		Observed    string       `json:"observed,omitempty"`
		Outage      string       `json:"outage,omitempty"`
		Blocked     string       `json:"blocked,omitempty"`
		Frozen      string       `json:"frozen,omitempty"`
		Holding     []holdingDoc `json:"holding,omitempty"`
		Unreachable int          `json:"unreachable,omitempty"`
		Orphans     int          `json:"orphans,omitempty"`
		Foreign     int          `json:"foreign,omitempty"`
		Notes       []string     `json:"notes,omitempty"`
	}

	holdingDoc struct {
		Name   string `json:"name"`
		Reason string `json:"reason"`
		Lift   string `json:"lift"`
	}

	freezeDoc struct {
		Frozen  bool      `json:"frozen"`
		Manual  bool      `json:"manual"`
		Since   string    `json:"since,omitempty"`
		Reasons []string  `json:"reasons"`
		Rails   []railDoc `json:"rails"`
	}

	railDoc struct {
		Name    string `json:"name"`
		Limit   int    `json:"limit"`
		Value   int    `json:"value"`
		Holding bool   `json:"holding"`
		Reason  string `json:"reason"`
		Lift    string `json:"lift"`
	}

	orphansDoc struct {
		Orphans []orphanDoc `json:"orphans"`
	}

	orphanDoc struct {
		VM        string `json:"vm"`
		Name      string `json:"name"`
		MachineID string `json:"machineId"`
		State     string `json:"state"`
		Created   string `json:"created,omitempty"`
		Seen      string `json:"seen"`
		Reason    string `json:"reason"`
	}
)

func machineOf(m *actors.Machine) machineDoc {
	service := m.Service
	if !service.Valid() {
		service = actors.UnknownState
	}
	return machineDoc{
		ID:               string(m.ID),
		MachineState:     m.State,
		MembershipStatus: membershipDoc(m.Membership),
		ServiceState:     service,
		CloudProvider:    "vSphere",
		Region:           cmp.Or(m.Region, unknown),
		MachineSize:      cmp.Or(m.Size, unknown),
		RequestTime:      optionalTimestamp(m.Requested),
		LaunchTime:       optionalTimestamp(m.Launched),
		LaunchTimeV2:     optionalTimestamp(m.Launched),
		PublicIPs:        list(m.PublicIPs),
		PrivateIPs:       list(m.PrivateIPs),
		Metadata:         metadataDoc(m.Metadata),
	}
}

// sizeOf counts as out of service whatever does not count as active, so that allocated − outOfService is the effective size of API 2.0
// for whichever reason a machine is inactive.
func sizeOf(s actors.Size) sizeDoc {
	return sizeDoc{
		Timestamp:     timestamp(s.Observed),
		DesiredSize:   s.Desired,
		Allocated:     s.Allocated,
		Active:        s.Active,
		OutOfService:  s.Allocated - s.Active,
		RequestedSize: s.Requested,
	}
}

func healthOf(s actors.Status) statusDoc {
	holding := make([]holdingDoc, len(s.Holding))
	for i, rail := range s.Holding {
		holding[i] = holdingDoc{rail.Name, rail.Reason, rail.Lift}
	}
	return statusDoc{
		Started: s.Started, Configured: s.Configured, Pool: s.Pool, Observed: optionalTimestamp(s.Observed),
		Outage: s.Outage, Blocked: s.Blocked, Frozen: s.Frozen, Holding: holding,
		Unreachable: s.Unreachable, Orphans: s.Orphans, Foreign: s.Foreign, Notes: s.Notes,
	}
}

func freezeOf(f actors.Freeze) freezeDoc {
	rails := make([]railDoc, len(f.Rails))
	for i, rail := range f.Rails {
		rails[i] = railDoc(rail)
	}
	return freezeDoc{Frozen: f.Frozen, Manual: f.Manual, Since: optionalTimestamp(f.Since), Reasons: list(f.Reasons), Rails: rails}
}

func orphansOf(strays []actors.Stray) orphansDoc {
	orphans := make([]orphanDoc, len(strays))
	for i, s := range strays {
		orphans[i] = orphanDoc{
			VM: s.VM, Name: s.Name, MachineID: string(s.Machine), State: s.State,
			Created: optionalTimestamp(s.Created), Seen: timestamp(s.Seen), Reason: s.Reason,
		}
	}
	return orphansDoc{orphans}
}

// timestamp is the one form that the clients of all versions read: UTC, three digits, Z.
func timestamp(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func optionalTimestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return timestamp(t)
}

func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func writeJSON(r *fasthttp.RequestCtx, document any) error {
	body, err := json.Marshal(document)
	if err != nil {
		return err
	}
	r.SetContentType(jsonType)
	r.Response.SetBodyRaw(body)
	return nil
}
