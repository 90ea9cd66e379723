package vsphere

// Connection is how to reach a vCenter: the configuration document's cloudApiSettings.
type Connection struct {
	// URL of the SDK endpoint: https://vcenter.example/sdk. http:// is accepted for simulators.
	URL string `json:"url"`
	// Username of a vCenter account; see the README for the privileges that it needs.
	Username string `json:"username"`
	// Password, or better PasswordFile: the file is read again at each login, so that a rotated password needs no restart.
	Password     string `json:"password,omitempty"`
	PasswordFile string `json:"passwordFile,omitempty"`
	// CAFile holds PEM certificates that vCenter's must chain to; without it the system's roots count.
	CAFile string `json:"caFile,omitempty"`
	// Thumbprints are SHA-1 or SHA-256 certificate fingerprints accepted instead of a chain.
	Thumbprints []string `json:"thumbprints,omitempty"`
	// InsecureSkipVerify accepts any certificate. For labs.
	InsecureSkipVerify bool `json:"insecureSkipVerify,omitempty"`
}

// The clone modes.
const (
	CloneLinked = "linked"
	CloneFull   = "full"
)

// What a machine must show to be RUNNING.
const (
	// ReadyIP waits for a usable address from VMware Tools.
	ReadyIP = "ip"
	// ReadyPoweredOn is for guests without tools.
	ReadyPoweredOn = "poweredOn"
)

// Template says what machines are made of: the configuration document's provisioningTemplate. References are inventory paths
// ("/DC0/vm/templates/ubuntu") or managed object ids ("vm-42").
type Template struct {
	// Template is the VM or template to clone.
	Template string `json:"template"`
	// CloneMode is linked or full. Left out it is linked where the template has a snapshot and full otherwise, and says which;
	// a linked that was asked for is never downgraded.
	CloneMode string `json:"cloneMode,omitempty"`
	// Snapshot names the snapshot to link to; the current one without it.
	Snapshot string `json:"snapshot,omitempty"`
	// Folder holds the pool's VMs, and best nothing else. Created if its parent exists.
	Folder string `json:"folder"`
	// ResourcePool; without it the template's own, or its cluster's root pool.
	ResourcePool string `json:"resourcePool,omitempty"`
	// Datastore, or Datastores to take the one with the most free space; without either the template's own.
	Datastore  string   `json:"datastore,omitempty"`
	Datastores []string `json:"datastores,omitempty"`
	// Networks replace the template's network cards, in order; without them the cards stay as they are.
	Networks []string `json:"networks,omitempty"`
	// CPUs, MemoryMiB and DiskGiB (the first disk; full clones only, it can only grow) override the template's.
	CPUs      int `json:"cpus,omitempty"`
	MemoryMiB int `json:"memoryMiB,omitempty"`
	DiskGiB   int `json:"diskGiB,omitempty"`
	// Ready is what makes a machine RUNNING: "ip" or "poweredOn".
	Ready string `json:"ready,omitempty"`
	// BootTimeout is how long after its power-on a machine may take to get ready.
	BootTimeout Duration `json:"bootTimeout,omitzero"`
	// NameTemplate makes VM names; it sees .Pool, .Short (8 characters of the id) and .ID.
	NameTemplate string    `json:"nameTemplate,omitempty"`
	CloudInit    CloudInit `json:"cloudInit,omitzero"`
	// ExtraConfig is written into each clone as it is.
	ExtraConfig map[string]string `json:"extraConfig,omitempty"`
}

// CloudInit is handed to cloud-init's VMware datasource through guestinfo.*, gzipped and base64-encoded once.
type CloudInit struct {
	// UserData, or UserDataFile, which is read at each configuration.
	UserData     string `json:"userData,omitempty"`
	UserDataFile string `json:"userDataFile,omitempty"`
	// MetaData is merged over instance-id and local-hostname.
	MetaData map[string]any `json:"metaData,omitempty"`
}
