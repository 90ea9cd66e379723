package main

import (
	"errors"
	"slices"
	"time"
)

// serveOptions are the options of serve.
type serveOptions struct {
	config, listen, stateDir                string
	tlsCert, tlsKey, users                  string
	clientCA, clientAuth, clientRole        string
	stopped, simulator                      bool
	simulatorListen                         string
	simulatorCloneDelay, simulatorBootDelay time.Duration
	logFormat, logLevel                     string
	auditLog                                string
}

func newServeOptions() *serveOptions {
	return &serveOptions{
		listen:              "127.0.0.1:8443",
		clientAuth:          "require",
		simulatorCloneDelay: 2 * time.Second,
		simulatorBootDelay:  3 * time.Second,
		logLevel:            "info",
	}
}

func (o *serveOptions) table() []option {
	return slices.Concat(o.generalTable(), o.accessTable())
}

func (o *serveOptions) generalTable() []option {
	return []option{
		{
			flag: "config", value: &o.config,
			help: "pool configuration `file` (YAML or JSON), stored and applied; without it the stored one, else unconfigured until POST /config",
		},
		{
			flag: "listen", value: &o.listen, check: o.checkListen,
			help: "HTTPS `address` of the API; port 0 picks one, no host means 127.0.0.1; beyond loopback --users or --client-ca is required",
		},
		{
			flag: "state-dir", value: &o.stateDir,
			otherwise: "$STATE_DIRECTORY, which systemd sets, else $XDG_STATE_HOME/vspherepool, else as root /var/lib/vspherepool; " +
				"with --simulator a new temporary one",
			help: "`directory` of the durable state; one process at a time",
		},
		{
			flag: "tls-cert", value: &o.tlsCert, check: o.checkKeyPair,
			help: "server certificate with its chain, a PEM `file`, reloaded when it changes; without it a self-signed one, on loopback only",
		},
		{flag: "tls-key", value: &o.tlsKey, help: "key of --tls-cert, a PEM `file`"},
		{flag: "stopped", value: &o.stopped, help: "leave the pool stopped until POST /start"},
		{
			flag: "simulator", value: &o.simulator,
			help: "run an embedded vCenter simulator, and without --config a pool named web on it",
		},
		{
			flag: "simulator-listen", value: &o.simulatorListen, check: o.checkSimulatorListen,
			help: "also publish the simulator's SOAP endpoint at this `address`, for govc and the like; loopback only",
		},
		{
			flag: "simulator-clone-delay", value: &o.simulatorCloneDelay, check: notNegative(&o.simulatorCloneDelay),
			help: "how long a clone takes in the simulator",
		},
		{
			flag: "simulator-boot-delay", value: &o.simulatorBootDelay, check: notNegative(&o.simulatorBootDelay),
			help: "how long after its power-on a simulated machine gets its IP",
		},
		{
			flag: "log-format", value: &o.logFormat, otherwise: "text on a terminal, else json", check: among(&o.logFormat, "", "text", "json"),
			help: "`format` of the log on standard error: text or json",
		},
		{
			flag: "log-level", value: &o.logLevel, check: among(&o.logLevel, "debug", "info", "warn", "error"),
			help: "least `level` to log: debug, info, warn or error",
		},
	}
}

func (o *serveOptions) checkListen() error {
	local, err := loopback(o.listen)
	switch {
	case err != nil:
		return err
	case !local && o.clientCA == "" && o.users == "":
		return errors.New("is reachable from other machines, and there is no authentication: " +
			"name users with --users, require client certificates with --client-ca, or listen on 127.0.0.1")
	case !local && o.tlsCert == "":
		return errors.New("is reachable from other machines: give --tls-cert and --tls-key, the self-signed certificate is for localhost only")
	}
	return nil
}

func (o *serveOptions) checkSimulatorListen() error {
	if o.simulatorListen == "" {
		return nil
	}
	local, err := loopback(o.simulatorListen)
	switch {
	case err != nil:
		return err
	case !local:
		return errors.New("must be on loopback: everybody knows the simulator's password")
	case !o.simulator:
		return errors.New("needs --simulator")
	}
	return nil
}

func (o *serveOptions) checkKeyPair() error {
	if (o.tlsCert == "") != (o.tlsKey == "") {
		return errors.New("and --tls-key must be given together")
	}
	return nil
}

func notNegative(d *time.Duration) func() error {
	return func() error {
		if *d < 0 {
			return errors.New("must not be negative")
		}
		return nil
	}
}
