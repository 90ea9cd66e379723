package vsphere

import (
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"strings"
)

// passwordSource is a password, or where it is.
type passwordSource struct{ text, file, variable string }

func (c Connection) password() passwordSource {
	return passwordSource{text: c.Password, file: c.PasswordFile, variable: c.PasswordEnv}
}

// read looks anew each time, so that a password that was rotated in its file needs no restart.
func (p passwordSource) read() (string, error) {
	switch {
	case p.file != "":
		text, err := readFile(p.file)
		return strings.TrimRight(string(text), "\r\n"), err
	case p.variable != "":
		return os.Getenv(p.variable), nil
	default:
		return p.text, nil
	}
}

// What holds secrets is written as its name, by whatever verb and in whatever it is a part of. A log, an error or a panic can show no more.
// Encoding as JSON is another matter: documents are made by it.

// Format implements [fmt.Formatter].
func (c Connection) Format(f fmt.State, _ rune) {
	host := "vCenter"
	if u, err := url.Parse(c.URL); err == nil {
		host = u.Host
	}
	_, _ = fmt.Fprintf(f, "connection of %s to %s", c.Username, host)
}

// LogValue implements [slog.LogValuer].
func (c Connection) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// Format implements [fmt.Formatter].
func (t Template) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "machines like %s in %s", t.Template, t.Folder)
}

// LogValue implements [slog.LogValuer].
func (t Template) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(t)) }

// Format implements [fmt.Formatter].
func (ci CloudInit) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "data for cloud-init") }

// LogValue implements [slog.LogValuer].
func (ci CloudInit) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(ci)) }

// Format implements [fmt.Formatter].
func (i Ignition) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "data for Ignition") }

// LogValue implements [slog.LogValuer].
func (i Ignition) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(i)) }

func (p passwordSource) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "password") }

// urlSecret is what is between the user and the host of a URL, wherever in a text it is.
var urlSecret = regexp.MustCompile(`(://[^/?#:@\s"]*:)[^/?#\s"]+@`)

// withoutSecrets takes the passwords out of the URLs in a text: net/http quotes the URL of a proxy that it cannot use.
func withoutSecrets(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	return urlSecret.ReplaceAllString(text, "${1}********@")
}
