package vsphere

// Connection is how to reach a vCenter: the configuration document's cloudApiSettings.
type Connection struct {
	// URL of the SDK endpoint: https://vcenter.example/sdk. http:// is accepted for simulators.
	URL string `json:"url"`
	// Username of a vCenter account; see the README for the privileges that it needs.
	Username string `json:"username"`
	// Password, or better PasswordFile: the file is read again at each login, so that a rotated password needs no restart. Or PasswordEnv,
	// the name of an environment variable of the server.
	Password     string `json:"password,omitempty"`
	PasswordFile string `json:"passwordFile,omitempty"`
	PasswordEnv  string `json:"passwordEnv,omitempty"`
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
	// ResourcePool, or a cluster, for its root pool; without it the template's own, or its cluster's root pool.
	ResourcePool string `json:"resourcePool,omitempty"`
	// Hosts of the resource pool's cluster to spread the machines over; without them DRS chooses.
	Hosts []string `json:"hosts,omitempty"`
	// Datastore, or Datastores to take the one with the most free space that is not promised to other machines, or DatastoreCluster
	// to take the one that Storage DRS recommends; without any the template's own.
	Datastore        string   `json:"datastore,omitempty"`
	Datastores       []string `json:"datastores,omitempty"`
	DatastoreCluster string   `json:"datastoreCluster,omitempty"`
	// StoragePolicy is the name of the storage policy of each machine and its disks; without it the template's own stay.
	StoragePolicy string `json:"storagePolicy,omitempty"`
	// Networks replace the template's network cards, in order; without them the cards stay as they are.
	Networks []string `json:"networks,omitempty"`
	// CPUs, MemoryMiB and DiskGiB (the first disk; full clones only, it can only grow) override the template's.
	CPUs      int `json:"cpus,omitempty"`
	MemoryMiB int `json:"memoryMiB,omitempty"`
	DiskGiB   int `json:"diskGiB,omitempty"`
	// Ready is what makes a machine RUNNING: "ip" or "poweredOn".
	Ready string `json:"ready,omitempty"`
	// Addresses says which of the guests' addresses count, for being RUNNING and for what is published.
	Addresses Addresses `json:"addresses,omitzero"`
	// BootTimeout is how long after its power-on a machine may take to get ready.
	BootTimeout Duration `json:"bootTimeout,omitzero"`
	// NameTemplate makes VM names; it sees .Pool, .Short (8 characters of the id) and .ID.
	NameTemplate string    `json:"nameTemplate,omitempty"`
	CloudInit    CloudInit `json:"cloudInit,omitzero"`
	// Ignition configures guests that read it instead of cloud-init's data.
	Ignition Ignition `json:"ignition,omitzero"`
	// Customization is the name of a customization specification saved in vCenter, applied to each machine.
	Customization string `json:"customization,omitempty"`
	// ExtraConfig is written into each clone as it is.
	ExtraConfig map[string]string `json:"extraConfig,omitempty"`
}

// The families of addresses.
const (
	PreferIPv4 = "ipv4"
	PreferIPv6 = "ipv6"
)

// Addresses says which of a guest's addresses count. Only those of the VM's own network cards do, and never loopback, link-local,
// multicast and unspecified ones.
type Addresses struct {
	// Allow are the networks, in CIDR notation, that an address must be in; without any, all.
	Allow []string `json:"allow,omitempty"`
	// Ignore are networks, in CIDR notation, whose addresses do not count.
	Ignore []string `json:"ignore,omitempty"`
	// Network is the name of the one network, as vCenter shows it, whose cards count; without it, all cards do.
	Network string `json:"network,omitempty"`
	// Prefer is the family that comes first, "ipv4" or "ipv6".
	Prefer string `json:"prefer,omitempty"`
}

// CloudInit is handed to cloud-init's VMware datasource through guestinfo.*, gzipped and base64-encoded once.
type CloudInit struct {
	// UserData, or UserDataFile, which is read at each configuration. It is passed on byte by byte.
	UserData     string `json:"userData,omitempty"`
	UserDataFile string `json:"userDataFile,omitempty"`
	// Hostname makes host names; it sees .Name, .Pool, .Short (8 characters of the id) and .ID. Without it the VM's name, made a valid
	// one, is the host's.
	Hostname string `json:"hostname,omitempty"`
	// MetaData is added to instance-id, which is the machine's id, and local-hostname, which it may replace. Its texts see what
	// hostname sees.
	MetaData map[string]any `json:"metaData,omitempty"`
}

// Ignition is handed to Ignition (Fedora CoreOS, Flatcar) through guestinfo.*, gzipped and base64-encoded once.
type Ignition struct {
	// Config is the Ignition document in JSON, or ConfigFile, which is read at each configuration.
	Config     string `json:"config,omitempty"`
	ConfigFile string `json:"configFile,omitempty"`
}
