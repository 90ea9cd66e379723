package actors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a configuration document.
type Problem struct {
	// Path is where: "cloudApiSettings.url", "provisioningTemplate.networks[1]"; empty for the document as a whole.
	Path string
	// Message says what is wrong and what to do. It never quotes the value, which may be a secret.
	Message string
}

// String is "path: message".
func (p Problem) String() string {
	if p.Path == "" {
		return p.Message
	}
	return p.Path + ": " + p.Message
}

// ConfigError lists everything that is wrong with a configuration document.
type ConfigError struct {
	Problems []Problem
}

// Error is "configuration: path: message; path: message".
func (e *ConfigError) Error() string {
	texts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		texts[i] = p.String()
	}
	return "configuration: " + strings.Join(texts, "; ")
}

// maxProblems is more than anybody reads, and keeps the answer to a document that is wrong all over short.
const maxProblems = 50

func refused(problems []Problem) error {
	if left := len(problems) - maxProblems; left > 0 {
		problems = append(slices.Clone(problems[:maxProblems]), Problem{Message: fmt.Sprintf("has %d more problems", left)})
	}
	return &ConfigError{Problems: problems}
}

// ParseConfig reads a document in YAML or JSON, fills in defaults and checks it. Files that the document names must be readable.
// Unknown keys are ignored, see [UnknownKeys]; a null counts as left out. The error is a *[ConfigError] with every problem.
func ParseConfig(document []byte) (Config, error) {
	c, problems := parse(document)
	if len(problems) > 0 {
		return Config{}, refused(problems)
	}
	return c, nil
}

// restoreConfig reads a document that was valid when it was stored. That a file or variable which it names cannot be read now is no
// reason not to
// know the configuration: connecting will tell, and be tried again.
func restoreConfig(document []byte) (Config, error) {
	c, problems := parse(document)
	problems = slices.DeleteFunc(problems, func(p Problem) bool {
		return strings.HasSuffix(p.Path, "File") || strings.HasSuffix(p.Path, "Env")
	})
	if len(problems) > 0 {
		return Config{}, refused(problems)
	}
	return c, nil
}

func parse(document []byte) (Config, []Problem) {
	var c Config
	d := decoder{defaults: defaults()}
	raw, err := toJSON(document)
	if err != nil {
		d.report("", err.Error())
	} else {
		d.decode("", raw, reflect.ValueOf(&c).Elem())
		d.problems = append(d.problems, check(c, d.broken)...)
	}
	return c, d.problems
}

// nameIn is the pool's name in a document, valid or not.
func nameIn(document []byte) string {
	var named struct {
		Name string `json:"name"`
	}
	raw, err := toJSON(document)
	if err == nil {
		_ = json.Unmarshal(raw, &named) // a name of another type is none
	}
	return named.Name
}

// decoder is encoding/json's Unmarshal, but one that goes on after a problem, knows where it is, takes keys by their exact
// spelling, and fills in defaults.
type decoder struct {
	defaults map[string]json.RawMessage
	problems []Problem
}

func (d *decoder) report(path, message string) {
	d.problems = append(d.problems, Problem{Path: path, Message: message})
}

// broken reports whether the value at path, or an element of it, could not be decoded, so that checking it would only repeat that.
func (d *decoder) broken(path string) bool {
	for _, p := range d.problems {
		if p.Path == "" || p.Path == path || strings.HasPrefix(path, p.Path+".") || strings.HasPrefix(p.Path, path+"[") {
			return true
		}
	}
	return false
}

func (d *decoder) decode(path string, raw json.RawMessage, into reflect.Value) {
	if absent(raw) {
		if raw = d.defaults[path]; raw == nil && into.Kind() != reflect.Struct {
			return
		}
	}
	switch into.Kind() {
	case reflect.Struct:
		d.decodeStruct(path, raw, into)
	case reflect.Map:
		d.decodeMap(path, raw, into)
	case reflect.Slice:
		d.decodeSlice(path, raw, into)
	default:
		d.decodeLeaf(path, raw, into)
	}
}

func absent(raw json.RawMessage) bool {
	return len(raw) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null"))
}

func (d *decoder) decodeStruct(path string, raw json.RawMessage, into reflect.Value) {
	var members map[string]json.RawMessage
	if !absent(raw) && json.Unmarshal(raw, &members) != nil {
		d.report(path, "must be an object with keys")
		return
	}
	for i := range into.NumField() {
		key := jsonKey(into.Type().Field(i))
		d.decode(joinPath(path, key), members[key], into.Field(i))
	}
}

func (d *decoder) decodeMap(path string, raw json.RawMessage, into reflect.Value) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		d.report(path, "must be an object with keys")
		return
	}
	made := reflect.MakeMapWithSize(into.Type(), len(members))
	for _, key := range slices.Sorted(maps.Keys(members)) {
		element := reflect.New(into.Type().Elem()).Elem()
		d.decode(joinPath(path, key), members[key], element)
		made.SetMapIndex(reflect.ValueOf(key), element)
	}
	into.Set(made)
}

func (d *decoder) decodeSlice(path string, raw json.RawMessage, into reflect.Value) {
	var elements []json.RawMessage
	if json.Unmarshal(raw, &elements) != nil {
		d.report(path, "must be a list")
		return
	}
	made := reflect.MakeSlice(into.Type(), len(elements), len(elements))
	for i, element := range elements {
		d.decode(indexPath(path, i), element, made.Index(i))
	}
	into.Set(made)
}

func (d *decoder) decodeLeaf(path string, raw json.RawMessage, into reflect.Value) {
	numbers := json.NewDecoder(bytes.NewReader(raw))
	numbers.UseNumber()
	err := numbers.Decode(into.Addr().Interface())
	if err == nil {
		return
	}
	var mismatch *json.UnmarshalTypeError
	if !errors.As(err, &mismatch) {
		d.report(path, err.Error())
		return
	}
	switch mismatch.Type.Kind() {
	case reflect.Int:
		d.report(path, "must be a whole number")
	case reflect.Bool:
		d.report(path, "must be true or false")
	default:
		d.report(path, "must be text; in YAML, put numbers and words like \"yes\" in quotes")
	}
}

var plainKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

func joinPath(path, key string) string {
	switch {
	case !plainKey.MatchString(key):
		return fmt.Sprintf("%s[%q]", path, key)
	case path == "":
		return key
	default:
		return path + "." + key
	}
}

func indexPath(path string, i int) string {
	return fmt.Sprintf("%s[%d]", path, i)
}

func jsonKey(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return key
}
