package api

import "github.com/valyala/fasthttp"

// answer is what many requests get, made ready for them: the headers are copied as a whole, and the body is not copied at all.
type answer struct {
	tag               string
	header, unchanged fasthttp.ResponseHeader
	body              []byte
}

// newAnswer makes an answer in JSON that a client may keep, if it asks each time whether it is still right. The tag is a strong validator:
// equal tags, equal bytes. Nobody may write to the body any more.
func newAnswer(tag string, body []byte) *answer {
	a := &answer{tag: tag, body: body}
	for _, h := range []*fasthttp.ResponseHeader{&a.header, &a.unchanged} {
		h.SetNoDefaultContentType(true)
		h.Set(fasthttp.HeaderETag, tag)
		h.Set(fasthttp.HeaderCacheControl, "no-cache")
		secure(h)
	}
	a.header.SetContentType(jsonType)
	a.unchanged.SetStatusCode(fasthttp.StatusNotModified)
	return a
}

// encoded says that the answer has a choice of encodings, and which one this is.
func (a *answer) encoded(c coding) *answer {
	a.header.Set(fasthttp.HeaderVary, fasthttp.HeaderAcceptEncoding)
	a.unchanged.Set(fasthttp.HeaderVary, fasthttp.HeaderAcceptEncoding)
	if c != identity {
		a.header.SetContentEncoding(string(c))
	}
	return a
}

// write answers with the body, or with 304 if the client has it.
func (a *answer) write(r *fasthttp.RequestCtx) {
	v := visitOf(r)
	v.ready = true
	if v.conditional && holds(joined(r, fasthttp.HeaderIfNoneMatch), a.tag) {
		a.unchanged.CopyTo(&r.Response.Header)
		return
	}
	a.header.CopyTo(&r.Response.Header)
	r.Response.SetBodyRaw(a.body)
}
