package vsphere

// Severity says how much a finding matters.
type Severity string

// The severities.
const (
	// Fine: nothing to do.
	Fine Severity = "ok"
	// Warning: the pool works, but something will go wrong or is missing that a feature needs.
	Warning Severity = "warning"
	// Failure: machines cannot be made, followed or removed until it is mended.
	Failure Severity = "failure"
)

// Finding is the result of one check of what a pool needs of its vCenter.
type Finding struct {
	// Check names what was checked, "privileges".
	Check string
	// Object is what it was checked on: an inventory path, or a name.
	Object   string
	Severity Severity
	// Message is a sentence that says what is so, and for what it matters; Remedy one that says what to do, empty if nothing.
	Message string
	Remedy  string
}

// Sentence is the finding in words: what is so, and what to do.
func (f Finding) Sentence() string {
	if f.Remedy == "" {
		return f.Message
	}
	return f.Message + "; " + f.Remedy
}
