package vsphere

import (
	"slices"
	"strings"
)

// Scope is what kind of object a privilege is needed on.
type Scope string

// The scopes, in the words of reports and of the README.
const (
	OnRoot             Scope = "vCenter root"
	OnDatacenter       Scope = "datacenter"
	OnCluster          Scope = "cluster"
	OnTemplate         Scope = "template"
	OnFolder           Scope = "folder"
	OnParent           Scope = "folder's parent"
	OnResourcePool     Scope = "resource pool"
	OnDatastore        Scope = "datastore"
	OnDatastoreCluster Scope = "datastore cluster"
	OnNetwork          Scope = "network"
)

// Propagated says whether a permission on such an object has to include what is below it: machines, hosts, datastores.
func (s Scope) Propagated() bool {
	return slices.Contains([]Scope{OnFolder, OnCluster, OnDatastoreCluster}, s)
}

// Privilege is something that the pool's account must be allowed to do, and on what.
type Privilege struct {
	// ID is vCenter's name for it: "VirtualMachine.Inventory.Delete".
	ID string
	On Scope
	// For is what the pool cannot do without it: "destroy machines".
	For string
	// Otherwise is what happens without it, where the pool can do without; empty where it cannot.
	Otherwise string
	// If says in words when it is needed; empty is always.
	If string
	// keys and site are the same for the program: what the configuration must ask for, and what vCenter must show. Nil is always.
	keys func(Template) bool
	site func(premises) bool
	// lasting says that it is needed on the machines in the folder as well, not only to make them.
	lasting bool
}

// premises is what the template VM and the folder turned out to be.
type premises struct {
	template, vm    bool
	vApp, encrypted bool
	noFolder        bool
}

// Optional says that without the privilege only a feature is missing.
func (p Privilege) Optional() bool { return p.Otherwise != "" }

// System says that every role has it, and that it cannot be put into one.
func (p Privilege) System() bool { return strings.HasPrefix(p.ID, "System.") }

// Uncertain says that it takes a look into vCenter, not only at the configuration, to know whether the privilege is needed.
func (p Privilege) Uncertain() bool { return p.site != nil }

// privileges is the one table of them. Sources: the privileges that the vSphere API reference names at CloneVM_Task,
// VirtualMachineConfigSpec and the other methods used, and vSphere's "Required Privileges for Common Tasks".
var privileges = []Privilege{
	{ID: "System.Read", On: OnRoot, For: "hear of changes by others as they happen", Otherwise: "they show at the next sweep"},
	{
		ID: "VirtualMachine.Provisioning.ReadCustSpecs", On: OnRoot, For: "read the customization specification",
		If: "if `customization` is set", keys: customized,
	},
	{
		ID: "StorageProfile.View", On: OnRoot, For: "look up the storage policy",
		If: "if `storagePolicy` is set", keys: func(t Template) bool { return t.StoragePolicy != "" },
	},
	{ID: "System.Read", On: OnDatacenter, For: "find objects by their inventory paths", Otherwise: "managed object ids are needed instead"},
	{
		ID: "VirtualMachine.Interact.PowerOn", On: OnDatacenter, For: "let DRS choose the host at power-on",
		Otherwise: "a machine starts on the host that it was cloned to",
	},
	{ID: "System.Read", On: OnCluster, For: "look at its hosts", Otherwise: "they go by their ids and stay unchecked"},
	{
		ID: "VirtualMachine.Provisioning.DeployTemplate", On: OnTemplate, For: "clone the template",
		If: "if it is a template", site: func(p premises) bool { return p.template },
	},
	{
		ID: "VirtualMachine.Provisioning.Clone", On: OnTemplate, For: "clone the template",
		If: "if it is a VM", site: func(p premises) bool { return p.vm },
	},
	{
		ID: "Cryptographer.Clone", On: OnTemplate, For: "clone the template",
		If: "if it is encrypted", site: func(p premises) bool { return p.encrypted },
	},
	{
		ID: "VirtualMachine.Provisioning.Customize", On: OnTemplate, For: "customize the guests",
		If: "if `customization` is set", keys: customized,
	},
	{ID: "VirtualMachine.Inventory.CreateFromExisting", On: OnFolder, For: "make machines"},
	{ID: "VirtualMachine.Config.AddNewDisk", On: OnFolder, For: "make machines"},
	{ID: "VirtualMachine.Config.AdvancedConfig", On: OnFolder, lasting: true, For: "mark machines as its own"},
	{ID: "VirtualMachine.Config.Settings", On: OnFolder, For: "give machines their identity"},
	{ID: "VirtualMachine.Interact.PowerOn", On: OnFolder, lasting: true, For: "power machines on"},
	{ID: "VirtualMachine.Interact.PowerOff", On: OnFolder, lasting: true, For: "shut machines down"},
	{ID: "VirtualMachine.Inventory.Delete", On: OnFolder, lasting: true, For: "destroy machines"},
	{
		ID: "VirtualMachine.Config.RemoveDisk", On: OnFolder, lasting: true,
		For:       "save disks that others attached to a machine before it destroys it",
		Otherwise: "such a machine stays until the disks are detached",
	},
	{
		ID: "VirtualMachine.Interact.AnswerQuestion", On: OnFolder, lasting: true, For: "answer a question that holds up a termination",
		Otherwise: "somebody has to answer it",
	},
	{
		ID: "VirtualMachine.Config.CPUCount", On: OnFolder, For: "set the number of CPUs",
		If: "if `cpus` is set", keys: func(t Template) bool { return t.CPUs > 0 },
	},
	{
		ID: "VirtualMachine.Config.Memory", On: OnFolder, For: "set the memory size",
		If: "if `memoryMiB` is set", keys: func(t Template) bool { return t.MemoryMiB > 0 },
	},
	{
		ID: "VirtualMachine.Config.DiskExtend", On: OnFolder, For: "enlarge the disk",
		If: "if `diskGiB` is set", keys: func(t Template) bool { return t.DiskGiB > 0 },
	},
	{
		ID: "VirtualMachine.Config.AddRemoveDevice", On: OnFolder, For: "replace the network cards",
		If: "if `networks` is set", keys: networked,
	},
	{
		ID: "VirtualMachine.Config.EditDevice", On: OnFolder, For: "configure the network cards and disks",
		If: "if `networks` or `diskGiB` is set", keys: func(t Template) bool { return networked(t) || t.DiskGiB > 0 },
	},
	{
		ID: "VApp.ApplicationConfig", On: OnFolder, For: "keep the template's vApp options from hiding cloud-init's data",
		If:   "if `cloudInit` is set and the template has vApp options",
		keys: func(t Template) bool { return t.CloudInit.used() }, site: func(p premises) bool { return p.vApp },
	},
	{
		ID: "Folder.Create", On: OnParent, For: "create its folder",
		If: "if the pool shall create its folder", site: func(p premises) bool { return p.noFolder },
	},
	{ID: "Resource.AssignVMToPool", On: OnResourcePool, For: "make machines in it"},
	{
		ID: "Datastore.AllocateSpace", On: OnDatastore, For: "make machines on it",
		If: "unless `datastoreCluster` is set", keys: func(t Template) bool { return !pooled(t) },
	},
	{ID: "Datastore.AllocateSpace", On: OnDatastoreCluster, For: "make machines in it", If: "if `datastoreCluster` is set", keys: pooled},
	{
		ID: "Resource.ApplyRecommendation", On: OnDatastoreCluster, For: "take back recommendations of Storage DRS",
		Otherwise: "their space is held until they expire", If: "if `datastoreCluster` is set", keys: pooled,
	},
	{ID: "Network.Assign", On: OnNetwork, For: "connect machines to it", If: "if `networks` is set", keys: networked},
}

func customized(t Template) bool { return t.Customization != "" }

func pooled(t Template) bool { return t.DatastoreCluster != "" }

func networked(t Template) bool { return len(t.Networks) > 0 }

// Privileges is the whole table: all that any configuration needs.
func Privileges() []Privilege { return slices.Clone(privileges) }

// Privileges are those that a pool with this template may need, see [Privilege.Uncertain].
func (t Template) Privileges() []Privilege {
	return slices.DeleteFunc(Privileges(), func(p Privilege) bool { return p.keys != nil && !p.keys(t) })
}

// needed are those that a pool with this template needs on the site as it was found.
func needed(t Template, as premises) []Privilege {
	return slices.DeleteFunc(t.Privileges(), func(p Privilege) bool { return p.site != nil && !p.site(as) })
}

// Role are the ids of those that a role can be made of, each once.
func Role(list []Privilege) []string {
	return ids(slices.DeleteFunc(slices.Clone(list), Privilege.System))
}
