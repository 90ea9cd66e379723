package actors

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"vspherepool/vsphere"
)

// minimalConfig is the smallest document that is complete.
const minimalConfig = `
name: web
cloudApiSettings: {url: "https://vcenter.example/sdk", username: user, password: pass}
provisioningTemplate: {template: /DC0/vm/ubuntu, folder: /DC0/vm/web}
`

// incompressible is hexadecimal noise of a length.
func incompressible(n int) string {
	var b strings.Builder
	r := rand.New(rand.NewPCG(1, 2))
	for b.Len() < n {
		fmt.Fprintf(&b, "%016x", r.Uint64())
	}
	return b.String()[:n]
}

func sampleConfig(t testing.TB) []byte {
	t.Helper()
	document, err := os.ReadFile("testdata/config_sample.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestParseConfigSample(t *testing.T) {
	c, err := ParseConfig(sampleConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	tpl := c.ProvisioningTemplate
	switch {
	case c.Name != "web", *c.DesiredSize != 3, *c.Bounds.Max != 100, c.CloudAPISettings.Username != "svc-pool@vsphere.local":
		t.Errorf("config is %+v", c)
	case tpl.DiskGiB != 40, !slices.Equal(tpl.Networks, []string{"VM Network"}), tpl.ExtraConfig["disk.enableUUID"] != "TRUE":
		t.Errorf("template is %+v", tpl)
	case fmt.Sprint(tpl.CloudInit.MetaData["rack"]) != "7", c.Alerts["http"] == nil:
		t.Errorf("open parts are %v and %v", tpl.CloudInit.MetaData, c.Alerts)
	}
	if unknown := UnknownKeys(sampleConfig(t)); unknown != nil {
		t.Errorf("unknown keys in the sample: %q", unknown)
	}
}

func TestParseConfigPlacement(t *testing.T) {
	c, err := ParseConfig([]byte(machineTemplate("datastoreCluster: /DC0/datastore/POD0, hosts: [host-1, host-2], storagePolicy: Gold, " +
		"customization: linux, ignition: {configFile: testdata/config_ignition.json}")))
	if err != nil {
		t.Fatal(err)
	}
	got := c.ProvisioningTemplate
	if got.DatastoreCluster != "/DC0/datastore/POD0" || len(got.Hosts) != 2 || got.StoragePolicy != "Gold" || got.Customization != "linux" ||
		got.Ignition.ConfigFile == "" {
		t.Errorf("%+v", got)
	}
	c, err = ParseConfig([]byte(machineTemplate("cloudInit: {hostname: '{{.Name}}.example.com', metaData: {rack: 7, names: ['{{.ID}}']}}")))
	if err != nil || c.ProvisioningTemplate.CloudInit.Hostname != "{{.Name}}.example.com" {
		t.Errorf("%+v, %v", c.ProvisioningTemplate.CloudInit, err)
	}
}

func TestParseConfigDefaults(t *testing.T) {
	got, err := ParseConfig([]byte(minimalConfig))
	if err != nil {
		t.Fatal(err)
	}
	duration := func(d time.Duration) vsphere.Duration { return vsphere.Duration(d) }
	want := Config{
		Name:             "web",
		Bounds:           Bounds{OnViolation: "clamp"},
		CloudAPISettings: vsphere.Connection{URL: "https://vcenter.example/sdk", Username: "user", Password: "pass"},
		ProvisioningTemplate: vsphere.Template{
			Template: "/DC0/vm/ubuntu", Folder: "/DC0/vm/web", Ready: "ip", BootTimeout: duration(10 * time.Minute),
			NameTemplate: "{{.Pool}}-{{.Short}}",
			Addresses:    vsphere.Addresses{Prefer: vsphere.PreferIPv4},
		},
		ScaleIn: ScaleIn{VictimSelectionPolicy: "NEWEST", ShutdownTimeout: duration(2 * time.Minute)},
		PoolFetch: PoolFetch{
			RefreshInterval: duration(30 * time.Second), EventInterval: duration(300 * time.Millisecond),
			ReachabilityTimeout: duration(5 * time.Minute),
			Retries:             Retries{MaxRetries: 3, InitialBackoffDelay: duration(3 * time.Second)},
		},
		PoolUpdate: PoolUpdate{UpdateInterval: duration(time.Minute)},
		Retention:  duration(10 * time.Minute),
		Limits:     Limits{Creates: 8, PowerOps: 50, Deletes: 8},
		Rails: Rails{
			Replacements: 10, FreezeShare: 20, FreezeMembers: 3, FreezeWindow: vsphere.Duration(2 * time.Minute),
			SettlingTime: vsphere.Duration(5 * time.Second), ShrinkShare: 30, OrphanAge: vsphere.Duration(time.Hour),
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestParseConfigAcceptsBothForms(t *testing.T) {
	forms := map[string]string{
		"json with tabs": "{\n\t\"name\": \"web\",\n\t\"retention\": {\"time\": 90, \"unit\": \"Seconds\"},\n" +
			"\t\"cloudApiSettings\": {\"url\": \"http://127.0.0.1:8989/sdk\", \"username\": \"u\", \"password\": \"p\"},\n" +
			"\t\"provisioningTemplate\": {\"template\": \"vm-42\", \"folder\": \"group-v3\"}\n}",
		"yaml":              minimalConfig + "retention: 90s\n",
		"nulls are nothing": minimalConfig + "retention: 1m30s\ndesiredSize: null\nbounds: null\nlimits: {creates: ~}\nunknown: 1\n",
	}
	for name, document := range forms {
		c, err := ParseConfig([]byte(document))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if c.Retention.Std() != 90*time.Second || c.Bounds.OnViolation != "clamp" || c.Limits.Creates != 8 {
			t.Errorf("%s: config is %+v", name, c)
		}
	}
}

func TestParseConfigProblems(t *testing.T) {
	tests := map[string]struct {
		document string
		// want are the paths of the problems.
		want string
	}{
		"empty": {
			"",
			"name cloudApiSettings.url cloudApiSettings.username provisioningTemplate.template provisioningTemplate.folder " +
				"cloudApiSettings.passwordFile",
		},
		"not an object":     {"[1]", ""},
		"text":              {"hello", ""},
		"broken":            {`{"name": `, ""},
		"twice the same":    {minimalConfig + "name: other\n", ""},
		"bad name":          {minimalAnd("name: -web"), "name"},
		"long name":         {minimalAnd("name: " + strings.Repeat("w", 64)), "name"},
		"name of digits":    {minimalAnd("name: 123"), "name"},
		"name with slash":   {minimalAnd("name: a/b"), "name"},
		"negative size":     {minimalAnd("desiredSize: -1"), "desiredSize"},
		"half a machine":    {minimalAnd("desiredSize: 1.5"), "desiredSize"},
		"too many machines": {minimalAnd("desiredSize: 99999999999999999999"), "desiredSize"},
		"bounds crossed":    {minimalAnd("bounds: {min: 3, max: 2}"), "bounds.min"},
		"bounds negative":   {minimalAnd("bounds: {min: -3, max: -2}"), "bounds.min bounds.max"},
		"bounds policy":     {minimalAnd(`bounds: {onViolation: ""}`), "bounds.onViolation"},
		"policy":            {minimalAnd("scaleInConfig: {victimSelectionPolicy: newest}"), "scaleInConfig.victimSelectionPolicy"},
		"no duration":       {minimalAnd("retention: soon"), "retention"},
		"duration of what":  {minimalAnd("retention: 30"), "retention"},
		"negative duration": {minimalAnd("scaleInConfig: {shutdownTimeout: -1s}"), "scaleInConfig.shutdownTimeout"},
		"no interval":       {minimalAnd("poolUpdate: {updateInterval: 0s}"), "poolUpdate.updateInterval"},
		"always stale":      {minimalAnd("poolFetch: {refreshInterval: 5m}"), "poolFetch.refreshInterval"},
		"once is enough":    {minimalAnd("poolFetch: {reachabilityTimeout: x}"), "poolFetch.reachabilityTimeout"},
		"limits": {
			minimalAnd("limits: {creates: 21, powerOps: 0, deletes: -1, ceiling: -1}"),
			"limits.creates limits.powerOps limits.deletes limits.ceiling",
		},
		"limits no object":  {minimalAnd("limits: [8]"), "limits"},
		"alerts no object":  {minimalAnd("alerts: [8]"), "alerts"},
		"url":               {vcenter("url: ftp://vcenter.example/sdk, password: p"), "cloudApiSettings.url"},
		"url without host":  {vcenter("url: https:///sdk, password: p"), "cloudApiSettings.url"},
		"secret in bad url": {vcenter("url: 'https://user:hunter2@host:port/sdk', password: p"), "cloudApiSettings.url"},
		"two passwords":     {vcenter("url: https://h/sdk, password: p, passwordFile: testdata/config_password"), "cloudApiSettings.password"},
		"no password":       {vcenter("url: https://h/sdk"), "cloudApiSettings.passwordFile"},
		"password a number": {vcenter("url: https://h/sdk, password: 7"), "cloudApiSettings.password"},
		"no file": {
			vcenter("url: https://h/sdk, passwordFile: testdata/absent, caFile: testdata"),
			"cloudApiSettings.passwordFile cloudApiSettings.caFile",
		},
		"thumbprint": {vcenter("url: https://h/sdk, password: p, thumbprints: [a, 1]"), "cloudApiSettings.thumbprints[1]"},
		"no thumbprint": {
			vcenter("url: https://h/sdk, password: p, thumbprints: ['" + strings.Repeat("ab:", 19) + "cd', hunter2]"),
			"cloudApiSettings.thumbprints",
		},
		"lab":           {vcenter("url: https://h/sdk, password: p, insecureSkipVerify: 1"), "cloudApiSettings.insecureSkipVerify"},
		"settings text": {"name: web\ncloudApiSettings: https://h/sdk\nprovisioningTemplate: {template: t, folder: f}", "cloudApiSettings"},
		"linked disk":   {machineTemplate("cloneMode: linked, diskGiB: 40"), "provisioningTemplate.diskGiB"},
		"clone mode":    {machineTemplate("cloneMode: instant"), "provisioningTemplate.cloneMode"},
		"negative hardware": {
			machineTemplate("cpus: -1, memoryMiB: -4, diskGiB: -1"),
			"provisioningTemplate.cpus provisioningTemplate.memoryMiB provisioningTemplate.diskGiB",
		},
		"ready":                 {machineTemplate("ready: tools"), "provisioningTemplate.ready"},
		"two datastores":        {machineTemplate("datastore: a, datastores: [b]"), "provisioningTemplate.datastores"},
		"cluster and datastore": {machineTemplate("datastore: a, datastoreCluster: b"), "provisioningTemplate.datastoreCluster"},
		"cluster and several":   {machineTemplate("datastores: [a], datastoreCluster: b"), "provisioningTemplate.datastoreCluster"},
		"one host":              {machineTemplate("hosts: esx1"), "provisioningTemplate.hosts"},
		"two ignitions": {
			machineTemplate("ignition: {config: '{}', configFile: testdata/config_ignition.json}"), "provisioningTemplate.ignition.config",
		},
		"butane":        {machineTemplate("ignition: {config: 'variant: fcos hunter2'}"), "provisioningTemplate.ignition.config"},
		"ignition file": {machineTemplate("ignition: {configFile: testdata/absent}"), "provisioningTemplate.ignition.configFile"},
		"no address left": {
			machineTemplate("addresses: {allow: [10.1.0.0/16], ignore: [10.0.0.0/8]}"), "provisioningTemplate.addresses.allow",
		},
		"odd memory": {machineTemplate("memoryMiB: 1023"), "provisioningTemplate.memoryMiB"},
		"no ignition in it": {
			machineTemplate("ignition: {configFile: testdata/config_sample.yaml}"), "provisioningTemplate.ignition.configFile",
		},
		"ignition, cloudInit": {machineTemplate("ignition: {config: '{}'}, cloudInit: {userData: x}"), "provisioningTemplate.ignition"},
		"instance id":         {machineTemplate("cloudInit: {metaData: {instance-id: x}}"), "provisioningTemplate.cloudInit.metaData"},
		"host name":           {machineTemplate("cloudInit: {hostname: '{{.Name}}_'}"), "provisioningTemplate.cloudInit"},
		"one host name":       {machineTemplate("cloudInit: {hostname: '{{.Pool}}.example.com'}"), "provisioningTemplate.cloudInit"},
		"host name of what":   {machineTemplate("cloudInit: {hostname: '{{.Host}}'}"), "provisioningTemplate.cloudInit"},
		"metadata of what":    {machineTemplate("cloudInit: {metaData: {a: [{b: '{{.Host}}'}]}}"), "provisioningTemplate.cloudInit"},
		"metadata too long": {
			machineTemplate("cloudInit: {metaData: {a: '" + incompressible(100<<10) + "'}}"), "provisioningTemplate.cloudInit",
		},
		"host name and name": {
			machineTemplate("nameTemplate: '{{.Pool', cloudInit: {hostname: '{{.Name}}'}"), "provisioningTemplate.nameTemplate",
		},
		"networks":       {machineTemplate("networks: VM Network"), "provisioningTemplate.networks"},
		"own key":        {machineTemplate("extraConfig: {VspherePool.mark: x}"), "provisioningTemplate.extraConfig"},
		"number in text": {machineTemplate("extraConfig: {a.b: 4}"), `provisioningTemplate.extraConfig["a.b"]`},
		"two user data": {
			machineTemplate("cloudInit: {userData: x, userDataFile: testdata/config_password}"),
			"provisioningTemplate.cloudInit.userData",
		},
		"user data file":    {machineTemplate("cloudInit: {userDataFile: testdata/absent}"), "provisioningTemplate.cloudInit.userDataFile"},
		"name not distinct": {machineTemplate("nameTemplate: '{{.Pool}}'"), "provisioningTemplate.nameTemplate"},
		"name not a name":   {machineTemplate("nameTemplate: '{{.Pool}}/{{.Short}}'"), "provisioningTemplate.nameTemplate"},
		"name not parsed":   {machineTemplate("nameTemplate: '{{.Pool'"), "provisioningTemplate.nameTemplate"},
		"name of nothing":   {machineTemplate("nameTemplate: '{{.Host}}'"), "provisioningTemplate.nameTemplate"},
		"no name":           {machineTemplate("nameTemplate: ''"), "provisioningTemplate.nameTemplate"},
		"names by pool": {
			strings.Replace(machineTemplate("nameTemplate: '{{.Pool}}-{{.ID}}'"), "name: web", "name: "+strings.Repeat("w", 60), 1),
			"provisioningTemplate.nameTemplate",
		},
		"name too long": {machineTemplate("nameTemplate: '{{.ID}}{{.ID}}{{.ID}}'"), "provisioningTemplate.nameTemplate"},
		"name too long when taken": {
			strings.Replace(machineTemplate("nameTemplate: '{{.Pool}}-{{.ID}}'"), "name: web", "name: "+strings.Repeat("w", 40), 1),
			"provisioningTemplate.nameTemplate",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ParseConfig([]byte(test.document))
			var problems *ConfigError
			if !errors.As(err, &problems) {
				t.Fatalf("error is %v", err)
			}
			var paths []string
			for _, p := range problems.Problems {
				paths = append(paths, p.Path)
			}
			if strings.Join(paths, " ") != test.want {
				t.Errorf("problems at %q, want %q: %v", paths, test.want, err)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error tells a secret: %v", err)
			}
		})
	}
}

// minimalAnd is the minimal document and more; vcenter and machineTemplate are it with another section.
func minimalAnd(more string) string {
	kept := minimalConfig
	if strings.HasPrefix(more, "name:") {
		kept = strings.Replace(kept, "name: web\n", "", 1)
	}
	return kept + more + "\n"
}

func vcenter(settings string) string {
	return "name: web\ncloudApiSettings: {username: user, " + settings + "}\nprovisioningTemplate: {template: t, folder: f}\n"
}

func machineTemplate(settings string) string {
	return "name: web\ncloudApiSettings: {url: https://h/sdk, username: user, password: pass}\n" +
		"provisioningTemplate: {template: t, folder: f, " + settings + "}\n"
}

func TestConfigErrorIsReadable(t *testing.T) {
	_, err := ParseConfig([]byte(minimalAnd("desiredSize: two\nlimits: {creates: 0}")))
	want := "configuration: desiredSize: must be a whole number; limits.creates: must be 1 to 20"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestUnknownKeys(t *testing.T) {
	document := minimalAnd("desiredsize: 3\nbounds: {mim: 2}\nalerts: {anything: 1}\nretention: {time: 1, unit: days}\nx: {y: 1}")
	want := []string{"bounds.mim", "desiredsize", "x"}
	if got := UnknownKeys([]byte(document)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, document := range []string{"", "{", "[]", "bounds: 3"} {
		if got := UnknownKeys([]byte(document)); len(got) != 0 {
			t.Errorf("%q: got %q", document, got)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(minimalConfig))
	f.Add(sampleConfig(f))
	f.Add([]byte(`{"name":null,"bounds":[],"limits":{"creates":1e99}}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		c, err := ParseConfig(document)
		UnknownKeys(document)
		var problems *ConfigError
		switch {
		case err == nil && (c.Name == "" || c.PoolFetch.RefreshInterval <= 0 || c.Limits.Creates < 1):
			t.Errorf("accepted as %+v", c)
		case err != nil && (!errors.As(err, &problems) || len(problems.Problems) == 0 || !reflect.ValueOf(c).IsZero()):
			t.Errorf("refused with %v and %+v", err, c)
		}
	})
}
