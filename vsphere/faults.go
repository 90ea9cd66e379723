package vsphere

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

// treatment is what a fault type means: its kind, and what a person does about it.
type treatment struct {
	kind   Kind
	remedy string
	// vague faults say less than the faults that caused them: where those agree on a kind, it counts instead.
	vague bool
}

// What several rows advise.
const (
	waitsForTask  = "it is tried again until the other task has ended"
	waitsForLock  = "it is tried again; see what holds it in vCenter: backups and migrations do"
	waitsForHost  = "it is tried again until the host is back or HA has restarted its machines; see the host in vCenter"
	needsRoom     = "free resources in the cluster or resource pool, or add hosts; launches go on by themselves"
	needsSpace    = "free space there, or name more datastores; another one is tried first, if there is one"
	needsStorage  = "see the datastore and its paths in vCenter; nothing is replaced meanwhile"
	needsLicence  = "see the licences in vCenter"
	needsSetting  = "change the provisioning template of the configuration, or the VM template"
	needsSnapshot = "take the template's snapshot anew, or name another one"
	tooManyRemedy = "vCenter is overloaded or has too many sessions; it is asked less often for a while"
)

// treatments is the one place where SOAP faults become kinds and advice. A fault without a row takes the row of the nearest fault type
// that it extends, so that a family needs one row, and its odd members one each. What the pool does about a kind is in actors.
var treatments = map[string]treatment{
	fault[types.NotAuthenticated]():    {kind: Unreachable}, // extends NoPermission, but a lost session is not a lost privilege
	fault[types.InvalidLogin]():        {kind: BadLogin, remedy: "set the right username and password; it is tried again in some minutes"},
	fault[types.NoClientCertificate](): {kind: BadLogin, remedy: "vCenter wants a login by certificate, which is not supported"},
	fault[types.PasswordExpired]():     {kind: BadLogin, remedy: "renew the account's password"},
	fault[types.SecurityError]():       {kind: Forbidden},

	fault[types.NotFound]():              {kind: Misconfigured, remedy: "something that it refers to is not there"}, // not the object itself
	fault[types.ManagedObjectNotFound](): {kind: NotFound, remedy: "it was deleted, moved to another vCenter or not completely created"},
	fault[types.DuplicateName]():         {kind: NameTaken, remedy: "another name is chosen"},
	fault[types.AlreadyExists]():         {kind: NameTaken, remedy: "another name is chosen"},
	fault[types.FileAlreadyExists]():     {kind: Leftover, remedy: "another name is chosen; delete what a clone that failed left there"},

	fault[types.TaskInProgress]():                {kind: Busy, remedy: waitsForTask},
	fault[types.ResourceInUse]():                 {kind: Busy, remedy: waitsForTask},
	fault[types.VAppOperationInProgress]():       {kind: Busy, remedy: waitsForTask},
	fault[types.ToolsInstallationInProgress]():   {kind: Busy, remedy: waitsForTask},
	fault[types.MethodDisabled]():                {kind: Locked, remedy: waitsForLock}, // only who disabled it may enable it (vic #5219)
	fault[types.RestrictedByAdministrator]():     {kind: Locked, remedy: waitsForLock},
	fault[types.FileLocked]():                    {kind: Locked, remedy: waitsForLock},
	fault[types.QuestionPending]():               {kind: Locked, remedy: "answer the VM's question in vCenter"},
	fault[types.LimitExceeded]():                 {kind: TooMany, remedy: tooManyRemedy},
	fault[types.TooManyConcurrentNativeClones](): {kind: TooMany, remedy: tooManyRemedy},
	fault[types.ConcurrentAccess]():              {kind: Conflict, remedy: "it is read and tried again"},
	fault[types.InvalidState]():                  {kind: WrongState, vague: true},
	fault[types.ToolsUnavailable]():              {kind: WrongState},

	fault[types.InsufficientResourcesFault](): {kind: Capacity, remedy: needsRoom},
	fault[types.InsufficientFailoverResourcesFault](): {
		kind: Capacity, remedy: "HA's admission control keeps the rest for failovers: add hosts, or relax it; launches go on by themselves",
	},
	fault[types.InvalidHostState]():             {kind: Capacity, remedy: needsRoom},
	fault[types.NoActiveHostInCluster]():        {kind: Capacity, remedy: needsRoom},
	fault[types.NoCompatibleHost]():             {kind: Capacity, remedy: needsRoom, vague: true},
	fault[types.NoCompatibleHardAffinityHost](): {kind: Capacity, remedy: needsRoom},
	fault[types.NoCompatibleSoftAffinityHost](): {kind: Capacity, remedy: needsRoom},
	fault[types.ResourceNotAvailable]():         {kind: Capacity, remedy: "free some of it, or add more; launches go on by themselves"},
	fault[types.HostCommunication]():            {kind: HostDown, remedy: waitsForHost},
	fault[types.HostConnectFault]():             {kind: HostDown, remedy: waitsForHost},
	fault[types.NotEnoughLicenses]():            {kind: Licence, remedy: needsLicence},
	fault[types.InvalidLicense]():               {kind: Licence, remedy: needsLicence},
	fault[types.LicenseServerUnavailable]():     {kind: Licence, remedy: needsLicence},

	fault[types.InsufficientStorageSpace]():   {kind: Storage, remedy: needsSpace},
	fault[types.InsufficientStorageIops]():    {kind: Storage, remedy: needsSpace},
	fault[types.NoDiskSpace]():                {kind: Storage, remedy: needsSpace},
	fault[types.NoCompatibleDatastore]():      {kind: Storage, remedy: needsSpace},
	fault[types.InvalidDatastoreState]():      {kind: Storage, remedy: "end the datastore's maintenance, or name another one"},
	fault[types.InvalidDatastore]():           {kind: Storage, remedy: "see that the hosts of the resource pool have the datastore"},
	fault[types.FileFault]():                  {kind: Storage, remedy: "see the datastore in vCenter", vague: true},
	fault[types.GenericVmConfigFault]():       {kind: Storage, remedy: "if a datastore is full, free space there", vague: true}, // bosh
	fault[types.InaccessibleDatastore]():      {kind: Inaccessible, remedy: needsStorage},
	fault[types.DatastoreNotWritableOnHost](): {kind: Inaccessible, remedy: needsStorage},
	fault[types.CannotAccessFile]():           {kind: Inaccessible, remedy: needsStorage},
	fault[types.NetworkCopyFault]():           {kind: Inaccessible, remedy: needsStorage},
	fault[types.CannotAccessVmComponent]():    {kind: Inaccessible, remedy: needsStorage, vague: true},

	fault[types.InvalidArgument]():            {kind: Misconfigured, remedy: needsSetting},
	fault[types.NumVirtualCpusExceedsLimit](): {kind: Misconfigured, remedy: needsSetting}, // no host ever has so many, unlike its family
	fault[types.InvalidProperty]():            {kind: Misconfigured, remedy: "this vCenter is too old for it"},
	fault[types.InvalidRequest]():             {kind: Misconfigured, remedy: "this vCenter is too old for it"},
	fault[types.InvalidName]():                {kind: Misconfigured, remedy: "change nameTemplate"},
	fault[types.InvalidFolder]():              {kind: Misconfigured, remedy: needsSetting},
	fault[types.NotSupported]():               {kind: Misconfigured, remedy: needsSetting},
	fault[types.VmConfigFault]():              {kind: Misconfigured, remedy: needsSetting, vague: true},
	fault[types.CannotAccessNetwork]():        {kind: Misconfigured, remedy: "see that the hosts of the resource pool have the network"},
	fault[types.VAppConfigFault]():            {kind: Misconfigured, remedy: needsSetting},
	fault[types.SnapshotFault]():              {kind: Misconfigured, remedy: needsSnapshot},
	fault[types.InvalidSnapshotFormat]():      {kind: Misconfigured, remedy: needsSnapshot},
	fault[types.MigrationFault]():             {kind: Misconfigured, remedy: needsSetting, vague: true},
	fault[types.CustomizationFault]():         {kind: Misconfigured, remedy: "change the customization specification, or the guest"},

	fault[types.Timedout]():        {kind: Cancelled, remedy: "vCenter took too long over it; it is looked at and tried again"},
	fault[types.RequestCanceled](): {kind: Cancelled, remedy: "somebody cancelled it; it is looked at and tried again"},
	fault[types.SystemError]():     {kind: Unknown, remedy: "vCenter's own logs say more", vague: true},
}

// fault is the name of a fault type, spelled so that the compiler checks it.
func fault[F any]() string { return reflect.TypeFor[F]().Name() }

// treatmentOf is the row of the fault or of the nearest one that it extends; without any, all depends on its causes.
func treatmentOf(f types.BaseMethodFault) treatment {
	for _, name := range lineage(f) {
		if t, known := treatments[name]; known {
			return t
		}
	}
	return treatment{vague: true}
}

// kindOf is the kind of a fault, or of what caused it where that says more.
func kindOf(f types.BaseMethodFault) Kind { return kindWithin(f, deepest) }

func kindWithin(f types.BaseMethodFault, depth int) Kind {
	t := treatmentOf(f)
	if !t.vague || depth == 0 {
		return t.kind
	}
	agreed := Unknown
	for _, cause := range causes(f) {
		kind := kindWithin(cause, depth-1)
		if agreed != Unknown && kind != Unknown && kind != agreed {
			return t.kind
		}
		if kind != Unknown {
			agreed = kind
		}
	}
	if agreed != Unknown {
		return agreed
	}
	return t.kind
}

// causes are the faults within a fault: its cause, and those in fields of its own, as NoCompatibleHost has one for each host.
func causes(f types.BaseMethodFault) []types.BaseMethodFault {
	var nested []types.LocalizedMethodFault
	if cause := f.GetMethodFault().FaultCause; cause != nil {
		nested = append(nested, *cause)
	}
	v := reflect.Indirect(reflect.ValueOf(f))
	for _, v := range v.Fields() {
		switch field := v.Interface().(type) {
		case types.LocalizedMethodFault:
			nested = append(nested, field)
		case []types.LocalizedMethodFault:
			nested = append(nested, field...)
		}
	}
	var out []types.BaseMethodFault
	for _, n := range nested {
		if n.Fault != nil {
			out = append(out, n.Fault)
		}
	}
	return out
}

// decisive is the fault that decides the kind: f itself or one of its causes.
func decisive(f types.BaseMethodFault) types.BaseMethodFault {
	kind := kindOf(f)
	if kind == treatmentOf(f).kind {
		return f
	}
	for _, cause := range causes(f) {
		if kindOf(cause) == kind {
			return decisive(cause)
		}
	}
	return f
}

// faultOf is the SOAP fault in err's chain, of a call or of a task; nil without one.
func faultOf(err error) types.BaseMethodFault {
	var carrier interface{ Fault() types.BaseMethodFault }
	if errors.As(err, &carrier) {
		return carrier.Fault()
	}
	return nil
}

func nameOf(f types.BaseMethodFault) string {
	return reflect.Indirect(reflect.ValueOf(f)).Type().Name()
}

// isFault says whether err carries the named fault or one that extends it.
func isFault(err error, name string) bool {
	f := faultOf(err)
	if f == nil {
		return false
	}
	return slices.Contains(lineage(f), name)
}

// lineage names the fault's type and those it extends, nearest first. govmomi models inheritance by embedding the parent, and
// declares some types twice, the second time with the suffix that WSDL gives to the fault's element.
func lineage(f types.BaseMethodFault) []string {
	var names []string
	t := reflect.Indirect(reflect.ValueOf(f)).Type()
	for t.Kind() == reflect.Struct && t.NumField() > 0 {
		names = append(names, t.Name())
		if short, cut := strings.CutSuffix(t.Name(), "Fault"); cut {
			names = append(names, short)
		}
		if !t.Field(0).Anonymous {
			break
		}
		t = t.Field(0).Type
	}
	return names
}

// misconfigured is an error of the configuration, found before vCenter was asked for anything.
func misconfigured(object, problem, remedy string) error {
	return &Error{Kind: Misconfigured, Object: object, Err: errors.New(problem), Hint: remedy}
}
