package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
)

const jsonType = "application/json"

var (
	jsonTypes   = []string{jsonType}
	configTypes = []string{jsonType, "application/yaml", "application/x-yaml", "text/yaml"}
)

// object is a decoded JSON object. Unlike encoding/json's structs it knows absent from null from zero and upper from lower case, which
// decides whether a typing error resizes a pool to nothing. Its methods name the field they complain about.
type object map[string]json.RawMessage

// decodeObject reads a request body that has to be a JSON object.
func decodeObject(r *fasthttp.RequestCtx) (object, error) {
	if err := checkType(r, jsonTypes); err != nil {
		return nil, err
	}
	return parseObject(r.PostBody())
}

// decodeDocument reads a configuration document: JSON is checked to be an object, anything else is left to the pool's own parser. The
// result is a copy.
func decodeDocument(r *fasthttp.RequestCtx) ([]byte, error) {
	if err := checkType(r, configTypes); err != nil {
		return nil, err
	}
	body := r.PostBody()
	if err := checkText(body); err != nil {
		return nil, err
	}
	if mediaType(r) == jsonType {
		if _, err := parseObject(body); err != nil {
			return nil, err
		}
	}
	return bytes.Clone(body), nil
}

// checkType refuses a body in a format that is not read here. Without a body the type says nothing, and without a type it is taken to
// be right.
func checkType(r *fasthttp.RequestCtx, accepted []string) error {
	if len(r.PostBody()) == 0 {
		return nil
	}
	if coding := r.Request.Header.ContentEncoding(); len(coding) > 0 && !bytes.EqualFold(coding, []byte("identity")) {
		return unsupported("a compressed body is not accepted; send it plain")
	}
	if media := mediaType(r); media != "" && !slices.Contains(accepted, media) {
		return unsupported(fmt.Sprintf("content type %.80q is not accepted here; send %s", media, strings.Join(accepted, " or ")))
	}
	return nil
}

func unsupported(message string) error {
	return &problem{fasthttp.StatusUnsupportedMediaType, message, nil}
}

// mediaType is the body's type without parameters, in lower case; empty if none was sent.
func mediaType(r *fasthttp.RequestCtx) string {
	header := string(r.Request.Header.ContentType())
	media, _, err := mime.ParseMediaType(header)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return header
	}
	return media
}

func checkText(body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return badRequest("the request body is empty; this operation needs one", nil)
	}
	if !utf8.Valid(body) {
		return badRequest("the request body is not valid UTF-8", nil)
	}
	return nil
}

func parseObject(body []byte) (object, error) {
	if err := checkText(body); err != nil {
		return nil, err
	}
	if bytes.TrimSpace(body)[0] != '{' {
		return nil, badRequest("the request body must be a JSON object", nil)
	}
	var o object
	if err := json.Unmarshal(body, &o); err != nil {
		return nil, badRequest("the request body is not valid JSON", err)
	}
	return o, nil
}

// required is a field's raw value, which is neither absent nor null.
func (o object) required(name string) (json.RawMessage, error) {
	raw, ok := o[name]
	if !ok {
		return nil, badRequest(name+" is missing", nil)
	}
	if string(raw) == "null" {
		return nil, badRequest(name+" must not be null", nil)
	}
	return raw, nil
}

// size is a required whole number of 0 or more that fits into 32 bits, which is what the clients' languages have for it.
func (o object) size(name string) (int, error) {
	raw, err := o.required(name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(raw), 10, 32)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, badRequest(name+" is out of range", nil)
	case err != nil:
		return 0, badRequest(name+" must be a whole number", nil)
	case n < 0:
		return 0, badRequest(name+" must be 0 or more", nil)
	}
	return int(n), nil
}

// text is a required string that is not empty.
func (o object) text(name string) (string, error) {
	raw, err := o.required(name)
	if err != nil {
		return "", err
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", badRequest(name+" must be a string", nil)
	}
	if text == "" {
		return "", badRequest(name+" must not be empty", nil)
	}
	return text, nil
}

func (o object) boolean(name string) (bool, error) {
	raw, err := o.required(name)
	if err != nil {
		return false, err
	}
	switch string(raw) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, badRequest(name+" must be true or false", nil)
}

// flag is a boolean that may be absent or null, which both mean false.
func (o object) flag(name string) (bool, error) {
	if raw, ok := o[name]; !ok || string(raw) == "null" {
		return false, nil
	}
	return o.boolean(name)
}

func (o object) object(name string) (object, error) {
	raw, err := o.required(name)
	if err != nil {
		return nil, err
	}
	var inner object
	if err := json.Unmarshal(raw, &inner); err != nil {
		return nil, badRequest(name+" must be a JSON object", nil)
	}
	return inner, nil
}

// within puts the name of the enclosing field before a complaint.
func within(name string, err error) error {
	return badRequest(name+"."+err.Error(), nil)
}
