package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"vspherepool/actors"
	"vspherepool/vsphere"
)

// removalTime bounds the removal of the trial's machine, which goes on when everything else was told to stop: its clone may have to end
// first.
const removalTime = 10 * time.Minute

// tryOne makes one machine and removes it, and adds how that went to the findings. After failures it is not begun: what is missing may
// be what removing the machine takes.
func (v visit) tryOne(ctx context.Context, show progress, findings []vsphere.Finding) ([]vsphere.Finding, error) {
	if verdictOn(findings) != nil {
		return append(findings, vsphere.Finding{
			Check: "clone", Severity: vsphere.Warning, Message: "no machine was made", Remedy: "mend the failures first",
		}), nil
	}
	defer show.end()
	// No pool has this name, so that none takes the machine for its own.
	client, err := v.connect(ctx, v.config.Name+".doctor")
	if err != nil {
		return nil, err
	}
	defer func() { _ = client.Close(ctx) }() // a session that stays open ends by itself
	t := newTrial(client, v.config, show.say)
	failed := t.run(ctx)
	left := t.remove(ctx)
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, errors.Join(failed, left)
	}
	return append(t.report(failed, left), findings...), nil
}

// report says how the trial went, and what is left of it.
func (t *trial) report(failed, left error) []vsphere.Finding {
	var out []vsphere.Finding
	if failed != nil {
		out = append(out, vsphere.Diagnose("clone", failed))
	}
	if left != nil {
		out = append(out, vsphere.Finding{
			Check: "clone", Object: t.order.Name, Severity: vsphere.Failure, Message: left.Error(), Remedy: "destroy it by hand",
		})
	}
	if len(out) > 0 {
		return out
	}
	message := fmt.Sprintf("machine %s was cloned, booted%s, shut down and destroyed", t.order.Name, t.address)
	return []vsphere.Finding{{Check: "clone", Object: t.order.Name, Severity: vsphere.Fine, Message: message}}
}

// trial is the life of one machine.
type trial struct {
	client          *vsphere.Client
	order           vsphere.CloneOrder
	ready           string
	shutdownTimeout time.Duration
	say             func(string)

	task vsphere.Task
	own  vsphere.Ownership
	// address is what the machine got, as a part of a sentence.
	address string
}

func newTrial(client *vsphere.Client, config actors.Config, say func(string)) *trial {
	id := uuid.NewString()
	return &trial{
		client: client,
		// 15 characters are what a customized Windows computer may have.
		order:           vsphere.CloneOrder{ID: vsphere.MachineID(id), Name: "doctor-" + id[:8], Status: vsphere.DefaultStatus()},
		ready:           config.ProvisioningTemplate.Ready,
		shutdownTimeout: time.Duration(config.ScaleIn.ShutdownTimeout),
		say:             say,
		own:             vsphere.Ownership{Machine: vsphere.MachineID(id)},
	}
}

// run takes the steps in order. However far it comes, the machine has to be removed.
func (t *trial) run(ctx context.Context) error {
	for _, step := range []struct {
		doing string
		do    func(context.Context) error
	}{
		{"cloning", t.clone}, {"powering on", t.powerOn}, {"waiting for", t.boot}, {"shutting down", t.shutDown},
	} {
		t.say(step.doing + " " + t.order.Name)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s %s: %w", step.doing, t.order.Name, err)
		}
	}
	return nil
}

func (t *trial) clone(ctx context.Context) (err error) {
	t.listen(ctx)
	if t.task, err = t.client.Clone(ctx, t.order); err != nil {
		return err
	}
	made, err := t.client.Await(ctx, t.task)
	t.own.Ref = made.Ref
	return err
}

func (t *trial) powerOn(ctx context.Context) error {
	return persist(ctx, func() error { return t.client.PowerOn(ctx, t.own) })
}

// boot waits for what makes a machine RUNNING.
func (t *trial) boot(ctx context.Context) error {
	var last vsphere.VM
	err := t.until(ctx, func(vm vsphere.VM) bool {
		last = vm
		return vm.Customization == vsphere.CustomizationFailed || t.isReady(vm)
	})
	if err == nil && last.Customization == vsphere.CustomizationFailed {
		err = errors.New("the guest customization failed: see its log in the guest, and the machine's events in vCenter")
	}
	if len(last.IPs) > 0 {
		t.address = " to " + strings.Join(last.IPs, ", ")
	}
	return err
}

func (t *trial) isReady(vm vsphere.VM) bool {
	if t.client.Site().Customized && vm.Customization != vsphere.CustomizationSucceeded {
		return false
	}
	return len(vm.IPs) > 0 || t.ready == vsphere.ReadyPoweredOn && vm.Power == vsphere.PoweredOn
}

// shutDown asks the guest first, as the pool does. That it cannot, or does not obey, is no failure: remove cuts the power.
func (t *trial) shutDown(ctx context.Context) error {
	if err := t.client.ShutdownGuest(ctx, t.own); err != nil {
		return except(vsphere.WrongState, err)
	}
	limit, cancel := context.WithTimeout(ctx, t.shutdownTimeout)
	defer cancel()
	err := t.until(limit, func(vm vsphere.VM) bool { return vm.Power == vsphere.PoweredOff })
	if limit.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

// listen hears the events that tell the outcome of a guest customization, which older vCenters show nowhere else. Missing some costs time
// only.
func (t *trial) listen(ctx context.Context) {
	if t.client.Site().Customized {
		_, _ = t.client.Hints(ctx)
	}
}

// until reads the machine again and again.
func (t *trial) until(ctx context.Context, reached func(vsphere.VM) bool) error {
	for {
		t.listen(ctx)
		found, _, err := t.client.Read(ctx, []vsphere.Ref{t.own.Ref})
		if err != nil {
			return err
		}
		if slices.ContainsFunc(found, reached) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it took too long: %w", ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}

// remove destroys what the trial made, and proves it. It outlives ctx.
func (t *trial) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removalTime)
	defer cancel()
	t.say("removing " + t.order.Name)
	err := t.find(ctx)
	if t.own.Ref == "" && err == nil {
		return nil
	}
	if err == nil {
		err = t.destroy(ctx)
	}
	if err != nil {
		return fmt.Errorf("machine %s could not be removed: %w", t.order.Name, err)
	}
	return nil
}

func (t *trial) destroy(ctx context.Context) error {
	return persist(ctx, func() error {
		if err := t.client.PowerOff(ctx, t.own); err != nil {
			return err
		}
		return t.client.Destroy(ctx, t.own)
	})
}

// passing are the kinds of failures that end with what was begun before: a clone that is not yet visible everywhere, a power-on that
// nobody waits for any more.
var passing = []vsphere.Kind{vsphere.HalfMade, vsphere.Busy, vsphere.Conflict, vsphere.WrongState}

// persist repeats what fails for a passing reason.
func persist(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil || !slices.Contains(passing, vsphere.KindOf(err)) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pollInterval):
		}
	}
}

// find fills in the reference if the trial ended before it knew it. A clone that is still running is waited for.
func (t *trial) find(ctx context.Context) error {
	if t.own.Ref != "" {
		return nil
	}
	if t.task != "" {
		if made, err := t.client.Await(ctx, t.task); err == nil {
			t.own.Ref = made.Ref
			return nil
		}
	}
	vm, err := t.client.Locate(ctx, t.order.ID, t.order.Name)
	t.own.Ref = vm.Ref
	return except(vsphere.NotFound, err)
}

// except is err unless it is of that kind.
func except(kind vsphere.Kind, err error) error {
	if err != nil && vsphere.KindOf(err) == kind {
		return nil
	}
	return err
}
