package actors

import (
	"encoding/json"
	"log/slog"
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

// warnOfUnknownKeys tells of them wherever a document comes into force.
func warnOfUnknownKeys(log *slog.Logger, document []byte) {
	if unknown := UnknownKeys(document); len(unknown) > 0 {
		log.Warn("configuration has keys without a meaning here; they are ignored", "keys", unknown)
	}
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
