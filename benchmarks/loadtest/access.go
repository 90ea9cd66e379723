package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/valyala/fasthttp"

	"vspherepool/benchmarks/load"
)

// target is the server with what it takes to talk to it.
func (o *options) target() (load.Target, error) {
	t := load.Target{URL: o.url, TLS: &tls.Config{InsecureSkipVerify: o.insecure}, Timeout: o.timeout, Sizes: o.sizes}
	if o.ca != "" {
		pem, err := os.ReadFile(o.ca)
		if err != nil {
			return t, fmt.Errorf("read authorities: %w", err)
		}
		t.TLS.RootCAs = x509.NewCertPool()
		if !t.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return t, fmt.Errorf("read authorities: %s has no certificate in PEM", o.ca)
		}
	}
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return t, fmt.Errorf("load client certificate: %w", err)
		}
		t.TLS.Certificates = []tls.Certificate{pair}
	}
	var err error
	t.Authorization, err = o.authorization()
	return t, err
}

func (o *options) authorization() (string, error) {
	switch {
	case o.tokenFile != "":
		token, err := readSecret(o.tokenFile)
		return "Bearer " + token, err
	case o.user != "":
		password, err := readSecret(o.passwordFile)
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(o.user+":"+password)), err
	default:
		return "", nil
	}
}

// readSecret reads a file of one line.
func readSecret(name string) (string, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("read credentials: %w", err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" || strings.ContainsAny(secret, "\r\n") {
		return "", fmt.Errorf("read credentials: %s must have exactly one line", name)
	}
	return secret, nil
}

// advise says what to do about an error, where that can be known.
func advise(err error) string {
	text := err.Error()
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return text + "; trust the server with -ca FILE (vspherepool's log names the file of its certificate when it starts), or with -insecure"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return text + "; the server does not speak HTTPS at this port"
	}
	status, _ := errors.AsType[load.StatusError](err)
	switch status {
	case 401:
		return text + "; log in with -user and -password-file, with -token-file, or with -cert and -key"
	case 403:
		return text + "; the user's role does not include this"
	case 404:
		return text + "; if the server's API has a prefix, add it to the URL"
	}
	op, _ := errors.AsType[*net.OpError](err)
	switch {
	case op != nil && op.Op == "dial":
		return text + "; is the server running, and is this its port?"
	case op != nil && op.Op == "remote error", errors.Is(err, fasthttp.ErrConnectionClosed):
		// With TLS 1.3, a client learns that its certificate is missing when it has sent its request.
		return "the server refused the connection; it may want a client certificate: give -cert and -key"
	}
	return text
}
