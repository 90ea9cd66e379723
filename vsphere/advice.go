package vsphere

import (
	"cmp"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// hint tells a person what the fault's own fields say, and the way out.
func hint(f types.BaseMethodFault, names *labels) string {
	root := decisive(f)
	return phrases("; ", particulars(f, names), particulars(root, names), treatmentOf(root).remedy)
}

// particulars are what the fields of a fault say: which object, which property, who.
func particulars(f types.BaseMethodFault, names *labels) string {
	switch f := f.(type) {
	case *types.NoPermission:
		return missingPrivileges(f, names)
	case *types.ManagedObjectNotFound:
		return "there is no " + names.of(f.Obj)
	case *types.InvalidArgument:
		return property(f.InvalidProperty)
	case *types.InvalidProperty:
		return property(f.Name)
	case types.BaseInvalidVmConfig:
		return property(f.GetInvalidVmConfig().Property)
	case *types.NoCompatibleHost:
		return firstMessage(f.Error)
	case *types.TaskInProgress:
		return "task " + f.Task.Value + " is at work on it"
	}
	return words(f)
}

// words are the fields that hold a text or a name.
func words(f types.BaseMethodFault) string {
	switch f := f.(type) {
	case *types.GenericVmConfigFault:
		return f.Reason
	case *types.SystemError:
		return f.Reason
	case *types.MethodDisabled:
		return after("the method was disabled by ", f.Source)
	case *types.RestrictedByAdministrator:
		return f.Details
	case *types.QuestionPending:
		return after("it asks: ", f.Text)
	case *types.NoDiskSpace:
		return after("the full datastore is ", f.Datastore)
	case types.BaseInvalidDatastore:
		return after("the datastore is ", f.GetInvalidDatastore().Name)
	case types.BaseFileFault:
		return after("the file is ", f.GetFileFault().File)
	case *types.ResourceNotAvailable:
		return after("exhausted: ", strings.Join([]string{f.ContainerType, f.ContainerName, f.Type}, " "))
	}
	return ""
}

func after(lead, text string) string {
	if text = strings.TrimSpace(text); text == "" {
		return ""
	}
	return lead + text
}

// missingPrivileges names every privilege that the fault does, with its object; before vCenter 7.0.3.2 that was only one.
func missingPrivileges(f *types.NoPermission, names *labels) string {
	var wants []string
	for _, missing := range f.MissingPrivileges {
		if len(missing.PrivilegeIds) > 0 {
			wants = append(wants, strings.Join(missing.PrivilegeIds, " and ")+" on "+names.of(missing.Entity))
		}
	}
	if len(wants) == 0 {
		object := "an object of the call"
		if f.Object != nil {
			object = names.of(*f.Object)
		}
		wants = []string{cmp.Or(f.PrivilegeId, "that the call needs") + " on " + object}
	}
	return "grant the privilege " + strings.Join(wants, ", and ")
}

func property(name string) string { return after("vCenter does not accept ", name) }

func firstMessage(reasons []types.LocalizedMethodFault) string {
	for _, reason := range reasons {
		if reason.LocalizedMessage != "" {
			return reason.LocalizedMessage
		}
	}
	return ""
}

// distrust tells which certificate was not believed, so that its fingerprint can be compared and pinned.
func distrust(err error) string {
	var untrusted *tls.CertificateVerificationError
	if !errors.As(err, &untrusted) || len(untrusted.UnverifiedCertificates) == 0 {
		return ""
	}
	return "set caFile, or, once compared with vCenter's own, thumbprints: [" +
		soap.ThumbprintSHA256(untrusted.UnverifiedCertificates[0]) + "]"
}

// unreached tells what to look at when nobody, or somebody else than vCenter, answers.
func unreached(err error) string {
	failed, ok := errors.AsType[*url.Error](err)
	if !ok || failed.Err == nil {
		return ""
	}
	_, unknown := errors.AsType[*net.DNSError](err)
	switch text := failed.Err.Error(); {
	case unknown:
		return "see the host name in url, and the name servers"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "see that vCenter runs, and the port in url"
	case strings.HasPrefix(text, "404 "):
		return "see the path in url: it is /sdk on a vCenter"
	case errors.Is(err, http.ErrSchemeMismatch):
		return "url leads to a server without TLS: that is no vCenter; a simulator takes http://"
	}
	return ""
}
