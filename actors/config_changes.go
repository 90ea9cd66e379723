package actors

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"reflect"
	"slices"
)

// reconfigured tells two documents apart without telling what is in them.
func reconfigured(before, after []byte) Reconfigured {
	old, _ := toTree(before) // what cannot be read has no keys
	made, _ := toTree(after)
	paths := map[string]bool{}
	differences("", old, made, paths)
	return Reconfigured{
		Changed: Changed[Revision]{revisionOf(before), revisionOf(after)},
		Paths:   slices.Sorted(maps.Keys(paths)),
	}
}

// revisionOf is a fingerprint of the masked document: of the whole one, a short password could be found by trying.
func revisionOf(document []byte) Revision {
	masked, err := MaskConfig(document)
	if len(document) == 0 || err != nil {
		return ""
	}
	sum := sha256.Sum256(masked)
	return Revision(hex.EncodeToString(sum[:6]))
}

// differences adds the paths of the leaves and lists that two trees do not share.
func differences(path string, was, is any, found map[string]bool) {
	old, before := was.(map[string]any)
	made, after := is.(map[string]any)
	switch {
	case reflect.DeepEqual(was, is):
	case (before || was == nil) && (after || is == nil):
		keys := map[string]bool{}
		for _, tree := range []map[string]any{old, made} {
			for key := range tree {
				keys[key] = true
			}
		}
		for key := range keys {
			differences(joinPath(path, key), old[key], made[key], found)
		}
	default:
		found[path] = true
	}
}
