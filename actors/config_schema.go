package actors

import (
	_ "embed"
	"slices"
)

//go:generate go test -run ^TestConfigSchema$ . -update

//go:embed config_schema.json
var configSchema []byte

// ConfigSchema is the JSON Schema (draft 2020-12) of the configuration document, generated from [Config], its comments, and the
// table of keys. Conditions on more than one key are only in [ParseConfig].
func ConfigSchema() []byte { return slices.Clone(configSchema) }
