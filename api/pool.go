package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
)

// endpoints are the operations: decode, ask the pool, encode.
type endpoints struct {
	service Service
	metrics prometheus.Gatherer
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
	body, err := json.Marshal(sizeOf(size))
	if err != nil {
		return fmt.Errorf("encode size: %w", err)
	}
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	validate(r, tag)
	if holds(joined(r, fasthttp.HeaderIfNoneMatch), tag) {
		r.SetStatusCode(fasthttp.StatusNotModified)
		return nil
	}
	r.SetContentType(jsonType)
	r.SetBody(body)
	return nil
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
	deed := about(r, "", facts{"desiredSize": desired})
	change, err := e.service.Resize(ctx, desired)
	resized(deed, change)
	return err
}
