package actors

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"regexp"

	yamlv2 "go.yaml.in/yaml/v2"
	"sigs.k8s.io/yaml"
)

// What a document may have at most. Each limit is far above what a pool can use; together they keep a hostile document, which costs its
// sender nothing, from costing the server seconds or its memory.
const (
	maxDocument = 1 << 20
	// maxYAML is less, because reading YAML takes hundreds of times its length in memory.
	maxYAML   = 256 << 10
	maxDepth  = 32
	maxValues = 10_000
)

// toJSON tries JSON first: YAML includes it but for tabs.
func toJSON(document []byte) (json.RawMessage, error) {
	if len(document) > maxDocument {
		return nil, fmt.Errorf("is longer than %d bytes", maxDocument)
	}
	raw := json.RawMessage(document)
	if !json.Valid(document) {
		var err error
		if raw, err = fromYAML(document); err != nil {
			return nil, err
		}
	}
	if err := withinLimits(raw); err != nil {
		return nil, err
	}
	return raw, nil
}

func fromYAML(document []byte) (json.RawMessage, error) {
	if len(document) > maxYAML {
		return nil, fmt.Errorf("is not JSON, and for YAML it is too long: put what takes more than %d bytes into files of its own", maxYAML)
	}
	if bytes.IndexByte(document, '*') >= 0 { // without one there is no alias
		if err := aliasesWithinLimits(document); err != nil {
			return nil, err
		}
	}
	raw, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return nil, noYAML(err)
	}
	return raw, nil
}

var (
	// plainYAML are the complaints of the YAML library that quote nothing of the document.
	plainYAML = regexp.MustCompile(`^yaml: (line \d+: )?([a-z ,-]+|could not find expected ':')$`)
	yamlLine  = regexp.MustCompile(`\bline \d+`)
)

// noYAML says what is wrong with a document, or only where, if saying what would quote it: that may be a secret.
func noYAML(err error) error {
	text := err.Error()
	if !plainYAML.MatchString(text) {
		text = cmp.Or(yamlLine.FindString(text), "see its aliases, keys and quotes")
	}
	return errors.New("is neither YAML nor JSON: " + text)
}

// aliasesWithinLimits looks at what a document says once its aliases are written out. The YAML library bounds how many values they stand
// for, not how long those are; in memory they share their text, in JSON they would not.
func aliasesWithinLimits(document []byte) error {
	var tree any
	if err := yamlv2.Unmarshal(document, &tree); err != nil {
		return noYAML(err)
	}
	if expanded(tree, maxDocument) < 0 {
		return fmt.Errorf("is longer than %d bytes with its aliases written out", maxDocument)
	}
	return nil
}

// expanded is how much of a budget of bytes is left after a tree's texts and values; it is negative, and not exact, if the tree is over it.
func expanded(tree any, budget int) int {
	switch v := tree.(type) {
	case string:
		return budget - len(v)
	case []any:
		for _, element := range v {
			if budget = expanded(element, budget-1); budget < 0 {
				break
			}
		}
	case map[any]any:
		for key, element := range v {
			if budget = expanded(element, expanded(key, budget-1)); budget < 0 {
				break
			}
		}
	}
	return budget
}

// withinLimits counts in valid JSON.
func withinLimits(raw json.RawMessage) error {
	depth, values := 0, 1
	for c := range outsideTexts(raw) {
		switch c {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			values++
		}
		if depth > maxDepth {
			return fmt.Errorf("is nested more than %d deep", maxDepth)
		}
	}
	if values > maxValues {
		return fmt.Errorf("has more than %d values", maxValues)
	}
	return nil
}

// outsideTexts are the bytes of valid JSON that are in no string.
func outsideTexts(raw json.RawMessage) iter.Seq[byte] {
	return func(yield func(byte) bool) {
		text := false
		for i := 0; i < len(raw); i++ {
			switch c := raw[i]; {
			case text && c == '\\':
				i++
			case c == '"':
				text = !text
			case !text && !yield(c):
				return
			}
		}
	}
}
