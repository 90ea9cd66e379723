package main

import "time"

// The parts of the API's documents that the tables show.
type (
	poolDocument struct {
		Timestamp time.Time         `json:"timestamp"`
		Machines  []machineDocument `json:"machines"`
	}

	machineDocument struct {
		ID               string           `json:"id"`
		MachineState     string           `json:"machineState"`
		MembershipStatus membershipStatus `json:"membershipStatus"`
		ServiceState     string           `json:"serviceState"`
		Region           string           `json:"region"`
		MachineSize      string           `json:"machineSize"`
		LaunchTime       *time.Time       `json:"launchTime"`
		PublicIPs        []string         `json:"publicIps"`
		PrivateIPs       []string         `json:"privateIps"`
		Metadata         machineMetadata  `json:"metadata"`
	}

	membershipStatus struct {
		Active    bool `json:"active"`
		Evictable bool `json:"evictable"`
	}

	machineMetadata struct {
		Name      string `json:"name"`
		Host      string `json:"host"`
		Datastore string `json:"datastore"`
		Error     string `json:"error"`
		Reason    string `json:"reason"`
	}

	sizeDocument struct {
		Timestamp     time.Time `json:"timestamp"`
		DesiredSize   int       `json:"desiredSize"`
		RequestedSize int       `json:"requestedSize"`
		Allocated     int       `json:"allocated"`
		Active        int       `json:"active"`
	}

	statusDocument struct {
		Started     bool           `json:"started"`
		Configured  bool           `json:"configured"`
		Pool        string         `json:"pool"`
		Outage      string         `json:"outage"`
		Blocked     string         `json:"blocked"`
		Frozen      string         `json:"frozen"`
		Holding     []railDocument `json:"holding"`
		Unreachable int            `json:"unreachable"`
		Orphans     int            `json:"orphans"`
		Foreign     int            `json:"foreign"`
		Notes       []string       `json:"notes"`
	}

	freezeDocument struct {
		Frozen  bool           `json:"frozen"`
		Reasons []string       `json:"reasons"`
		Rails   []railDocument `json:"rails"`
	}

	railDocument struct {
		Name    string `json:"name"`
		Limit   int    `json:"limit"`
		Value   int    `json:"value"`
		Holding bool   `json:"holding"`
		Reason  string `json:"reason"`
		Lift    string `json:"lift"`
	}

	orphansDocument struct {
		Orphans []orphanDocument `json:"orphans"`
	}

	orphanDocument struct {
		VM        string     `json:"vm"`
		Name      string     `json:"name"`
		MachineID string     `json:"machineId"`
		State     string     `json:"state"`
		Created   *time.Time `json:"created"`
		Reason    string     `json:"reason"`
	}
)

// What the commands ask for.
type (
	freezeRequest struct {
		Frozen   bool   `json:"frozen"`
		Reason   string `json:"reason,omitempty"`
		TakeOver bool   `json:"takeOver,omitempty"`
	}

	removalRequest struct {
		MachineID string `json:"machineId"`
		Decrement bool   `json:"decrementDesiredSize"`
	}

	attachRequest struct {
		MachineID string `json:"machineId"`
	}
)
