package actors

import (
	"fmt"
	"log/slog"

	"vspherepool/vsphere"
)

// Config is the pool's configuration document, defaults filled in. See [ParseConfig]. The comments of its fields are the
// descriptions in [ConfigSchema] and in the README; what keys default to and must be is the table in config_rules.go.
type Config struct {
	// Name identifies the pool; it is part of every VM's mark.
	Name string `json:"name"`
	// DesiredSize is taken only when no size is stored yet; without it the pool starts with the members it finds.
	DesiredSize *int `json:"desiredSize,omitempty"`
	// Bounds limit the desired size.
	Bounds Bounds `json:"bounds"`

	// CloudAPISettings say how to reach vCenter.
	CloudAPISettings vsphere.Connection `json:"cloudApiSettings"`
	// ProvisioningTemplate says what machines are made of. References are inventory paths or managed object ids.
	ProvisioningTemplate vsphere.Template `json:"provisioningTemplate"`

	// ScaleIn says which machines go first, and how.
	ScaleIn ScaleIn `json:"scaleInConfig"`
	// PoolFetch says how vSphere is watched.
	PoolFetch PoolFetch `json:"poolFetch"`
	// PoolUpdate is the periodic pass behind the event-driven ones.
	PoolUpdate PoolUpdate `json:"poolUpdate"`
	// Retention is how long REJECTED and TERMINATED machines stay listed.
	Retention vsphere.Duration `json:"retention"`
	// Limits bound what is in flight.
	Limits Limits `json:"limits"`
	// Rails keep the pool from doing harm by itself; what is asked for by name is only rated by them, never refused.
	Rails Rails `json:"rails"`
	// Alerts is accepted in the shape of elastisys' documents and kept with the document; nothing is sent.
	Alerts map[string]any `json:"alerts,omitempty"`
}

// Format implements [fmt.Formatter]: a configuration holds secrets, and so is never written out by accident.
func (c Config) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "configuration of pool %s", c.Name)
}

// LogValue implements [slog.LogValuer].
func (c Config) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// Bounds limit the desired size.
type Bounds struct {
	// Min is the smallest size in force.
	Min int `json:"min"`
	// Max is the largest size in force; without it there is no limit.
	Max *int `json:"max,omitempty"`
	// OnViolation says what becomes of a desired size outside the bounds: "clamp" puts the nearest bound in force, "reject"
	// refuses the request.
	OnViolation string `json:"onViolation"`
}

// ScaleIn says which machines go first and how.
type ScaleIn struct {
	// VictimSelectionPolicy is "NEWEST" or "OLDEST", by launch time.
	VictimSelectionPolicy string `json:"victimSelectionPolicy"`
	// ShutdownTimeout is how long a guest may take to shut down before its power is cut; 0 cuts it at once.
	ShutdownTimeout vsphere.Duration `json:"shutdownTimeout"`
}

// PoolFetch says how vSphere is watched.
type PoolFetch struct {
	// RefreshInterval is the time between two complete sweeps of the pool's folder.
	RefreshInterval vsphere.Duration `json:"refreshInterval"`
	// EventInterval is the time between two looks at vCenter's events, which say what to read before the next sweep.
	EventInterval vsphere.Duration `json:"eventInterval"`
	// ReachabilityTimeout is how old the last complete view may get before reads answer 502.
	ReachabilityTimeout vsphere.Duration `json:"reachabilityTimeout"`
	// Retries says how a failed sweep is repeated before the next regular one.
	Retries Retries `json:"retries"`
}

// Retries says how a failed read is repeated before the next regular one.
type Retries struct {
	// MaxRetries is how often.
	MaxRetries int `json:"maxRetries"`
	// InitialBackoffDelay is the wait before the first retry; it doubles with each one.
	InitialBackoffDelay vsphere.Duration `json:"initialBackoffDelay"`
}

// PoolUpdate is the periodic pass behind the event-driven ones.
type PoolUpdate struct {
	// UpdateInterval is the longest time between two comparisons of what is with what should be.
	UpdateInterval vsphere.Duration `json:"updateInterval"`
}

// Limits bound what is in flight.
type Limits struct {
	// Creates, PowerOps and Deletes are the most operations of their kind at a time; they do not count against each other. Creates goes
	// down by itself while vCenter lets clones wait or refuses them, and up again.
	Creates  int `json:"creates"`
	PowerOps int `json:"powerOps"`
	Deletes  int `json:"deletes"`
	// Ceiling bounds all live VMs of the pool, leaving and failed ones included; 0 is none.
	Ceiling int `json:"ceiling"`
}

// Rails bound what the pool does by itself.
type Rails struct {
	// Replacements is how many machines may be replaced at a time, in percent of the desired size, and always one.
	Replacements int `json:"replacements"`
	// Churn is how many replacements may be begun in an hour; 0 is twice the desired size and ten.
	Churn int `json:"churn"`
	// FreezeShare and FreezeMembers say when nothing is replaced: so many percent of the members, and at least so many of them, are
	// unreachable or have failed together, within FreezeWindow.
	FreezeShare   int `json:"freezeShare"`
	FreezeMembers int `json:"freezeMembers"`
	// FreezeWindow is how long a failure counts; a freeze by failures ends by itself that long after the last of them.
	FreezeWindow vsphere.Duration `json:"freezeWindow"`
	// SettlingTime is how long nothing is started or stopped after an outage.
	SettlingTime vsphere.Duration `json:"settlingTime"`
	// ShrinkShare is the part of the members, in percent, that a listing may lack before it has to be confirmed by two more.
	ShrinkShare int `json:"shrinkShare"`
	// RetireOrphans has VMs removed that carry the pool's mark without being members, once they are older than OrphanAge.
	RetireOrphans bool             `json:"retireOrphans"`
	OrphanAge     vsphere.Duration `json:"orphanAge"`
}
