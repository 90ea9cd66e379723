package api

import (
	"bytes"
	"cmp"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"

	"vspherepool/actors"
)

// poolCache keeps the encodings of the pool's latest version, so that any number of readers costs one encoding per change.
type poolCache struct {
	current atomic.Pointer[poolVersion]
	// encoded is the latest encoding that anybody asked for; nil: none was.
	encoded atomic.Pointer[poolEncoding]
}

// poolKey is all that the document depends on: the view's identity, and the time of observation in the resolution it is written in.
type poolKey struct {
	epoch    string
	version  uint64
	observed int64
}

// poolVersion is one version of the document. Each answer is made when first asked for, once, however many ask at the same time.
type poolVersion struct {
	key     poolKey
	answers map[coding]func() (*answer, error)
}

func (c *poolCache) document(v actors.View) *poolVersion {
	key := poolKey{v.Epoch, v.Version, v.Observed.UnixMilli()}
	for {
		current := c.current.Load()
		if current != nil && current.key == key {
			return current
		}
		if made := c.newVersion(key, v); c.current.CompareAndSwap(current, made) {
			return made
		}
	}
}

func (c *poolCache) newVersion(key poolKey, v actors.View) *poolVersion {
	plain := sync.OnceValues(func() ([]byte, error) { return c.encode(v) })
	p := &poolVersion{key, make(map[coding]func() (*answer, error), len(compressors))}
	for name, compress := range compressors {
		p.answers[name] = sync.OnceValues(func() (*answer, error) {
			body, err := plain()
			if err == nil {
				body, err = compress(body)
			}
			if err != nil {
				return nil, fmt.Errorf("encode pool: %w", err)
			}
			return newAnswer(p.tag(name), body).encoded(name), nil
		})
	}
	return p
}

func (c *poolCache) encode(v actors.View) ([]byte, error) {
	made, err := encodePool(v, cmp.Or(c.encoded.Load(), &poolEncoding{}))
	if err != nil {
		return nil, err
	}
	c.encoded.Store(made)
	return made.body, nil
}

// write answers with the encoding that the client prefers.
func (p *poolVersion) write(r *fasthttp.RequestCtx) error {
	chosen := identity
	if visitOf(r).choosy {
		chosen = negotiate(joined(r, fasthttp.HeaderAcceptEncoding))
	}
	answer, err := p.answers[chosen]()
	if err != nil {
		return err
	}
	answer.write(r)
	return nil
}

// tag tells this version in that encoding from all others.
func (p *poolVersion) tag(c coding) string {
	return fmt.Sprintf(`"%s-%d-%d-%s"`, url.QueryEscape(p.key.epoch), p.key.version, p.key.observed, c)
}

// compressors are the encodings on offer.
var compressors = map[coding]func([]byte) ([]byte, error){
	identity:  func(body []byte) ([]byte, error) { return body, nil },
	gzipped:   compressGzip,
	zstandard: compressZstd,
}

// compressed answers with a body made for this request, in the coding that the client prefers.
func compressed(r *fasthttp.RequestCtx, body []byte) (err error) {
	r.Response.Header.Set(fasthttp.HeaderVary, fasthttp.HeaderAcceptEncoding)
	chosen := negotiate(joined(r, fasthttp.HeaderAcceptEncoding))
	if body, err = compressors[chosen](body); err != nil {
		return fmt.Errorf("compress answer: %w", err)
	}
	if chosen != identity {
		r.Response.Header.SetContentEncoding(string(chosen))
	}
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
