package actors

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"text/template"

	"vspherepool/vsphere"
)

// shortLength is how many hex digits of an id make it into a name.
const shortLength = 8

// nameOf makes a VM's name from the name template. attempt counts the names that were taken: each gives another short form.
func nameOf(nameTemplate, pool string, id vsphere.MachineID, attempt int) (string, error) {
	t, err := template.New("nameTemplate").Option("missingkey=error").Parse(nameTemplate)
	if err != nil {
		return "", fmt.Errorf("parse name template: %w", err)
	}
	short := strings.ReplaceAll(string(id), "-", "")
	if attempt > 0 {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", id, attempt))
		short = hex.EncodeToString(sum[:])
	}
	var b strings.Builder
	fields := struct{ Pool, Short, ID string }{pool, short[:min(shortLength, len(short))], string(id)}
	if err := t.Execute(&b, fields); err != nil {
		return "", fmt.Errorf("apply name template: %w", err)
	}
	if attempt > 0 && !strings.Contains(b.String(), fields.Short) {
		b.WriteString("-" + fields.Short) // the template makes one name per machine, and that one is taken
	}
	return b.String(), nil
}
