package api

import (
	"context"

	"github.com/valyala/fasthttp"
)

// endpoints are the operations: decode, ask the pool, encode.
type endpoints struct {
	service Service
	pools   poolCache
}

func (e *endpoints) getPool(ctx context.Context, r *fasthttp.RequestCtx) error {
	view, err := e.service.View(ctx)
	if err != nil {
		return err
	}
	return e.pools.document(view).write(r)
}

func (e *endpoints) getSize(ctx context.Context, r *fasthttp.RequestCtx) error {
	size, err := e.service.Size(ctx)
	if err != nil {
		return err
	}
	return writeJSON(r, sizeOf(size))
}

func (e *endpoints) setSize(ctx context.Context, r *fasthttp.RequestCtx) error {
	fields, err := decodeObject(r)
	if err != nil {
		return err
	}
	desired, err := fields.size("desiredSize")
	if err != nil {
		return err
	}
	return e.service.Resize(ctx, desired)
}
