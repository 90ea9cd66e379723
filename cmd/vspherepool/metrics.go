package main

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// newRegistry has the metrics of the process, and more.
func newRegistry(more ...prometheus.Collector) (*prometheus.Registry, error) {
	registry := prometheus.NewRegistry()
	all := append(more,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	var failures []error
	for _, c := range all {
		failures = append(failures, registry.Register(c))
	}
	if err := errors.Join(failures...); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return registry, nil
}
