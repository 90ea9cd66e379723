package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"

	"vspherepool/actors"
)

// poolCache keeps the encodings of the pool's latest version, so that any number of readers costs one encoding per change.
type poolCache struct {
	mu      sync.Mutex
	current *poolVersion
}

// poolKey is all that the document depends on: the view's identity, and the time of observation in the resolution it is written in.
type poolKey struct {
	epoch    string
	version  uint64
	observed int64
}

// poolVersion is one version of the document. Each encoding is made when first asked for, once, however many ask at the same time.
type poolVersion struct {
	key    poolKey
	bodies map[coding]func() ([]byte, error)
}

func (c *poolCache) document(v actors.View) *poolVersion {
	key := poolKey{v.Epoch, v.Version, v.Observed.UnixMilli()}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil || c.current.key != key {
		c.current = newPoolVersion(key, v)
	}
	return c.current
}

func newPoolVersion(key poolKey, v actors.View) *poolVersion {
	plain := sync.OnceValues(func() ([]byte, error) { return json.Marshal(poolOf(v)) })
	compressed := func(compress func([]byte) ([]byte, error)) func() ([]byte, error) {
		return sync.OnceValues(func() ([]byte, error) {
			body, err := plain()
			if err != nil {
				return nil, err
			}
			return compress(body)
		})
	}
	return &poolVersion{key, map[coding]func() ([]byte, error){
		identity:  plain,
		gzipped:   compressed(compressGzip),
		zstandard: compressed(compressZstd),
	}}
}

// write answers with the encoding that the client prefers, or with 304 if it has that one.
func (p *poolVersion) write(r *fasthttp.RequestCtx) error {
	chosen := negotiate(joined(r, fasthttp.HeaderAcceptEncoding))
	tag := p.tag(chosen)
	if holds(joined(r, fasthttp.HeaderIfNoneMatch), tag) {
		r.SetStatusCode(fasthttp.StatusNotModified)
		validate(r, tag)
		return nil
	}
	body, err := p.bodies[chosen]()
	if err != nil {
		return fmt.Errorf("encode pool: %w", err)
	}
	if chosen != identity {
		r.Response.Header.SetContentEncoding(string(chosen))
	}
	validate(r, tag)
	r.SetContentType(jsonType)
	// Not copied: nobody writes to it.
	r.Response.SetBodyRaw(body)
	return nil
}

// validate sets the headers that let a client ask again at the price of a 304.
func validate(r *fasthttp.RequestCtx, tag string) {
	header := &r.Response.Header
	header.Set(fasthttp.HeaderETag, tag)
	header.Set(fasthttp.HeaderVary, fasthttp.HeaderAcceptEncoding)
	header.Set(fasthttp.HeaderCacheControl, "no-cache")
}

// tag is a strong validator: equal tags, equal bytes.
func (p *poolVersion) tag(c coding) string {
	return fmt.Sprintf(`"%s-%d-%d-%s"`, url.QueryEscape(p.key.epoch), p.key.version, p.key.observed, c)
}

// compressed answers with a body made for this request, in the coding that the client prefers.
func compressed(r *fasthttp.RequestCtx, body []byte) (err error) {
	r.Response.Header.Set(fasthttp.HeaderVary, fasthttp.HeaderAcceptEncoding)
	chosen := negotiate(joined(r, fasthttp.HeaderAcceptEncoding))
	switch chosen {
	case identity:
		r.Response.SetBodyRaw(body)
		return nil
	case gzipped:
		body, err = compressGzip(body)
	case zstandard:
		body, err = compressZstd(body)
	}
	if err != nil {
		return fmt.Errorf("compress answer: %w", err)
	}
	r.Response.Header.SetContentEncoding(string(chosen))
	r.Response.SetBodyRaw(body)
	return nil
}

func compressGzip(body []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

// zstdWindow is the most that a client of HTTP has to support (RFC 9659).
const zstdWindow = 8 << 20

var zstdEncoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(zstdWindow))
})

func compressZstd(body []byte) ([]byte, error) {
	encoder, err := zstdEncoder()
	if err != nil {
		return nil, err
	}
	return encoder.EncodeAll(body, nil), nil
}
