package actors

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"vspherepool/vsphere"
)

// configKey is what the types of [Config] cannot say about one key of the document. The table below is the source of defaults, of
// validation, and of the matching keywords in the schema.
type configKey struct {
	path string
	// byDefault is the value of a key that was left out, as the document would write it; nil is none.
	byDefault any
	required  bool
	rules     []rule
}

// rule is one condition on a value that was given.
type rule struct {
	// keywords are its JSON Schema, where that has words for it.
	keywords map[string]any
	// check says what is wrong with a value, and nothing if nothing is.
	check func(value any) string
}

var configKeys = []configKey{
	{path: "name", required: true, rules: []rule{poolName}},
	{path: "desiredSize", rules: []rule{atLeast(0)}},
	{path: "bounds.min", byDefault: 0, rules: []rule{atLeast(0)}},
	{path: "bounds.max", rules: []rule{atLeast(0)}},
	{path: "bounds.onViolation", byDefault: "clamp", rules: []rule{oneOf("clamp", "reject")}},

	{path: "cloudApiSettings.url", required: true, rules: []rule{sdkURL}},
	{path: "cloudApiSettings.username", required: true},
	{path: "cloudApiSettings.passwordFile", rules: []rule{readableFile}},
	{path: "cloudApiSettings.passwordEnv", rules: []rule{setVariable}},
	{path: "cloudApiSettings.caFile", rules: []rule{readableFile}},
	{path: "cloudApiSettings.thumbprints", rules: []rule{thumbprints}},

	{path: "provisioningTemplate.template", required: true},
	{path: "provisioningTemplate.cloneMode", rules: []rule{oneOf(vsphere.CloneLinked, vsphere.CloneFull)}},
	{path: "provisioningTemplate.folder", required: true},
	{path: "provisioningTemplate.cpus", rules: []rule{atLeast(0)}},
	{path: "provisioningTemplate.memoryMiB", rules: []rule{atLeast(0), multipleOf(4)}},
	{path: "provisioningTemplate.diskGiB", rules: []rule{atLeast(0)}},
	{path: "provisioningTemplate.ready", byDefault: vsphere.ReadyIP, rules: []rule{oneOf(vsphere.ReadyIP, vsphere.ReadyPoweredOn)}},
	{path: "provisioningTemplate.addresses.allow", rules: []rule{cidrs}},
	{path: "provisioningTemplate.addresses.ignore", rules: []rule{cidrs}},
	{
		path: "provisioningTemplate.addresses.prefer", byDefault: vsphere.PreferIPv4,
		rules: []rule{oneOf(vsphere.PreferIPv4, vsphere.PreferIPv6)},
	},
	{path: "provisioningTemplate.bootTimeout", byDefault: "10m", rules: []rule{positive}},
	{path: "provisioningTemplate.nameTemplate", byDefault: "{{.Pool}}-{{.Short}}"},
	{path: "provisioningTemplate.cloudInit.userDataFile", rules: []rule{readableFile}},
	{path: "provisioningTemplate.cloudInit.metaData", rules: []rule{ownInstanceID}},
	{path: "provisioningTemplate.ignition.config", rules: []rule{jsonText}},
	{path: "provisioningTemplate.ignition.configFile", rules: []rule{readableFile, jsonFile}},
	{path: "provisioningTemplate.extraConfig", rules: []rule{foreignKeys}},

	{path: "scaleInConfig.victimSelectionPolicy", byDefault: "NEWEST", rules: []rule{oneOf("NEWEST", "OLDEST")}},
	{path: "scaleInConfig.shutdownTimeout", byDefault: "2m", rules: []rule{notNegative}},
	{path: "poolFetch.refreshInterval", byDefault: "30s", rules: []rule{positive}},
	{path: "poolFetch.eventInterval", byDefault: "300ms", rules: []rule{positive}},
	{path: "poolFetch.reachabilityTimeout", byDefault: "5m", rules: []rule{positive}},
	{path: "poolFetch.retries.maxRetries", byDefault: 3, rules: []rule{atLeast(0)}},
	{path: "poolFetch.retries.initialBackoffDelay", byDefault: "3s", rules: []rule{positive}},
	{path: "poolUpdate.updateInterval", byDefault: "1m", rules: []rule{positive}},
	{path: "retention", byDefault: "10m", rules: []rule{notNegative}},
	{path: "limits.creates", byDefault: 8, rules: []rule{upTo(20)}},
	{path: "limits.powerOps", byDefault: 50, rules: []rule{atLeast(1)}},
	{path: "limits.deletes", byDefault: 8, rules: []rule{atLeast(1)}},
	{path: "limits.ceiling", byDefault: 0, rules: []rule{atLeast(0)}},
	{path: "rails.replacements", byDefault: 10, rules: []rule{upTo(100)}},
	{path: "rails.churn", byDefault: 0, rules: []rule{atLeast(0)}},
	{path: "rails.freezeShare", byDefault: 20, rules: []rule{upTo(100)}},
	{path: "rails.freezeMembers", byDefault: 3, rules: []rule{atLeast(1)}},
	{path: "rails.freezeWindow", byDefault: "2m", rules: []rule{positive}},
	{path: "rails.settlingTime", byDefault: "5s", rules: []rule{notNegative}},
	{path: "rails.shrinkShare", byDefault: 30, rules: []rule{upTo(100)}},
	{path: "rails.retireOrphans", byDefault: false},
	{path: "rails.orphanAge", byDefault: "1h", rules: []rule{positive}},
}

func defaults() map[string]json.RawMessage {
	m := map[string]json.RawMessage{}
	for _, k := range configKeys {
		if k.byDefault != nil {
			m[k.path], _ = json.Marshal(k.byDefault) // text and numbers always marshal
		}
	}
	return m
}

// check applies the table, and then the conditions on pairs of keys. What is broken already is left out.
func check(c Config, broken func(path string) bool) []Problem {
	var problems []Problem
	for _, k := range configKeys {
		if broken(k.path) {
			continue
		}
		for _, message := range k.violations(valueAt(reflect.ValueOf(c), k.path)) {
			problems = append(problems, Problem{Path: k.path, Message: message})
		}
	}
	for _, p := range pairings(c) {
		if p.violated && !broken(p.path) && !broken(p.with) {
			problems = append(problems, Problem{Path: p.path, Message: p.message})
		}
	}
	return problems
}

func (k configKey) violations(v reflect.Value) []string {
	given := v.IsValid() && !v.IsZero()
	switch {
	case !given && k.required:
		return []string{"is required"}
	case !given && k.byDefault == nil:
		return nil
	}
	var messages []string
	for _, r := range k.rules {
		if m := r.check(v.Interface()); m != "" {
			messages = append(messages, m)
		}
	}
	return messages
}

// valueAt follows a path of keys through nested structs, and a pointer at its end.
func valueAt(v reflect.Value, path string) reflect.Value {
	for key := range strings.SplitSeq(path, ".") {
		field, _ := fieldByKey(v.Type(), key)
		v = v.FieldByIndex(field.Index)
	}
	if v.Kind() == reflect.Pointer {
		return v.Elem()
	}
	return v
}

func fieldByKey(t reflect.Type, key string) (reflect.StructField, bool) {
	for f := range t.Fields() {
		if jsonKey(f) == key {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

var (
	namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)
	poolName    = rule{
		keywords: map[string]any{"pattern": namePattern.String()},
		check: func(value any) string {
			return unless(namePattern.MatchString(value.(string)),
				"must be 1 to 63 letters, digits, '_', '.' or '-', and start with a letter or digit")
		},
	}
)

func oneOf(words ...string) rule {
	return rule{
		keywords: map[string]any{"enum": words},
		check: func(value any) string {
			return unless(slices.Contains(words, value.(string)), "must be \""+strings.Join(words, "\" or \"")+"\"")
		},
	}
}

// cidrs are networks as [netip.ParsePrefix] reads them. An IPv4 network inside IPv6 would hold no address, as those are compared as IPv4.
var cidrs = rule{check: func(value any) string {
	for i, text := range value.([]string) {
		if p, err := netip.ParsePrefix(text); err != nil || p.Addr().Is4In6() {
			return fmt.Sprintf("must be networks such as 10.0.0.0/8 or 2001:db8::/32; number %d is none", i+1)
		}
	}
	return ""
}}

var thumbprints = rule{check: func(value any) string {
	i := slices.IndexFunc(value.([]string), func(text string) bool { return !vsphere.ValidThumbprint(text) })
	return unless(i < 0,
		fmt.Sprintf("must be SHA-1 or SHA-256 fingerprints of 20 or 32 bytes in hexadecimal, colons optional; number %d is none", i+1))
}}

func atLeast(low int) rule {
	return rule{
		keywords: map[string]any{"minimum": low},
		check:    func(value any) string { return unless(value.(int) >= low, fmt.Sprintf("must be %d or more", low)) },
	}
}

// upTo is from 1 on.
func upTo(high int) rule {
	return rule{
		keywords: map[string]any{"minimum": 1, "maximum": high},
		check: func(value any) string {
			n := value.(int)
			return unless(1 <= n && n <= high, fmt.Sprintf("must be 1 to %d", high))
		},
	}
}

// multipleOf is what vSphere asks of memory sizes.
func multipleOf(n int) rule {
	return rule{
		keywords: map[string]any{"multipleOf": n},
		check:    func(value any) string { return unless(value.(int)%n == 0, fmt.Sprintf("must be a multiple of %d", n)) },
	}
}

var positive = rule{check: func(value any) string {
	return unless(value.(vsphere.Duration) > 0, "must be longer than 0")
}}

var notNegative = rule{check: func(value any) string {
	return unless(value.(vsphere.Duration) >= 0, "must not be negative")
}}

func unless(fine bool, message string) string {
	if fine {
		return ""
	}
	return message
}
