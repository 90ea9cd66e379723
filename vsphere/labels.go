package vsphere

import (
	"context"
	"errors"
	"sync"

	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// labelsKept bounds the memory: a pool's VMs come and go.
const labelsKept = 4096

// labels are what people call objects, a path of the configuration or a VM's name: faults name objects by their references only.
type labels struct {
	mu    sync.Mutex
	known map[types.ManagedObjectReference]string
}

func newLabels() *labels { return &labels{known: map[types.ManagedObjectReference]string{}} }

func (l *labels) add(ref types.ManagedObjectReference, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.known) >= labelsKept {
		clear(l.known)
	}
	if name != "" && name != ref.Value {
		l.known[ref] = name
	}
}

// of is the object's name with its reference, "/DC0/vm/web (Folder group-v12)", or the reference alone. Nil labels know no names.
func (l *labels) of(ref types.ManagedObjectReference) string {
	text := ref.Type + " " + ref.Value
	if l == nil {
		return text
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if name, known := l.known[ref]; known {
		return name + " (" + text + ")"
	}
	return text
}

// on lends the labels to an error, for what is said of it later; nil stays nil.
func (l *labels) on(err error) error {
	if err == nil {
		return nil
	}
	return labelled{err, l}
}

type labelled struct {
	error
	labels *labels
}

func (e labelled) Unwrap() error { return e.error }

// labelsIn are the labels that err carries; nil without.
func labelsIn(err error) *labels {
	e, _ := errors.AsType[labelled](err)
	return e.labels
}

// labelling lends the labels to the errors of all calls.
type labelling struct {
	next   soap.RoundTripper
	labels *labels
}

// RoundTrip implements [soap.RoundTripper].
func (l labelling) RoundTrip(ctx context.Context, req, res soap.HasFault) error {
	return l.labels.on(l.next.RoundTrip(ctx, req, res))
}
