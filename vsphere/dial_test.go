package vsphere

import (
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

func TestCertificateIsForItsHost(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	conn, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	state := conn.ConnectionState()
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	write := func(b []byte) {
		if err := os.WriteFile(caFile, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: state.PeerCertificates[0].Raw}))
	for host, trusted := range map[string]bool{"127.0.0.1": true, "example.com": true, "127.0.0.2": false, "vcenter.example": false} {
		err := trust{host: host, caFile: caFile}.verify(state)
		if (err == nil) != trusted || !trusted && distrust(err) == "" {
			t.Errorf("%s: %v", host, err)
		}
	}
	write([]byte("renewed, badly"))
	if err := (trust{host: "127.0.0.1", caFile: caFile}).verify(state); KindOf(err) != Misconfigured {
		t.Errorf("the file is not read again: %v", err)
	}
}
