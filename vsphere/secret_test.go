package vsphere

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecretsAreNotFormatted writes what holds secrets in every way that a log, an error or a panic may.
func TestSecretsAreNotFormatted(t *testing.T) {
	const secret = "planted"
	connection := Connection{URL: "https://u:" + secret + "@vc/sdk", Username: "pool", Password: secret}
	cloudInit := CloudInit{UserData: secret, MetaData: map[string]any{"a": secret}}
	ignition := Ignition{Config: secret}
	template := Template{CloudInit: cloudInit, Ignition: ignition, ExtraConfig: map[string]string{"guestinfo.a": secret}}
	for _, value := range []any{
		connection, &connection, template, &template, cloudInit, ignition, connection.password(),
		[]any{connection},
		map[string]any{"a": template},
		struct{ Connection Connection }{connection},
		struct{ Template *Template }{&template},
	} {
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("text", "value", value)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&log, verb, value)
		}
		if strings.Contains(log.String(), secret) || strings.Contains(log.String(), fmt.Sprintf("%x", secret)) {
			t.Errorf("%T shows its secret: %s", value, &log)
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "connection", connection, "template", template, "ci", cloudInit, "ign", ignition)
	if strings.Contains(log.String(), secret) {
		t.Error(log.String())
	}
	document, err := json.Marshal(connection)
	var back Connection
	if err != nil || json.Unmarshal(document, &back) != nil || back.Password != secret {
		t.Errorf("a document lost its password: %s, %v", document, err)
	}
}

func TestErrorsShowNoPasswordOfAURL(t *testing.T) {
	for text, want := range map[string]string{
		`invalid proxy address "http://u:pl&nted@pr[oxy"`: `invalid proxy address "http://u:********@pr[oxy"`,
		"dial tcp 10.0.0.1:443: refused":                  "dial tcp 10.0.0.1:443: refused",
		"see https://vc:443/sdk and mail a@b":             "see https://vc:443/sdk and mail a@b",
		"a://u:planted@h b://:planted@h":                  "a://u:********@h b://:********@h",
	} {
		if got := (&Error{Op: "", Err: errors.New(text)}).Error(); !strings.HasSuffix(got, want) || strings.Contains(got, "nted") {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestPasswordSources reads each one anew.
func TestPasswordSources(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	for _, password := range []string{"first", "second"} {
		if err := os.WriteFile(file, []byte(password+"\r\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("VSPHEREPOOL_TEST_PASSWORD", password)
		for _, c := range []Connection{{Password: password}, {PasswordFile: file}, {PasswordEnv: "VSPHEREPOOL_TEST_PASSWORD"}} {
			a := account{user: "pool", from: c.password()}
			if got, err := a.secret(); got != password || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		}
	}
	for _, c := range []Connection{{PasswordFile: file + ".none"}, {PasswordEnv: "VSPHEREPOOL_TEST_UNSET"}, {}} {
		a := account{user: "pool", from: c.password()}
		if _, err := a.secret(); KindOf(err) != Misconfigured {
			t.Errorf("%v", err)
		}
	}
}
