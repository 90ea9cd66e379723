package main

import (
	"context"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTrustLocal says that a client command trusts a server on loopback by the certificate that it has left for the same user.
func TestTrustLocal(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"started": true}`)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	p, _, stderr := sandbox(t, nil)
	if code := run(t.Context(), p, "status", "--server", server.URL); code != exitError {
		t.Errorf("exit code %d with an unknown certificate: %s", code, stderr)
	}

	certificate := filepath.Join(t.TempDir(), "cert.pem")
	writeCertificate(t, certificate, server)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	published, err := copyCertificate(certificate, p.getenv, u.Port())
	if err != nil {
		t.Fatal(err)
	}
	if code := run(t.Context(), p, "status", "--server", server.URL); code != 0 {
		t.Errorf("exit code %d with a published certificate: %s", code, stderr)
	}
	if err := removeIfThere(published); err != nil {
		t.Error(err)
	}
	if err := removeIfThere(published); err != nil {
		t.Error(err)
	}
}

// writeCertificate has clients trust the server.
func writeCertificate(t *testing.T, file string, server *httptest.Server) {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRefusals(t *testing.T) {
	for status, want := range map[int]int{
		400: exitRefused, 401: exitNotAllowed, 403: exitNotAllowed, 404: exitNotFound, 500: exitError, 502: exitUnreachable,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"message": "no", "detail": "because"}`)
		}))
		c := client{base: server.URL, http: server.Client()}
		err := c.post(context.Background(), "/pool/size", nil)
		said := "the server answered " + http.StatusText(status) + ": no (because)"
		if err == nil || exitCode(err) != want || !strings.HasPrefix(err.Error(), said) {
			t.Errorf("%d: exit code %d, %v", status, exitCode(err), err)
		}
		c.close()
		server.Close()
	}
}
