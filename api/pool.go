package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"vspherepool/actors"
)

// endpoints are the operations: decode, ask the pool, encode.
type endpoints struct {
	service Service
	metrics prometheus.Gatherer
	pools   poolCache
	sizes   sizeCache
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
	answer, err := e.sizes.answer(size)
	if err != nil {
		return err
	}
	answer.write(r)
	return nil
}

// sizeCache keeps the answer for the latest size.
type sizeCache struct{ current atomic.Pointer[sizeAnswer] }

type sizeAnswer struct {
	size actors.Size
	*answer
}

func (c *sizeCache) answer(size actors.Size) (*answer, error) {
	if current := c.current.Load(); current != nil && current.size == size {
		return current.answer, nil
	}
	body, err := json.Marshal(sizeOf(size))
	if err != nil {
		return nil, fmt.Errorf("encode size: %w", err)
	}
	sum := sha256.Sum256(body)
	made := newAnswer(`"`+hex.EncodeToString(sum[:8])+`"`, body)
	c.current.Store(&sizeAnswer{size, made})
	return made, nil
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
