package main

import (
	"context"
	"encoding/json"
	"fmt"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

// demo is the simulated part of `serve --simulator`.
type demo struct {
	// url of the SOAP endpoint; empty if it is not published.
	url string
	// document is the configuration of the default pool.
	document []byte
}

// startDemo starts the simulator if it is asked for. The server talks to it over loopback, like to any vCenter.
func (d *daemon) startDemo(context.Context) error {
	if !d.simulator {
		return nil
	}
	sim, err := simulator.New(simulator.Options{CloneDelay: d.simulatorCloneDelay, BootDelay: d.simulatorBootDelay, Log: d.log})
	if err != nil {
		return fmt.Errorf("start simulator: %w", err)
	}
	d.undo.add("close simulator", func(context.Context) error {
		sim.Close()
		return nil
	})
	listen := localhost + ":0"
	if d.simulatorListen != "" {
		listen = onLoopback(d.simulatorListen)
	}
	url, err := sim.Serve(listen)
	if err != nil {
		return err
	}
	if d.simulatorListen != "" {
		d.demo.url = url
	}
	d.demo.document, err = demoDocument(sim.Connection(), sim.Template())
	return err
}

// demoDocument is the default pool: small, and watched closely enough to see what happens to it.
func demoDocument(connection vsphere.Connection, template vsphere.Template) ([]byte, error) {
	document, err := json.Marshal(map[string]any{
		"name":                 "web",
		"desiredSize":          1,
		"bounds":               map[string]any{"max": 1000},
		"cloudApiSettings":     connection,
		"provisioningTemplate": template,
		"poolFetch":            map[string]any{"refreshInterval": "5s"},
		"retention":            "1m",
	})
	if err != nil {
		return nil, fmt.Errorf("make default configuration: %w", err)
	}
	return document, nil
}
