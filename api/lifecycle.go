package api

import (
	"context"

	"github.com/valyala/fasthttp"
)

func (e *endpoints) getConfig(ctx context.Context, r *fasthttp.RequestCtx) error {
	document, err := e.service.Config(ctx)
	if err != nil {
		return err
	}
	r.SetContentType(jsonType)
	r.Response.SetBodyRaw(document)
	return nil
}

func (e *endpoints) setConfig(ctx context.Context, r *fasthttp.RequestCtx) error {
	document, err := decodeDocument(r)
	if err != nil {
		return err
	}
	deed := &visitOf(r).deed
	change, err := e.service.Configure(ctx, document)
	became(deed, "revision", change.Changed)
	deed.paths, deed.acts = change.Paths, len(change.Paths) > 0
	return err
}

func (e *endpoints) start(ctx context.Context, r *fasthttp.RequestCtx) error {
	if err := checkType(r, jsonTypes); err != nil {
		return err
	}
	change, err := e.service.Start(ctx)
	became(&visitOf(r).deed, "started", change)
	return err
}

func (e *endpoints) stop(ctx context.Context, r *fasthttp.RequestCtx) error {
	if err := checkType(r, jsonTypes); err != nil {
		return err
	}
	change, err := e.service.Stop(ctx)
	became(&visitOf(r).deed, "started", change)
	return err
}

func (e *endpoints) getStatus(ctx context.Context, r *fasthttp.RequestCtx) error {
	status, err := e.service.Status(ctx)
	if err != nil {
		return err
	}
	return writeJSON(r, healthOf(status))
}
