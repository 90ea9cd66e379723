package api

import (
	"context"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
)

// maxReason is the most characters that a reason may have; it is shown in one line.
const maxReason = 200

func (e *endpoints) getFreeze(ctx context.Context, r *fasthttp.RequestCtx) error {
	freeze, err := e.service.Frozen(ctx)
	if err != nil {
		return err
	}
	return writeJSON(r, freezeOf(freeze))
}

func (e *endpoints) setFreeze(ctx context.Context, r *fasthttp.RequestCtx) error {
	fields, err := decodeObject(r)
	if err != nil {
		return err
	}
	frozen, err := fields.boolean("frozen")
	if err != nil {
		return err
	}
	if frozen {
		return e.freeze(ctx, r, fields)
	}
	return e.thaw(ctx, r, fields)
}

func (e *endpoints) freeze(ctx context.Context, r *fasthttp.RequestCtx, fields object) error {
	reason, err := fields.line("reason", maxReason)
	if err != nil {
		return err
	}
	deed := about(r, "", facts{"frozen": true, "reason": reason})
	change, err := e.service.Freeze(ctx, reason)
	became(deed, "frozen", change)
	return err
}

func (e *endpoints) thaw(ctx context.Context, r *fasthttp.RequestCtx, fields object) error {
	takeOver, err := fields.flag("takeOver")
	if err != nil {
		return err
	}
	deed := about(r, "", facts{"frozen": false, "takeOver": takeOver})
	deed.acts = true // it also lifts what holds the pool by itself
	change, err := e.service.Thaw(ctx, takeOver)
	became(deed, "frozen", change)
	return err
}

func (e *endpoints) getOrphans(ctx context.Context, r *fasthttp.RequestCtx) error {
	strays, err := e.service.Orphans(ctx)
	if err != nil {
		return err
	}
	return writeJSON(r, orphansOf(strays))
}

// line is an optional text fit to be shown in one line of a log or a terminal; absent, null and empty mean the same.
func (o object) line(name string, longest int) (string, error) {
	if raw, ok := o[name]; !ok || string(raw) == "null" || string(raw) == `""` {
		return "", nil
	}
	text, err := o.text(name)
	if err != nil {
		return "", err
	}
	if utf8.RuneCountInString(text) > longest {
		return "", badRequest(fmt.Sprintf("%s must not be longer than %d characters", name, longest), nil)
	}
	for _, c := range text {
		if !unicode.IsGraphic(c) {
			return "", badRequest(fmt.Sprintf("%s must be one line without control characters; it has %U", name, c), nil)
		}
	}
	return text, nil
}
