package vsphere

import (
	"cmp"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Kind classifies what a vSphere call failed of, so that nobody else has to know SOAP faults.
type Kind int

// The kinds. A caller that meets an unknown one treats it as Unknown.
const (
	// Unknown is any fault without a row of its own.
	Unknown Kind = iota
	// Unreachable: no answer that counts: connection refused or lost, 5xx, time-out, no session. The call may have had its effect.
	Unreachable
	// BadLogin: vCenter refused user and password.
	BadLogin
	// Forbidden: a privilege is missing.
	Forbidden
	// NotFound: the object does not exist, or not any more.
	NotFound
	// NameTaken: the folder has a VM of that name.
	NameTaken
	// NotOurs: the VM does not carry our mark with its own uuid, so it must not be touched.
	NotOurs
	// Busy: another task holds the object; worth a retry.
	Busy
	// Conflict: somebody changed the object in between; re-read and retry.
	Conflict
	// WrongState: the object's power or other state does not allow the call.
	WrongState
	// Capacity: no host or pool can take the machine now.
	Capacity
	// Storage: a datastore is full or not accessible.
	Storage
	// Misconfigured: the provisioning template or the connection asks for something that cannot be.
	Misconfigured
	// Cancelled: the task was cancelled.
	Cancelled
)

// Error is a failed vSphere call.
type Error struct {
	// Op says what was being done: "clone vm".
	Op string
	// Object names what it was done to: a name, path or reference.
	Object string
	Kind   Kind
	// Fault is the SOAP fault's type, for example "NoPermission"; empty when there was none.
	Fault string
	// Hint tells a person what to do about it; may be empty.
	Hint string
	// Err is the cause, for the log.
	Err error
}

// Error is "clone vm web-1: cause (NoPermission): hint".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Object != "" {
		b.WriteString(" " + e.Object)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if e.Fault != "" && !strings.Contains(b.String(), e.Fault) {
		b.WriteString(" (" + e.Fault + ")")
	}
	if e.Hint != "" {
		b.WriteString(": " + e.Hint)
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of the first [Error] in err's chain, Unknown without one.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Unknown
}

// kinds is the one place where SOAP faults become kinds. A fault without a row takes the row of the nearest fault type that it
// extends, so that a family needs one row, and its odd members one each.
var kinds = map[string]Kind{
	fault[types.NotAuthenticated]():  Unreachable, // extends NoPermission, but a lost session is not a lost privilege
	fault[types.Timedout]():          Unreachable,
	fault[types.InvalidLogin]():      BadLogin,
	fault[types.SecurityError]():     Forbidden,
	fault[types.NotFound]():          NotFound,
	fault[types.DuplicateName]():     NameTaken,
	fault[types.AlreadyExists]():     NameTaken,
	fault[types.FileAlreadyExists](): NameTaken, // left over from a clone that failed: another name helps

	fault[types.ManagedObjectNotFound]():     NotFound,
	fault[types.TaskInProgress]():            Busy,
	fault[types.MethodDisabled]():            Busy, // backup products disable methods while they read a VM
	fault[types.RestrictedByAdministrator](): Busy,
	fault[types.ResourceInUse]():             Busy,
	fault[types.FileLocked]():                Busy,
	fault[types.LimitExceeded]():             Busy,
	fault[types.HostCommunication]():         Busy, // HA or the host's return cures it
	fault[types.HostConnectFault]():          Busy,
	fault[types.ConcurrentAccess]():          Conflict,

	fault[types.InvalidState]():     WrongState,
	fault[types.ToolsUnavailable](): WrongState,

	fault[types.InsufficientResourcesFault](): Capacity,
	fault[types.InvalidHostState]():           Capacity,
	fault[types.NoActiveHostInCluster]():      Capacity,
	fault[types.NoCompatibleHost]():           Capacity,
	fault[types.NotEnoughLicenses]():          Capacity,

	fault[types.InsufficientStorageSpace](): Storage,
	fault[types.InsufficientStorageIops]():  Storage,
	fault[types.InvalidDatastoreState]():    Storage,
	fault[types.InvalidDatastore]():         Storage,
	fault[types.FileFault]():                Storage,
	fault[types.GenericVmConfigFault]():     Storage, // what a power-on on a full datastore ends with

	fault[types.InvalidArgument]():            Misconfigured,
	fault[types.NumVirtualCpusExceedsLimit](): Misconfigured, // no host ever has that many, unlike its family
	fault[types.InvalidProperty]():            Misconfigured,
	fault[types.InvalidRequest]():             Misconfigured,
	fault[types.InvalidName]():                Misconfigured,
	fault[types.InvalidFolder]():              Misconfigured,
	fault[types.NotSupported]():               Misconfigured,
	fault[types.VmConfigFault]():              Misconfigured,
	fault[types.VAppConfigFault]():            Misconfigured,
	fault[types.SnapshotFault]():              Misconfigured,
	fault[types.MigrationFault]():             Misconfigured,
	fault[types.CustomizationFault]():         Misconfigured,

	fault[types.RequestCanceled](): Cancelled,
}

// fault is the name of a fault type, spelled so that the compiler checks it.
func fault[F any]() string { return reflect.TypeFor[F]().Name() }

// wrap makes err an [Error] of the given operation; nil stays nil, and an Error stays what it is. What carries no SOAP fault never
// got an answer that counts: the network, HTTP, a time limit or the caller's context ended the call.
func wrap(op, object string, err error) error {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*Error](err); ok {
		named := *known
		named.Op, named.Object = cmp.Or(known.Op, op), cmp.Or(known.Object, object)
		return &named
	}
	e := &Error{Op: op, Object: object, Kind: Unreachable, Hint: distrust(err), Err: err}
	if f := faultOf(err); f != nil {
		e.Kind, e.Fault, e.Hint = kindOf(f), nameOf(f), hint(f)
	} else if soap.IsSoapFault(err) {
		e.Kind = Unknown
	}
	return e
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

// kindOf looks the fault up in the table, then, if its whole family has no row, its cause.
func kindOf(f types.BaseMethodFault) Kind {
	for _, name := range lineage(f) {
		if kind, ok := kinds[name]; ok {
			return kind
		}
	}
	if cause := f.GetMethodFault().FaultCause; cause != nil && cause.Fault != nil {
		return kindOf(cause.Fault)
	}
	return Unknown
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
