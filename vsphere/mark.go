package vsphere

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// The extraConfig keys that carry what a VM says about itself. Not guestinfo.* keys: the guest can write those.
const (
	markKey   = "vspherepool.mark"
	statusKey = "vspherepool.status"
	keyPrefix = "vspherepool."
)

// Mark is the proof that a VM belongs to a pool. It is written inside the clone spec, so a VM of ours never exists without it.
type Mark struct {
	// Pool is the name of the pool.
	Pool string
	// Machine is the pool's id of the machine.
	Machine MachineID
	// UUID is the VM's instance UUID. A copy of the VM gets another one, and so betrays itself.
	UUID string
	// Retiring says that the machine's termination was decided: it never comes back, even if all other records are lost.
	Retiring bool
	// Attached says that the VM was made by somebody else, and attached to the pool later.
	Attached bool
	// Writer is who wrote the mark last; the zero value in marks of versions that did not say.
	Writer Writer
}

// String is the mark's text form, "v1;pool=web;machine=…;uuid=…;state=active;writer=…;epoch=1"; one of an attached VM has origin=attached
// before the writer. Values are percent-encoded.
func (m Mark) String() string {
	state := "active"
	if m.Retiring {
		state = "retiring"
	}
	text := fmt.Sprintf("v1;pool=%s;machine=%s;uuid=%s;state=%s",
		url.QueryEscape(m.Pool), url.QueryEscape(string(m.Machine)), url.QueryEscape(m.UUID), state)
	if m.Attached {
		text += ";origin=attached"
	}
	if m.Writer != (Writer{}) {
		text += fmt.Sprintf(";writer=%s;epoch=%d", url.QueryEscape(m.Writer.ID), m.Writer.Epoch)
	}
	return text
}

// ParseMark reads the text form. Unknown fields are ignored, so that a newer version can add some; a missing one or an unknown
// version is an error, and the VM then counts as unmarked.
func ParseMark(s string) (Mark, error) {
	f, err := parseFields(s)
	if err != nil {
		return Mark{}, fmt.Errorf("parse mark: %w", err)
	}
	m := Mark{Pool: f["pool"], Machine: MachineID(f["machine"]), UUID: f["uuid"], Retiring: f["state"] == "retiring"}
	m.Attached = f["origin"] == "attached"
	if m.Pool == "" || m.Machine == "" || m.UUID == "" {
		return Mark{}, errors.New("parse mark: pool, machine and uuid are needed")
	}
	m.Writer.ID = f["writer"]
	if text, signed := f["epoch"]; signed {
		if m.Writer.Epoch, err = strconv.Atoi(text); err != nil {
			return Mark{}, fmt.Errorf("parse mark: epoch: %w", err)
		}
	}
	return m, nil
}

// Status is what users said about a machine. It lives on the VM too, so that losing the state directory loses none of it.
type Status struct {
	// Service is the service state last reported, one of the API's words.
	Service string
	// Active machines count towards the desired size.
	Active bool
	// Evictable machines may be terminated.
	Evictable bool
	// Hold is API 2.0's "out of service": kept apart from Active and Evictable, which API 5.0 callers set.
	Hold bool
}

// DefaultStatus is the status of a machine of which nobody said anything.
func DefaultStatus() Status {
	return Status{Service: "UNKNOWN", Active: true, Evictable: true}
}

// String is the status's text form, "v1;service=UNKNOWN;active=true;evictable=true;hold=false".
func (s Status) String() string {
	return fmt.Sprintf("v1;service=%s;active=%t;evictable=%t;hold=%t", url.QueryEscape(s.Service), s.Active, s.Evictable, s.Hold)
}

// ParseStatus reads the text form; every field is needed.
func ParseStatus(text string) (Status, error) {
	f, err := parseFields(text)
	if err != nil {
		return Status{}, fmt.Errorf("parse status: %w", err)
	}
	s := Status{Service: f["service"]}
	if s.Service == "" {
		return Status{}, errors.New("parse status: service is needed")
	}
	for name, field := range map[string]*bool{"active": &s.Active, "evictable": &s.Evictable, "hold": &s.Hold} {
		if *field, err = strconv.ParseBool(f[name]); err != nil {
			return Status{}, fmt.Errorf("parse status: %s: %w", name, err)
		}
	}
	return s, nil
}

func parseFields(s string) (map[string]string, error) {
	version, rest, _ := strings.Cut(s, ";")
	if version != "v1" {
		return nil, fmt.Errorf("version %.20q is not v1", version)
	}
	fields := map[string]string{}
	for pair := range strings.SplitSeq(rest, ";") {
		key, value, found := strings.Cut(pair, "=")
		if !found {
			return nil, fmt.Errorf("%.40q is not key=value", pair)
		}
		plain, err := url.QueryUnescape(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		fields[key] = plain
	}
	return fields, nil
}
