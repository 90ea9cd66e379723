package api

import (
	"context"

	"github.com/valyala/fasthttp"

	"vspherepool/actors"
)

func (e *endpoints) terminate(ctx context.Context, r *fasthttp.RequestCtx) error {
	id, decrement, err := decodeRemoval(r)
	if err != nil {
		return err
	}
	deed := aboutRemoval(r, id, decrement)
	change, err := e.service.Terminate(ctx, id, decrement)
	resized(deed, change)
	return err
}

func (e *endpoints) detach(ctx context.Context, r *fasthttp.RequestCtx) error {
	id, decrement, err := decodeRemoval(r)
	if err != nil {
		return err
	}
	deed := aboutRemoval(r, id, decrement)
	change, err := e.service.Detach(ctx, id, decrement)
	resized(deed, change)
	return err
}

func (e *endpoints) attach(ctx context.Context, r *fasthttp.RequestCtx) error {
	id, _, err := decodeMachine(r)
	if err != nil {
		return err
	}
	return e.take(ctx, r, id)
}

// attachByPath ignores any body: API 2.0 has none here, and clients differ in what they send instead.
func (e *endpoints) attachByPath(ctx context.Context, r *fasthttp.RequestCtx) error {
	id, _, err := pathID(r)
	if err != nil {
		return err
	}
	return e.take(ctx, r, id)
}

func (e *endpoints) take(ctx context.Context, r *fasthttp.RequestCtx, id string) error {
	deed := about(r, id, nil)
	change, err := e.service.Attach(ctx, id)
	resized(deed, change)
	return err
}

func (e *endpoints) setServiceState(ctx context.Context, r *fasthttp.RequestCtx) error {
	return e.applyServiceState(ctx, r, false)
}

// setServiceStateByPath is where the versions differ: in 2.0 OUT_OF_SERVICE has the machine replaced.
func (e *endpoints) setServiceStateByPath(ctx context.Context, r *fasthttp.RequestCtx) error {
	return e.applyServiceState(ctx, r, true)
}

func (e *endpoints) applyServiceState(ctx context.Context, r *fasthttp.RequestCtx, hold bool) error {
	id, fields, err := decodeMachine(r)
	if err != nil {
		return err
	}
	state, err := fields.serviceState("serviceState")
	if err != nil {
		return err
	}
	deed := about(r, id, facts{"serviceState": state})
	change, err := e.service.SetServiceState(ctx, id, state, hold)
	became(deed, "service", change)
	return err
}

func (e *endpoints) setMembership(ctx context.Context, r *fasthttp.RequestCtx) error {
	id, fields, err := decodeMachine(r)
	if err != nil {
		return err
	}
	membership, err := fields.membership("membershipStatus")
	if err != nil {
		return err
	}
	deed := about(r, id, facts{"membershipStatus": membershipDoc(membership)})
	change, err := e.service.SetMembership(ctx, id, membership)
	deed.before, deed.after = membershipFacts(change.Before), membershipFacts(change.After)
	return err
}

// aboutRemoval notes that a machine leaves, which always is a change.
func aboutRemoval(r *fasthttp.RequestCtx, id string, decrement bool) *deed {
	deed := about(r, id, facts{"decrementDesiredSize": decrement})
	deed.acts = true
	return deed
}

func membershipFacts(m actors.Membership) facts { return facts{"membershipStatus": membershipDoc(m)} }

// decodeMachine reads the body of a machine operation; the id is the path's, or else the body's.
func decodeMachine(r *fasthttp.RequestCtx) (id string, fields object, err error) {
	id, inPath, err := pathID(r)
	if err != nil {
		return "", nil, err
	}
	fields, err = decodeObject(r)
	if err != nil || inPath {
		return id, fields, err
	}
	id, err = fields.text("machineId")
	return id, fields, err
}

func decodeRemoval(r *fasthttp.RequestCtx) (id string, decrement bool, err error) {
	id, fields, err := decodeMachine(r)
	if err != nil {
		return "", false, err
	}
	decrement, err = fields.flag("decrementDesiredSize")
	return id, decrement, err
}

func (o object) serviceState(name string) (actors.ServiceState, error) {
	text, err := o.text(name)
	if err != nil {
		return "", err
	}
	state := actors.ServiceState(text)
	if !state.Valid() {
		return "", badRequest(name+" must be one of BOOTING, IN_SERVICE, UNHEALTHY, OUT_OF_SERVICE and UNKNOWN", nil)
	}
	return state, nil
}

// membership wants both halves: guessing the missing one could make a machine disposable.
func (o object) membership(name string) (actors.Membership, error) {
	status, err := o.object(name)
	if err != nil {
		return actors.Membership{}, err
	}
	active, err := status.boolean("active")
	if err != nil {
		return actors.Membership{}, within(name, err)
	}
	evictable, err := status.boolean("evictable")
	if err != nil {
		return actors.Membership{}, within(name, err)
	}
	return actors.Membership{Active: active, Evictable: evictable}, nil
}
