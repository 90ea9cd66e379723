package actors

import (
	"strings"
	"time"

	"vspherepool/vsphere"
)

// settings are the parts of the configuration that machines act by.
type settings struct {
	Pool  string
	Ready string
	// Customization is the customization specification that machines run through before they are ready; empty: none.
	Customization string
	// Networks are those that machines are connected to, for people; empty: the template's.
	Networks        string
	BootTimeout     time.Duration
	ShutdownTimeout time.Duration
	Retention       time.Duration
	NameTemplate    string
	// Writer signs marks.
	Writer vsphere.Writer
	// Blind is how long a booting machine may go unseen before that counts as time lost.
	Blind time.Duration
}

func (c Config) settings() settings {
	return settings{
		Pool:            c.Name,
		Ready:           c.ProvisioningTemplate.Ready,
		Customization:   c.ProvisioningTemplate.Customization,
		Networks:        strings.Join(c.ProvisioningTemplate.Networks, ", "),
		BootTimeout:     c.ProvisioningTemplate.BootTimeout.Std(),
		ShutdownTimeout: c.ScaleIn.ShutdownTimeout.Std(),
		Retention:       c.Retention.Std(),
		NameTemplate:    c.ProvisioningTemplate.NameTemplate,
		Blind:           max(30*time.Second, 3*c.PoolFetch.EventInterval.Std()),
	}
}

// effective is a requested size clamped to the bounds.
func (b Bounds) effective(size int) int {
	size = max(size, b.Min)
	if b.Max != nil {
		size = min(size, *b.Max)
	}
	return size
}

// admits says why a size may not be asked for; nil: it may. Clamping bounds admit any size that is not negative.
func (b Bounds) admits(size int) error {
	switch {
	case size < 0:
		return refuse(Invalid, "desiredSize %d is negative: it must be 0 or more", size)
	case b.OnViolation == "reject" && b.effective(size) != size:
		return refuse(Invalid, "desiredSize %d is outside the pool's bounds: the nearest size allowed is %d", size, b.effective(size))
	}
	return nil
}
