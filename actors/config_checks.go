package actors

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"vspherepool/vsphere"
)

var sdkURL = rule{
	keywords: map[string]any{"format": "uri"},
	check: func(value any) string {
		u, err := url.Parse(value.(string))
		fine := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != ""
		if fine && u.User != nil {
			return "must not hold a user name or password: a URL is shown to many; use username and passwordFile"
		}
		return unless(fine, "must be a URL such as https://vcenter.example/sdk")
	},
}

var readableFile = rule{check: func(value any) string { return noFile(value.(string)) }}

// noFile looks before it opens: a named pipe would wait for its writer, and a device may never end.
func noFile(name string) string {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return withoutName(err)
	case !info.Mode().IsRegular():
		return "must be a file"
	case info.Size() > maxDocument:
		return fmt.Sprintf("must not be longer than %d bytes", maxDocument)
	}
	file, err := os.Open(name)
	if err != nil {
		return withoutName(err)
	}
	return unless(file.Close() == nil, "cannot be read")
}

// withoutName leaves out the name, in whose place somebody may have put the secret itself.
func withoutName(err error) string {
	if cause, ok := errors.AsType[*fs.PathError](err); ok {
		err = cause.Err
	}
	return "cannot be read: " + err.Error()
}

var setVariable = rule{
	keywords: map[string]any{"pattern": variablePattern.String()},
	check: func(value any) string {
		name := value.(string)
		fine := variablePattern.MatchString(name) && os.Getenv(name) != ""
		return unless(fine, "must be the name of an environment variable of this process that is set and not empty")
	},
}

var variablePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// jsonText is checked before vCenter is asked for anything: a guest that cannot read its Ignition document does not boot at all.
var jsonText = rule{check: func(value any) string {
	return unless(json.Valid([]byte(value.(string))), "must be JSON; translate Butane documents with butane first")
}}

var jsonFile = rule{check: func(value any) string {
	if noFile(value.(string)) != "" {
		return "" // told already
	}
	document, err := os.ReadFile(value.(string))
	return unless(err != nil || json.Valid(document), "must hold JSON; translate Butane documents with butane first")
}}

var ownInstanceID = rule{check: func(value any) string {
	_, pinned := value.(map[string]any)["instance-id"]
	return unless(!pinned, "must not have the key \"instance-id\": it is the machine's id, or cloud-init would run only once per image")
}}

// ownKeys begin the extraConfig keys that the pool writes itself.
const ownKeys = "vspherepool."

var foreignKeys = rule{check: func(value any) string {
	for _, key := range slices.Sorted(maps.Keys(value.(map[string]string))) {
		if strings.HasPrefix(strings.ToLower(key), ownKeys) {
			return fmt.Sprintf("must not have the key %q: the pool keeps its own marks under %s*", key, ownKeys)
		}
	}
	return ""
}}

// pairing is a condition on two keys, reported at the first.
type pairing struct {
	path, with string
	violated   bool
	message    string
}

func pairings(c Config) []pairing {
	api := c.CloudAPISettings
	return append(templatePairings(c.ProvisioningTemplate, c.Name), []pairing{
		{
			"bounds.min", "bounds.max", c.Bounds.Max != nil && c.Bounds.Min > *c.Bounds.Max,
			"must not be greater than bounds.max",
		},
		{
			"cloudApiSettings.passwordFile", "cloudApiSettings.password", api.PasswordFile == "" && api.PasswordEnv == "" && api.Password == "",
			"is required, or passwordEnv, or password: one of the three",
		},
		{
			"cloudApiSettings.password", "cloudApiSettings.passwordFile", api.Password != "" && api.PasswordFile != "",
			"must not be given together with passwordFile: keep one of the two",
		},
		{
			"cloudApiSettings.passwordEnv", "cloudApiSettings.password", api.PasswordEnv != "" && api.Password+api.PasswordFile != "",
			"must not be given together with password or passwordFile: keep one of them",
		},
		{
			"poolFetch.refreshInterval", "poolFetch.reachabilityTimeout", c.PoolFetch.RefreshInterval >= c.PoolFetch.ReachabilityTimeout,
			"must be shorter than poolFetch.reachabilityTimeout",
		},
	}...)
}

func templatePairings(tpl vsphere.Template, pool string) []pairing {
	badName, guestData := "", ""
	if namePattern.MatchString(pool) {
		badName = checkNames(tpl.NameTemplate, pool)
	}
	if badName == "" && namePattern.MatchString(pool) {
		guestData = checkGuestData(tpl, pool)
	}
	return append(guestPairings(tpl.CloudInit, tpl.Ignition), []pairing{
		{
			"provisioningTemplate.diskGiB", "provisioningTemplate.cloneMode", tpl.CloneMode == vsphere.CloneLinked && tpl.DiskGiB > 0,
			"needs cloneMode \"full\": a linked clone's disk cannot be resized",
		},
		{
			"provisioningTemplate.addresses.allow", "provisioningTemplate.addresses.ignore",
			len(tpl.Addresses.Allow) > 0 && !slices.ContainsFunc(tpl.Addresses.Allow, outside(tpl.Addresses.Ignore)),
			"leaves no address: addresses.ignore takes all of it away",
		},
		{
			"provisioningTemplate.datastores", "provisioningTemplate.datastore", len(tpl.Datastores) > 0 && tpl.Datastore != "",
			"must not be given together with datastore: keep one of the two",
		},
		{
			"provisioningTemplate.datastoreCluster", "provisioningTemplate.datastore",
			tpl.DatastoreCluster != "" && (tpl.Datastore != "" || len(tpl.Datastores) > 0),
			"must not be given together with datastore or datastores: keep one of them",
		},
		{
			"provisioningTemplate.cloudInit", "provisioningTemplate.nameTemplate", guestData != "", guestData,
		},
		{"provisioningTemplate.nameTemplate", "name", badName != "", badName},
	}...)
}

func guestPairings(cloudInit vsphere.CloudInit, ignition vsphere.Ignition) []pairing {
	return []pairing{
		{
			"provisioningTemplate.ignition.config", "provisioningTemplate.ignition.configFile",
			ignition.Config != "" && ignition.ConfigFile != "",
			"must not be given together with configFile: keep one of the two",
		},
		{
			"provisioningTemplate.ignition", "provisioningTemplate.cloudInit",
			ignition != (vsphere.Ignition{}) && !reflect.ValueOf(cloudInit).IsZero(),
			"must not be given together with cloudInit: a guest reads either",
		},
		{
			"provisioningTemplate.cloudInit.userData", "provisioningTemplate.cloudInit.userDataFile",
			cloudInit.UserData != "" && cloudInit.UserDataFile != "",
			"must not be given together with userDataFile: keep one of the two",
		},
	}
}

// maxName is the longest name that vCenter gives a VM.
const maxName = 80

// sampleMachines are two ids to try templates on.
var sampleMachines = [2]vsphere.MachineID{"01234567-89ab-4cde-8f01-23456789abcd", "fedcba98-7654-4321-9edc-ba9876543210"}

// checkNames tries a name template on two machines, and on one whose name was taken, which may be longer.
func checkNames(nameTemplate, pool string) string {
	one, err := nameOf(nameTemplate, pool, sampleMachines[0], 0)
	if err != nil {
		return unnamed(err)
	}
	other, err := nameOf(nameTemplate, pool, sampleMachines[1], 0)
	if err != nil {
		return unnamed(err)
	}
	if one == other {
		return "gives all machines one name: use {{.Short}} or {{.ID}} in it"
	}
	another, err := nameOf(nameTemplate, pool, sampleMachines[0], 1)
	if err != nil {
		return unnamed(err)
	}
	return cmp.Or(checkName(one), checkName(another))
}

func unnamed(err error) string {
	return "cannot " + err.Error() + ": use {{.Pool}}, {{.Short}} and {{.ID}}"
}

// checkGuestData tries the templates of host name and metadata on a machine.
func checkGuestData(t vsphere.Template, pool string) string {
	name, err := nameOf(t.NameTemplate, pool, sampleMachines[0], 0)
	if err != nil {
		return "" // told of the name template already
	}
	if err := t.CloudInit.Check(pool, name, sampleMachines[0]); err != nil {
		return "cannot " + err.Error()
	}
	return ""
}

// checkName refuses '/', '\\' and '%', which vCenter stores in an escaped form only: such a name would be read back as another one.
func checkName(name string) string {
	switch {
	case strings.TrimSpace(name) != name:
		return "makes names that begin or end with white space"
	case strings.ContainsAny(name, `/\%`) || strings.ContainsFunc(name, unicode.IsControl):
		return "makes names with '/', '\\', '%' or a control character"
	case utf8.RuneCountInString(name) > maxName:
		return fmt.Sprintf("makes names of more than %d characters", maxName)
	default:
		return ""
	}
}

// outside says of a network whether none of the others holds all of it. What is no network is outside of any.
func outside(others []string) func(string) bool {
	return func(text string) bool {
		network, err := netip.ParsePrefix(text)
		return err != nil || !slices.ContainsFunc(others, func(o string) bool {
			other, err := netip.ParsePrefix(o)
			return err == nil && other.Bits() <= network.Bits() && other.Contains(network.Addr())
		})
	}
}
