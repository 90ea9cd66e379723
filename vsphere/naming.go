package vsphere

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// shortLength is how many hex digits of an id make it into a name.
const shortLength = 8

// defaultNames is the name template of a pool that does not set one.
const defaultNames = "{{.Pool}}-{{.Short}}"

// naming is what the templates of a machine's names and metadata see.
type naming struct {
	// Name is the VM's name; empty in the template that makes it.
	Name, Pool, Short, ID string
}

func newNaming(name, pool string, id MachineID) naming {
	short := strings.ReplaceAll(string(id), "-", "")
	return naming{Name: name, Pool: pool, Short: short[:min(shortLength, len(short))], ID: string(id)}
}

// apply evaluates a template. A text without actions is returned as it is.
func (n naming) apply(text string) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	t, err := parseTemplate(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if err := t.Execute(&b, n); err != nil {
		return "", errors.New(plainReason(err))
	}
	return b.String(), nil
}

// VMName makes a VM's name from a name template, which sees .Pool, .Short and .ID. attempt counts the names that were taken: each
// gives another short form. Nothing is cut: a name that is too long is refused by whoever has a limit.
func VMName(nameTemplate, pool string, id MachineID, attempt int) (string, error) {
	seen := newNaming("", pool, id)
	if attempt > 0 {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", id, attempt))
		seen.Short = hex.EncodeToString(sum[:])[:shortLength]
	}
	name, err := seen.apply(nameTemplate)
	if err != nil {
		return "", fmt.Errorf("make name: %w", err)
	}
	if attempt > 0 && !strings.Contains(name, seen.Short) {
		name += "-" + seen.Short // the template makes one name per machine, and that one is taken
	}
	return name, nil
}

// sampleOrder is a machine to try a template on before there is one: all ids have one length, and so have all names.
func sampleOrder(t Template, pool string) (CloneOrder, error) {
	const id = "01234567-89ab-4cde-8f01-23456789abcd"
	name, err := VMName(cmp.Or(t.NameTemplate, defaultNames), pool, id, 0)
	if err != nil {
		return CloneOrder{}, &Error{Kind: Misconfigured, Object: "nameTemplate", Err: err, Hint: "use {{.Pool}}, {{.Short}} and {{.ID}}"}
	}
	return CloneOrder{ID: id, Name: name, Status: DefaultStatus()}, nil
}

// The longest host name and the longest part of one between its dots (RFC 1123, 2.1).
const (
	longestHostname = 253
	longestLabel    = 63
)

var hostnamePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

// hostname is what the guest is called.
func (n naming) hostname(text string) (string, error) {
	if text == "" {
		return cmp.Or(hostLabel(n.Name), n.Short), nil
	}
	name, err := n.apply(text)
	if err != nil {
		return "", &Error{Kind: Misconfigured, Object: "cloudInit.hostname", Err: err, Hint: "use {{.Name}}, {{.Pool}}, {{.Short}} and {{.ID}}"}
	}
	if len(name) > longestHostname || !hostnamePattern.MatchString(name) {
		return "", misconfigured("cloudInit.hostname", fmt.Sprintf("it makes %.80q, which is no host name", name),
			"use letters, digits and '-', at most 63 between two dots")
	}
	return name, nil
}

// hostLabel makes a valid label of a host name (RFC 1123) from a VM's name; empty if nothing of it can stay.
func hostLabel(name string) string {
	label := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '-'
		}
	}, name)
	label = strings.Trim(label, "-")
	return strings.Trim(label[:min(longestLabel, len(label))], "-")
}
