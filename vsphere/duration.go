package vsphere

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Duration is a time span that a configuration document writes as "30s" or as {"time": 30, "unit": "seconds"}.
type Duration time.Duration

// Seconds-and-up units of Java's TimeUnit, which elastisys documents use, in any case.
var durationUnits = map[string]time.Duration{
	"nanoseconds":  time.Nanosecond,
	"microseconds": time.Microsecond,
	"milliseconds": time.Millisecond,
	"seconds":      time.Second,
	"minutes":      time.Minute,
	"hours":        time.Hour,
	"days":         24 * time.Hour,
}

// Std is the span as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// MarshalJSON writes the text form, "1m30s".
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).String())
}

// UnmarshalJSON reads either form.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		v, err := time.ParseDuration(text)
		if err != nil {
			return errors.New("must be a duration such as \"30s\" or \"5m\"")
		}
		*d = Duration(v)
		return nil
	}
	var parts struct {
		Time *int64 `json:"time"`
		Unit string `json:"unit"`
	}
	if err := json.Unmarshal(b, &parts); err != nil || parts.Time == nil {
		return errors.New("must be a duration such as \"30s\" or {\"time\": 30, \"unit\": \"seconds\"}")
	}
	unit, ok := durationUnits[strings.ToLower(parts.Unit)]
	if !ok {
		return errors.New("must have a unit of time such as \"seconds\"")
	}
	span := time.Duration(*parts.Time) * unit
	if *parts.Time != 0 && span/unit != time.Duration(*parts.Time) {
		return fmt.Errorf("%d %s is too long", *parts.Time, parts.Unit)
	}
	*d = Duration(span)
	return nil
}
