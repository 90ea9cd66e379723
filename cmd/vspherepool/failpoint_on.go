//go:build failpoints

package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"vspherepool/actors"
	"vspherepool/vsphere"
)

// failPointVariable names the point at which the program kills itself, and which passage of it: "machine:booting/after#2" is the second one.
// The value "list" prints all points.
const failPointVariable = "VSPHEREPOOL_FAILPOINT"

// calls are the points around what is asked of vSphere: before a call, and when its answer has come and is not recorded yet.
var calls = []string{"call:clone", "call:powerOn", "call:shutdownGuest", "call:powerOff", "call:destroy", "call:write", "call:claim"}

func withFailPoints(j actors.Journal, c actors.Connect) (actors.Journal, actors.Connect) {
	chosen := os.Getenv(failPointVariable)
	if chosen == "list" {
		listFailPoints()
	}
	name, count, _ := strings.Cut(chosen, "#")
	passage, _ := strconv.Atoi(count)
	p := &failPoint{name: name, left: max(1, passage)}
	connect := func(ctx context.Context, pool string, at vsphere.Connection, t vsphere.Template) (actors.Provider, error) {
		provider, err := c(ctx, pool, at, t)
		if err != nil {
			return nil, err
		}
		return &failingProvider{provider, p}, nil
	}
	return actors.WatchSteps(j, p.pass), connect
}

func listFailPoints() {
	for _, step := range append(actors.Steps(), calls...) {
		fmt.Println(step + "/before\n" + step + "/after")
	}
	os.Exit(0)
}

// failPoint is the chosen one.
type failPoint struct {
	name string
	mu   sync.Mutex
	left int
}

// dwell is how long the program stands before a write before it dies there: what must wait for the write, and does not, happens meanwhile.
const dwell = 150 * time.Millisecond

// pass dies at the chosen passage, like by kill -9: nothing is flushed, closed or answered. Whoever passes after it is dead too.
func (p *failPoint) pass(point string) {
	if point != p.name {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left--; p.left == 0 {
		if strings.HasSuffix(point, "/before") {
			<-time.After(dwell)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// failingProvider has points around the calls that change something.
type failingProvider struct {
	actors.Provider
	point *failPoint
}

// around makes a call.
func (p *failingProvider) around(name string, call func() error) error {
	p.point.pass(name + "/before")
	err := call()
	p.point.pass(name + "/after")
	return err
}

func (p *failingProvider) Clone(ctx context.Context, order vsphere.CloneOrder) (task vsphere.Task, err error) {
	err = p.around("call:clone", func() (err error) {
		task, err = p.Provider.Clone(ctx, order)
		return err
	})
	return task, err
}

func (p *failingProvider) PowerOn(ctx context.Context, vm vsphere.Ownership) error {
	return p.around("call:powerOn", func() error { return p.Provider.PowerOn(ctx, vm) })
}

func (p *failingProvider) ShutdownGuest(ctx context.Context, vm vsphere.Ownership) error {
	return p.around("call:shutdownGuest", func() error { return p.Provider.ShutdownGuest(ctx, vm) })
}

func (p *failingProvider) PowerOff(ctx context.Context, vm vsphere.Ownership) error {
	return p.around("call:powerOff", func() error { return p.Provider.PowerOff(ctx, vm) })
}

func (p *failingProvider) Destroy(ctx context.Context, vm vsphere.Ownership) error {
	return p.around("call:destroy", func() error { return p.Provider.Destroy(ctx, vm) })
}

func (p *failingProvider) Write(ctx context.Context, vm vsphere.Ownership, change vsphere.Change) error {
	return p.around("call:write", func() error { return p.Provider.Write(ctx, vm, change) })
}

func (p *failingProvider) Claim(ctx context.Context, ref vsphere.Ref, change vsphere.Change) error {
	return p.around("call:claim", func() error { return p.Provider.Claim(ctx, ref, change) })
}
