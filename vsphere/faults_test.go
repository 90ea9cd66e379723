package vsphere

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func TestFaultKinds(t *testing.T) {
	for _, row := range []struct {
		fault types.BaseMethodFault
		want  Kind
	}{
		{&types.NotAuthenticated{}, Unreachable},
		{&types.Timedout{}, Unreachable},
		{&types.InvalidLogin{}, BadLogin},
		{&types.PasswordExpired{}, BadLogin},
		{&types.NoPermission{}, Forbidden},
		{&types.ManagedObjectNotFound{}, NotFound},
		{&types.NotFound{}, NotFound},
		{&types.DuplicateName{}, NameTaken},
		{&types.FileAlreadyExists{}, NameTaken},
		{&types.TaskInProgress{}, Busy},
		{&types.VAppTaskInProgress{}, Busy},
		{&types.MethodDisabled{}, Busy},
		{&types.RestrictedByAdministrator{}, Busy},
		{&types.FileLocked{}, Busy},
		{&types.LimitExceeded{}, Busy},
		{&types.HostNotConnected{}, Busy},
		{&types.HostNotReachable{}, Busy},
		{&types.ConcurrentAccess{}, Conflict},
		{&types.InvalidState{}, WrongState},
		{&types.InvalidPowerState{}, WrongState},
		{&types.InvalidPowerStateFault{}, WrongState},
		{&types.ToolsUnavailable{}, WrongState},
		{&types.InsufficientResourcesFault{}, Capacity},
		{&types.InsufficientMemoryResourcesFault{}, Capacity},
		{&types.InsufficientFailoverResourcesFault{}, Capacity},
		{&types.NoCompatibleHost{}, Capacity},
		{&types.InvalidHostState{}, Capacity},
		{&types.NotEnoughLicenses{}, Capacity},
		{&types.LicenseExpired{}, Capacity},
		{&types.InsufficientStorageSpace{}, Storage},
		{&types.NoDiskSpace{}, Storage},
		{&types.InaccessibleDatastore{}, Storage},
		{&types.DatastoreNotWritableOnHost{}, Storage},
		{&types.GenericVmConfigFault{}, Storage},
		{&types.InvalidArgument{}, Misconfigured},
		{&types.InvalidProperty{}, Misconfigured},
		{&types.InvalidDeviceSpec{}, Misconfigured},
		{&types.NumVirtualCpusExceedsLimit{}, Misconfigured},
		{&types.InvalidSnapshotFormat{}, Misconfigured},
		{&types.NicSettingMismatch{}, Misconfigured},
		{&types.RequestCanceled{}, Cancelled},
		{&types.SystemError{}, Unknown},
		{&types.RuntimeFault{}, Unknown},
		{&types.SystemError{RuntimeFault: types.RuntimeFault{MethodFault: types.MethodFault{
			FaultCause: &types.LocalizedMethodFault{Fault: &types.NoDiskSpace{}},
		}}}, Storage},
	} {
		t.Run(nameOf(row.fault), func(t *testing.T) {
			value := reflect.ValueOf(row.fault).Elem().Interface() // as the XML decoder leaves it in a fault's detail
			for _, err := range []error{
				soapFault(value),
				soap.WrapVimFault(row.fault),
				task.Error{LocalizedMethodFault: &types.LocalizedMethodFault{Fault: row.fault}},
				fmt.Errorf("wrapped: %w", soapFault(value)),
			} {
				if got := KindOf(wrap("op", "object", err)); got != row.want {
					t.Errorf("%T is kind %d, want %d", err, got, row.want)
				}
			}
		})
	}
}

func TestNoAnswerIsUnreachable(t *testing.T) {
	for _, err := range []error{
		io.EOF, context.DeadlineExceeded, context.Canceled, errClosed,
		&url.Error{Op: "Post", URL: "x", Err: errors.New("503 Service Unavailable")},
	} {
		if got := KindOf(wrap("op", "", err)); got != Unreachable {
			t.Errorf("%v is kind %d", err, got)
		}
	}
	if got := KindOf(wrap("op", "", soapFault(nil))); got != Unknown {
		t.Errorf("a fault without detail is kind %d", got)
	}
}

func TestWrap(t *testing.T) {
	if wrap("op", "object", nil) != nil {
		t.Error("nil does not stay nil")
	}
	inner := &Error{Kind: NotOurs, Err: errors.New("no mark")}
	err := wrap("destroy vm", "vm-1", inner)
	if KindOf(err) != NotOurs || err.Error() != "destroy vm vm-1: no mark" || inner.Op != "" {
		t.Errorf("%v, inner %+v", err, inner)
	}
	if again := wrap("other", "vm-2", err); again.Error() != err.Error() {
		t.Errorf("%v", again)
	}
}

func TestHints(t *testing.T) {
	vm := vmRef("vm-1")
	certificate := &x509.Certificate{Raw: []byte("x")}
	for name, row := range map[string]struct {
		err  error
		want []string
	}{
		"privilege": {
			soapFault(types.NoPermission{Object: &vm, PrivilegeId: "VirtualMachine.Interact.PowerOff"}),
			[]string{"VirtualMachine.Interact.PowerOff", "vm-1"},
		},
		"argument": {soapFault(types.InvalidArgument{InvalidProperty: "spec.pool"}), []string{"spec.pool"}},
		"property": {soapFault(types.InvalidProperty{Name: "config.x"}), []string{"config.x"}},
		"device":   {soapFault(types.InvalidDeviceSpec{InvalidVmConfig: types.InvalidVmConfig{Property: "device[1]"}}), []string{"device[1]"}},
		"no host": {
			soapFault(types.NoCompatibleHost{Error: []types.LocalizedMethodFault{{}, {LocalizedMessage: "too little memory"}}}),
			[]string{"too little memory"},
		},
		"certificate": {
			&tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{certificate}, Err: errors.New("unknown authority")},
			[]string{soap.ThumbprintSHA256(certificate), "caFile"},
		},
	} {
		for _, want := range row.want {
			if got := wrap("op", "", row.err).Error(); !strings.Contains(got, want) {
				t.Errorf("%s: %q lacks %q", name, got, want)
			}
		}
	}
}
