package main

import (
	"context"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// notify tells systemd how the service stands; without systemd it does nothing. See sd_notify(3).
func (d *daemon) notify(state string) {
	if _, err := systemd.SdNotify(false, state); err != nil {
		d.log.Warn("systemd could not be told", "err", err)
	}
}

// heartbeats are the moments to show that the service is alive; none without a watchdog. Half of the time that systemd waits for one is
// what sd_watchdog_enabled(3) recommends.
func (d *daemon) heartbeats() (<-chan time.Time, time.Duration, func()) {
	limit, err := systemd.SdWatchdogEnabled(false)
	if err != nil || limit <= 0 {
		return nil, 0, func() {}
	}
	ticker := time.NewTicker(limit / 2)
	return ticker.C, limit / 2, ticker.Stop
}

// beat says that the service is alive if the pool's supervisor answers: all else may wait for it for ever.
func (d *daemon) beat(ctx context.Context, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := d.pool.Status(ctx); err != nil {
		d.log.Warn("supervisor does not answer", "err", err)
		return
	}
	d.notify(systemd.SdNotifyWatchdog)
}
