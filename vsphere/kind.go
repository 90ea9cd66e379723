package vsphere

// Kind classifies what a vSphere call failed of, so that nobody else has to know SOAP faults.
type Kind int

// The kinds. A caller that meets an unknown one treats it as Unknown.
const (
	// Unknown is any fault without a row of its own, vCenter's "general system error" among them. It may have had some effect.
	Unknown Kind = iota
	// Unreachable: no answer that counts: connection refused or lost, 5xx, time-out, no session. The call may have had its effect.
	Unreachable
	// BadLogin: vCenter refused user and password.
	BadLogin
	// Forbidden: a privilege is missing.
	Forbidden
	// NotFound: the object does not exist, or not any more.
	NotFound
	// HalfMade: a VM whose clone has just ended cannot be found yet (cluster-api-provider-vsphere #139 saw it for some seconds). The
	// faults do not tell it from NotFound: who knows of the clone does.
	HalfMade
	// NameTaken: the folder has a VM of that name.
	NameTaken
	// Leftover: files of that name are in the way, left by a clone that failed; another name helps.
	Leftover
	// NotOurs: the VM does not carry our mark with its own uuid, so it must not be touched.
	NotOurs
	// Busy: another task holds the object; worth a retry.
	Busy
	// Locked: a backup product, an administrator, a host's file lock or a question that waits for its answer holds the object, and
	// for longer than a task does.
	Locked
	// Conflict: somebody changed the object in between; re-read and retry.
	Conflict
	// WrongState: the object's power or other state does not allow the call.
	WrongState
	// Capacity: no host or pool can take the machine now.
	Capacity
	// Storage: a datastore is full, or does not take the machine's files; another one may.
	Storage
	// Inaccessible: a datastore cannot be reached. The machines on it are not lost, so nothing is replaced for it.
	Inaccessible
	// HostDown: the host does not answer. Its return, or HA, cures it in some minutes.
	HostDown
	// Licence: a licence is missing, exhausted or over.
	Licence
	// TooMany: vCenter is asked for too much at once, by us or by others.
	TooMany
	// Misconfigured: the provisioning template or the connection asks for something that cannot be.
	Misconfigured
	// Cancelled: vCenter timed out on the work, or somebody cancelled it. It may have had some effect.
	Cancelled
)

var kindNames = [...]string{
	Unknown: "unknown", Unreachable: "unreachable", BadLogin: "bad login", Forbidden: "forbidden", NotFound: "not found",
	HalfMade: "half made", NameTaken: "name taken", Leftover: "leftover", NotOurs: "not ours", Busy: "busy", Locked: "locked",
	Conflict: "conflict", WrongState: "wrong state", Capacity: "capacity", Storage: "storage", Inaccessible: "inaccessible",
	HostDown: "host down", Licence: "licence", TooMany: "too many", Misconfigured: "misconfigured", Cancelled: "cancelled",
}

// String is the kind in a word or two; empty for a value that is no kind.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return ""
	}
	return kindNames[k]
}
