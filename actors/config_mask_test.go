package actors

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const secretConfig = `
name: web
cloudApiSettings: {url: "https://root:s3cret@vc/sdk", password: s3cret, passwordFile: /etc/password}
provisioningTemplate:
  cloudInit: {userData: "#cloud-config s3cret", userDataFile: /etc/cloud.yaml}
  ignition: {config: '{"passwordHash": "s3cret"}', configFile: /etc/ignition.json}
  extraConfig: {guestinfo.userdata: s3cret, note: "see http://u:s3cret@a/ and ftp://v:s3cret@b/c?d=e@f"}
alerts:
  smtp: [{smtpClientConfig: {authentication: {username: u, password: s3cret}}}]
  http:
  - auth: {certificateCredentials: {keystorePath: /etc/ks, keystorePassword: s3cret, keyPassword: s3cret}}
    apiTokens: [s3cret, s3cret]
empty: {password: "", token: null}
pin: {password: 12345}
`

func TestMaskConfig(t *testing.T) {
	masked, err := MaskConfig([]byte(secretConfig))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"alerts":{"http":[{"apiTokens":["********","********"],"auth":{"certificateCredentials":{"keyPassword":"********",` +
		`"keystorePassword":"********","keystorePath":"/etc/ks"}}}],"smtp":[{"smtpClientConfig":{"authentication":` +
		`{"password":"********","username":"u"}}}]},"cloudApiSettings":{"password":"********","passwordFile":"/etc/password",` +
		`"url":"https://root:********@vc/sdk"},"empty":{"password":"","token":null},"name":"web","pin":{"password":"********"},` +
		`"provisioningTemplate":{"cloudInit":{"userData":"********","userDataFile":"/etc/cloud.yaml"},"extraConfig":` +
		`{"guestinfo.userdata":"********","note":"see http://u:********@a/ and ftp://v:********@b/c?d=e@f"},` +
		`"ignition":{"config":"********","configFile":"/etc/ignition.json"}}}`
	if string(masked) != want {
		t.Errorf("got  %s\nwant %s", masked, want)
	}
}

func TestUnmaskConfig(t *testing.T) {
	tests := map[string]struct {
		posted, stored, want string
		// problem is the path of the mask that stands for nothing.
		problem string
	}{
		"kept":            {`{"password":"********","n":1}`, `{"password":"p","n":2}`, `{"n":1,"password":"p"}`, ""},
		"replaced":        {`{"password":"q"}`, `{"password":"p"}`, `{"password":"q"}`, ""},
		"removed":         {`{}`, `{"password":"p"}`, `{}`, ""},
		"number":          {`{"token":"********"}`, `{"token":12345678901234567890}`, `{"token":12345678901234567890}`, ""},
		"same index":      {`{"tokens":["a","********"]}`, `{"tokens":["b","c"]}`, `{"tokens":["a","c"]}`, ""},
		"stars elsewhere": {`{"name":"********"}`, ``, `{"name":"********"}`, ""},
		"url":             {`{"u":"https://new:********@h2/x"}`, `{"u":"https://old:p$1@h1/"}`, `{"u":"https://new:p$1@h2/x"}`, ""},
		"second url":      {`{"u":"a://b:c@d e://f:********@g"}`, `{"u":"a://b:x@d e://f:y@g"}`, `{"u":"a://b:c@d e://f:y@g"}`, ""},
		"nothing stored":  {`{"a":{"password":"********"}}`, ``, "", "a.password"},
		"stored empty":    {`{"password":"********"}`, `{"password":""}`, "", "password"},
		"moved":           {`{"b":[{"secret":"********"}]}`, `{"a":[{"secret":"p"}]}`, "", "b[0].secret"},
		"an object":       {`{"secret":"********"}`, `{"secret":{"a":"p"}}`, "", "secret"},
		"url unknown":     {`{"u":"https://a:********@h"}`, `{"u":"https://h"}`, "", "u"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := UnmaskConfig([]byte(test.posted), []byte(test.stored))
			var problems *ConfigError
			switch {
			case test.problem == "" && (err != nil || string(got) != test.want):
				t.Errorf("got %s, %v; want %s", got, err, test.want)
			case test.problem != "" && (!errors.As(err, &problems) || problems.Problems[0].Path != test.problem):
				t.Errorf("got %s, %v; want a problem at %s", got, err, test.problem)
			}
		})
	}
}

// TestMaskRoundTrip says that posting back what was shown changes nothing, and that what was shown holds no secret.
func TestMaskRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		document, err := json.Marshal(drawDocument(t, 3))
		if err != nil {
			t.Fatal(err)
		}
		checkRoundTrip(t, document)
	})
}

func drawDocument(t *rapid.T, depth int) any {
	texts := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"", mask, "https://a:topsecret@b/c@d", "x://:topsecret@y z://u:topsecret:@@h", "https://h:1/", "a://b:" + mask + "@c",
	}))
	if depth == 0 {
		return rapid.OneOf(rapid.Map(texts, toAny), rapid.Map(rapid.Int(), toAny), rapid.Just[any](nil), rapid.Map(rapid.Bool(), toAny)).
			Draw(t, "leaf")
	}
	keys := rapid.SampledFrom([]string{"name", "password", "a.b", "Token", "userData", "keyFile", "url", "0"})
	made := map[string]any{}
	for _, key := range rapid.SliceOfN(keys, 0, 4).Draw(t, "keys") {
		made[key] = drawDocument(t, depth-1)
	}
	if rapid.Bool().Draw(t, "list") {
		return []any{made, drawDocument(t, depth-1)}
	}
	return made
}

func toAny[T any](v T) any { return v }

func FuzzMaskConfig(f *testing.F) {
	f.Add([]byte(secretConfig))
	f.Add([]byte(`{"password":{"a":[1,"b",null]},"u":"a://b:c@d"}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		if _, err := MaskConfig(document); err != nil {
			return
		}
		checkRoundTrip(t, document)
	})
}

func checkRoundTrip(t interface{ Fatalf(string, ...any) }, document []byte) {
	masked, err := MaskConfig(document)
	if err != nil {
		t.Fatalf("mask: %v", err)
	}
	if strings.Contains(string(masked), "topsecret") {
		t.Fatalf("masked document shows a secret: %s", masked)
	}
	back, err := UnmaskConfig(masked, document)
	if err != nil {
		t.Fatalf("unmask: %v", err)
	}
	before, _ := toTree(document)
	after, err := toTree(back)
	if err != nil || !reflect.DeepEqual(before, after) {
		t.Fatalf("got %v, %v; want %v", after, err, before)
	}
}

func TestAStoredPasswordIsNotSentElsewhere(t *testing.T) {
	stored := []byte(`{"cloudApiSettings": {"url": "https://vc/sdk", "password": "p"}}`)
	if _, err := UnmaskConfig([]byte(`{"cloudApiSettings": {"url": "https://vc/sdk", "password": "********"}}`), stored); err != nil {
		t.Error(err)
	}
	if _, err := UnmaskConfig([]byte(`{"cloudApiSettings": {"url": "https://evil/sdk", "password": "********"}}`), stored); err == nil {
		t.Error("the stored password was restored for another URL")
	}
}
