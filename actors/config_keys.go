package actors

import (
	"encoding/json"
	"reflect"
	"slices"
)

// UnknownKeys lists the paths of keys in a document that [ParseConfig] ignores, sorted: probable typos, or settings of another
// adapter. A document that is not one has none.
func UnknownKeys(document []byte) []string {
	raw, err := toJSON(document)
	if err != nil {
		return nil
	}
	unknown := unknownKeys("", raw, reflect.TypeFor[Config]())
	slices.Sort(unknown)
	return unknown
}

func unknownKeys(path string, raw json.RawMessage, t reflect.Type) []string {
	var members map[string]json.RawMessage
	if t.Kind() != reflect.Struct || json.Unmarshal(raw, &members) != nil {
		return nil
	}
	var unknown []string
	for key, member := range members {
		if field, known := fieldByKey(t, key); known {
			unknown = append(unknown, unknownKeys(joinPath(path, key), member, field.Type)...)
		} else {
			unknown = append(unknown, joinPath(path, key))
		}
	}
	return unknown
}
