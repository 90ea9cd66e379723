package actors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// mask stands for a secret in a document that is shown.
const mask = "********"

// MaskConfig gives a document as JSON with a mask in place of each secret: every value below a key that names a password, secret,
// token or user data, and the password of every URL. Names of files that hold secrets are shown.
func MaskConfig(document []byte) ([]byte, error) {
	tree, err := toTree(document)
	if err != nil {
		return nil, err
	}
	return json.Marshal(rewrite(place{value: tree}, hide))
}

// The password of the vCenter account is not restored for another URL: whoever may post a configuration could have it sent to himself.
const (
	passwordPath = "cloudApiSettings.password"
	urlPath      = "cloudApiSettings.url"
)

// UnmaskConfig gives a posted document as JSON with each mask replaced by the secret at the same path of the stored document, which
// may be nil. A mask with no secret stored at its path is a problem of the *[ConfigError].
func UnmaskConfig(posted, stored []byte) ([]byte, error) {
	tree, err := toTree(posted)
	if err != nil {
		return nil, err
	}
	r := restorer{stored: map[string]any{}, posted: leavesOf(tree)}
	if len(stored) > 0 {
		known, err := toTree(stored)
		if err != nil {
			return nil, fmt.Errorf("read stored configuration: %w", err)
		}
		r.stored = leavesOf(known)
	}
	tree = rewrite(place{value: tree}, r.restore)
	if len(r.problems) > 0 {
		return nil, &ConfigError{Problems: r.problems}
	}
	return json.Marshal(tree)
}

// ignitionPath leads to a document with the keys and password hashes of the machines' users.
const ignitionPath = "provisioningTemplate.ignition.config"

// leavesOf are the values of a tree by path.
func leavesOf(tree any) map[string]any {
	leaves := map[string]any{}
	rewrite(place{value: tree}, func(p place) any {
		leaves[p.path] = p.value
		return p.value
	})
	return leaves
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
	path string
	// secret says that a key on the way to it names a secret.
	secret bool
	value  any
}

// rewrite copies a tree with each leaf replaced by what leaf makes of it, in the order of the keys.
func rewrite(p place, leaf func(place) any) any {
	switch v := p.value.(type) {
	case map[string]any:
		made := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			path := joinPath(p.path, key)
			made[key] = rewrite(place{path, p.secret || namesSecret(key) || path == ignitionPath, v[key]}, leaf)
		}
		return made
	case []any:
		made := make([]any, len(v))
		for i := range v {
			made[i] = rewrite(place{indexPath(p.path, i), p.secret, v[i]}, leaf)
		}
		return made
	default:
		return leaf(p)
	}
}

var (
	secretKey = regexp.MustCompile(`(?i)passw|passphrase|secret|token|user-?_?data`)
	fileKey   = regexp.MustCompile(`(?i)(file|path)$`)
	// urlPassword finds what is between the user and the host of a URL, wherever in a text it is.
	urlPassword = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^/?#:@\s]*:)([^/?#\s]+)@`)
)

func namesSecret(key string) bool {
	return secretKey.MatchString(key) && !fileKey.MatchString(key)
}

func hide(p place) any {
	if p.value == nil || p.value == "" {
		return p.value
	}
	if p.secret {
		return mask
	}
	if text, ok := p.value.(string); ok {
		return urlPassword.ReplaceAllString(text, "${1}"+mask+"@")
	}
	return p.value
}

// restorer puts secrets back.
type restorer struct {
	// stored and posted are the leaves of the documents by path.
	stored, posted map[string]any
	problems       []Problem
}

func (r *restorer) restore(p place) any {
	text, ok := p.value.(string)
	if !ok {
		return p.value
	}
	if !p.secret {
		return r.restoreURLs(p.path, text)
	}
	if text != mask {
		return text
	}
	if p.path == passwordPath && hide(place{value: r.stored[urlPath]}) != hide(place{value: r.posted[urlPath]}) {
		r.problems = append(r.problems, Problem{p.path, "must be given again, not as a mask: cloudApiSettings.url is another one now"})
		return text
	}
	secret := r.stored[p.path]
	if secret == nil || secret == "" {
		r.missing(p.path)
	}
	return secret
}

// restoreURLs takes the passwords of the URLs in a text from the URLs at the same place of the stored one.
func (r *restorer) restoreURLs(path, text string) string {
	stored, _ := r.stored[path].(string)
	passwords := urlPassword.FindAllStringSubmatch(stored, -1)
	i := -1
	return urlPassword.ReplaceAllStringFunc(text, func(found string) string {
		i++
		start, masked := strings.CutSuffix(found, mask+"@")
		if !masked {
			return found
		}
		if i >= len(passwords) {
			r.missing(path)
			return found
		}
		return start + passwords[i][2] + "@"
	})
}

func (r *restorer) missing(path string) {
	r.problems = append(r.problems, Problem{Path: path, Message: "is masked, and no secret is stored for it: give the secret itself"})
}
