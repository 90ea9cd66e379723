package actors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// mask stands for a secret in a document that is shown.
const mask = "********"

// MaskConfig gives a document as JSON with a mask in place of each secret: every value below a key that names a password, secret,
// token or the like, all that is handed to guests, what is below a key without a meaning here, for that may be a misspelt password, private
// keys, and the password of every URL. Names of files and environment variables that hold secrets are shown.
func MaskConfig(document []byte) ([]byte, error) {
	tree, err := toTree(document)
	if err != nil {
		return nil, err
	}
	return json.Marshal(rewrite(&place{value: tree, shape: reflect.TypeFor[Config]()}, hide))
}

// UnmaskConfig gives a posted document as JSON with each mask replaced by the secret at the same path of the stored document, which
// may be nil. A mask with no secret stored at its path is a problem of the *[ConfigError].
func UnmaskConfig(posted, stored []byte) ([]byte, error) {
	tree, err := toTree(posted)
	if err != nil {
		return nil, err
	}
	var known any
	if len(stored) > 0 {
		if known, err = toTree(stored); err != nil {
			return nil, fmt.Errorf("read stored configuration: %w", err)
		}
	}
	r := restorer{sameURL: hideText(urlOf(tree)) == hideText(urlOf(known))}
	tree = rewrite(&place{value: tree, stored: known, shape: reflect.TypeFor[Config]()}, r.restore)
	if len(r.problems) > 0 {
		return nil, refused(r.problems)
	}
	return json.Marshal(tree)
}

// urlOf is vCenter's URL in a document, empty if it has none.
func urlOf(tree any) string {
	settings := valueOf(tree, "cloudApiSettings")
	text, _ := valueOf(settings, "url").(string)
	return text
}

// valueOf is what a value has under a key, nil if nothing.
func valueOf(value any, key string) any {
	object, _ := value.(map[string]any)
	return object[key]
}

func toTree(document []byte) (any, error) {
	raw, err := toJSON(document)
	if err != nil {
		return nil, &ConfigError{Problems: []Problem{{Message: err.Error()}}}
	}
	var tree any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return nil, fmt.Errorf("decode document: %w", err)
	}
	return tree, nil
}

// place is a value in a document.
type place struct {
	// within is the object or list that has it under a key or, with inList, at an index; nil for the document as a whole.
	within *place
	key    string
	index  int
	inList bool
	// secret says that a key on the way to it names a secret.
	secret bool
	value  any
	// stored is what the stored document has at the same place; nil if nothing.
	stored any
	// shape is the type that the document's own has here; nil where anything may be.
	shape reflect.Type
}

// path is made only where it is needed: those of all values of a document together may be far longer than the document.
func (p *place) path() string {
	switch {
	case p.within == nil:
		return ""
	case p.inList:
		return indexPath(p.within.path(), p.index)
	default:
		return joinPath(p.within.path(), p.key)
	}
}

// at reports whether keys lead to the place.
func (p *place) at(keys ...string) bool {
	last := len(keys) - 1
	if p.within == nil || last < 0 {
		return p.within == nil && last < 0
	}
	return !p.inList && p.key == keys[last] && p.within.at(keys[:last]...)
}

func (p *place) member(key string, value any) *place {
	m := &place{within: p, key: key, value: value, stored: valueOf(p.stored, key)}
	known := true
	if p.shape != nil && p.shape.Kind() == reflect.Struct {
		var field reflect.StructField
		if field, known = fieldByKey(p.shape, key); known {
			m.shape = field.Type
		}
	}
	m.secret = p.secret || !known || namesSecret(key) || m.forGuests()
	return m
}

// forGuests says that a value is handed to the machines, which are told what nobody else is: keys, passwords and their hashes.
func (p *place) forGuests() bool {
	return p.at("provisioningTemplate", "ignition", "config") || p.at("provisioningTemplate", "cloudInit", "metaData") ||
		p.at("provisioningTemplate", "extraConfig", p.key) && strings.HasPrefix(strings.ToLower(p.key), "guestinfo.")
}

func (p *place) element(i int, value any) *place {
	e := &place{within: p, index: i, inList: true, secret: p.secret, value: value}
	if stored, _ := p.stored.([]any); i < len(stored) {
		e.stored = stored[i]
	}
	return e
}

// rewrite copies a tree with each leaf replaced by what leaf makes of it, in the order of the keys.
func rewrite(p *place, leaf func(*place) any) any {
	switch v := p.value.(type) {
	case map[string]any:
		made := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			made[key] = rewrite(p.member(key, v[key]), leaf)
		}
		return made
	case []any:
		made := make([]any, len(v))
		for i := range v {
			made[i] = rewrite(p.element(i, v[i]), leaf)
		}
		return made
	default:
		return leaf(p)
	}
}

var (
	secretKey = regexp.MustCompile(`(?i)passw|passphrase|pwd|secret|token|(private|api|access)-?_?key|(user|vendor)-?_?data|authorization`)
	// sourceKey names where a secret is, not the secret.
	sourceKey = regexp.MustCompile(`(?i)(file|path|env)$`)
	// privateKey is how one begins in PEM.
	privateKey = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`)
	// urlPassword finds what is between the user and the host of a URL, wherever in a text it is.
	urlPassword = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^/?#:@\s]*:)([^/?#\s]+)@`)
)

func namesSecret(key string) bool {
	return secretKey.MatchString(key) && !sourceKey.MatchString(key)
}

func hide(p *place) any {
	if p.value == nil || p.value == "" {
		return p.value
	}
	text, ok := p.value.(string)
	if p.secret || privateKey.MatchString(text) {
		return mask
	}
	if ok {
		return hideText(text)
	}
	return p.value
}

func hideText(text string) string {
	return urlPassword.ReplaceAllString(text, "${1}"+mask+"@")
}

// restorer puts secrets back.
type restorer struct {
	// sameURL says that both documents name the same vCenter.
	sameURL  bool
	problems []Problem
}

func (r *restorer) restore(p *place) any {
	text, ok := p.value.(string)
	if !ok {
		return p.value
	}
	if stored, _ := p.stored.(string); text != mask || !p.secret && !privateKey.MatchString(stored) {
		return r.restoreURLs(p, text)
	}
	// The password of the vCenter account is not restored for another URL: whoever may post a configuration could have it sent to himself.
	if !r.sameURL && p.at("cloudApiSettings", "password") {
		r.problems = append(r.problems, Problem{p.path(), "must be given again, not as a mask: cloudApiSettings.url is another one now"})
		return text
	}
	switch p.stored.(type) {
	case nil, map[string]any, []any:
		r.missing(p)
	case string:
		if p.stored == "" {
			r.missing(p)
		}
	}
	return p.stored
}

// restoreURLs takes the passwords of the URLs in a text from the URLs at the same place of the stored one.
func (r *restorer) restoreURLs(p *place, text string) string {
	stored, _ := p.stored.(string)
	passwords := urlPassword.FindAllStringSubmatch(stored, -1)
	i := -1
	return urlPassword.ReplaceAllStringFunc(text, func(found string) string {
		i++
		start, masked := strings.CutSuffix(found, mask+"@")
		if !masked {
			return found
		}
		if i >= len(passwords) {
			r.missing(p)
			return found
		}
		return start + passwords[i][2] + "@"
	})
}

func (r *restorer) missing(p *place) {
	r.problems = append(r.problems, Problem{Path: p.path(), Message: "is masked, and no secret is stored for it: give the secret itself"})
}
