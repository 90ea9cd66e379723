package vsphere

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

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

// A task may end with a fault that only a newer vCenter knows.
func TestATaskFaultWithoutATypeIsUnknown(t *testing.T) {
	nameless := &types.LocalizedMethodFault{LocalizedMessage: "no luck"}
	err := wrap("clone vm", "web-1", taskFault{task.Error{LocalizedMethodFault: nameless}, "task-7"})
	if KindOf(err) != Unknown || err.Error() != "clone vm web-1: no luck (task-7)" {
		t.Errorf("%s: %v", KindOf(err), err)
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

func TestThrottlingIsTooMany(t *testing.T) {
	err := wrap("clone vm", "web-1", &url.Error{Op: "POST", URL: "/sdk", Err: errors.New("429 Too Many Requests")})
	if KindOf(err) != TooMany || !strings.Contains(err.Error(), "less often") {
		t.Errorf("%s: %v", KindOf(err), err)
	}
}

func TestDistrustNamesTheCertificate(t *testing.T) {
	certificate := &x509.Certificate{Raw: []byte("x")}
	err := wrap("log in", "", &tls.CertificateVerificationError{
		UnverifiedCertificates: []*x509.Certificate{certificate}, Err: errors.New("unknown authority"),
	})
	for _, want := range []string{soap.ThumbprintSHA256(certificate), "caFile"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
}
