package vsphere

import (
	"cmp"
	"crypto/tls"
	"errors"

	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// hint tells a person what the fault's own fields say about the way out.
func hint(f types.BaseMethodFault) string {
	switch f := f.(type) {
	case *types.NoPermission:
		return missingPrivilege(f)
	case *types.InvalidArgument:
		return property(f.InvalidProperty)
	case *types.InvalidProperty:
		return property(f.Name)
	case types.BaseInvalidVmConfig:
		return property(f.GetInvalidVmConfig().Property)
	case *types.NoCompatibleHost:
		return firstMessage(f.Error)
	}
	return ""
}

func missingPrivilege(f *types.NoPermission) string {
	object := "an object of the call"
	if f.Object != nil {
		object = f.Object.String()
	}
	return "grant the privilege " + cmp.Or(f.PrivilegeId, "that the call needs") + " on " + object
}

func property(name string) string {
	if name == "" {
		return ""
	}
	return "vCenter does not accept " + name
}

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
