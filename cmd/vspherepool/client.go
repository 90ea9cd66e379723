package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	requestTimeout = time.Minute
	// maxAnswer is more than a pool of ten thousand machines takes.
	maxAnswer = 64 << 20
)

// clientOptions are the options of the commands that talk to a server.
type clientOptions struct {
	server, caFile, cert, key     string
	user, passwordFile, tokenFile string
	output                        string
}

func newClientOptions() *clientOptions {
	return &clientOptions{server: "https://127.0.0.1:8443", output: "table"}
}

func (o *clientOptions) table() []option {
	return []option{
		{flag: "server", value: &o.server, check: o.checkServer, help: "`URL` of the server"},
		{
			flag: "ca-file", value: &o.caFile, otherwise: "the system's, and a server of the same user on this machine",
			help: "PEM `file` of the authorities, or the certificate, to trust the server by",
		},
		{flag: "cert", value: &o.cert, check: o.checkPair, help: "client certificate, a PEM `file`"},
		{flag: "key", value: &o.key, help: "key of --cert, a PEM `file`"},
		{flag: "user", value: &o.user, help: "`name` to log in with; the password is in --password-file or in $" + passwordVariable},
		{flag: "password-file", value: &o.passwordFile, check: o.checkPassword, help: "`file` with the password of --user"},
		{
			flag: "token-file", value: &o.tokenFile, check: o.checkToken,
			help: "`file` with a token to log in with, instead of --user; $" + tokenVariable + " may have the token itself",
		},
		{
			flag: "output", shorthand: "o", value: &o.output, check: among(&o.output, "table", "wide", "json", "yaml", "name"),
			help: "`format`: table, wide, json, yaml or name",
		},
	}
}

func (o *clientOptions) checkServer() error {
	u, err := url.Parse(o.server)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return errors.New("must be a URL such as https://127.0.0.1:8443, without a user")
	}
	return nil
}

func (o *clientOptions) checkPair() error {
	if (o.cert == "") != (o.key == "") {
		return errors.New("and --key must be given together")
	}
	return nil
}

// client calls one server.
type client struct {
	base        string
	http        *http.Client
	credentials credentials
}

func newClient(o *clientOptions, getenv func(string) string) (*client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if config.RootCAs, err = trusted(o, getenv); err != nil {
		return nil, err
	}
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return nil, fmt.Errorf("load client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	credentials, err := o.credentials(getenv)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: config, Proxy: http.ProxyFromEnvironment}
	caller := &http.Client{Transport: transport, Timeout: requestTimeout, CheckRedirect: stay}
	return &client{strings.TrimRight(o.server, "/"), caller, credentials}, nil
}

// stay follows no redirects: the server makes none, and credentials are for nobody else.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// trusted are the authorities of --ca-file, or else the system's, and for a server on loopback the certificate that `serve` may have left.
func trusted(o *clientOptions, getenv func(string) string) (*x509.CertPool, error) {
	if o.caFile != "" {
		pem, err := os.ReadFile(o.caFile)
		if err != nil {
			return nil, fmt.Errorf("read authorities: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read authorities: %s has no certificate in PEM", o.caFile)
		}
		return pool, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if u, err := url.Parse(o.server); err == nil && loopbackHost(u.Hostname()) {
		trustLocal(pool, getenv, u.Port())
	}
	return pool, nil
}

func trustLocal(pool *x509.CertPool, getenv func(string) string, port string) {
	file, err := localCertificate(getenv, port)
	if err != nil {
		return
	}
	if pem, err := os.ReadFile(file); err == nil {
		pool.AppendCertsFromPEM(pem)
	}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// get reads a document, also as its JSON text.
func (c *client) get(ctx context.Context, path string, into any) ([]byte, error) {
	answer, err := c.call(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return nil, fmt.Errorf("read answer to GET %s: %w", path, err)
	}
	return answer, nil
}

func (c *client) post(ctx context.Context, path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("write request: %w", err)
	}
	_, err = c.call(ctx, http.MethodPost, path, text)
	return err
}

func (c *client) call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	c.credentials.put(request)
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, explain(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read answer to %s %s: %w", method, path, err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, refusal(answer.StatusCode, text)
	}
	return text, nil
}

// explain adds what to do about a server that cannot be talked to.
func explain(err error) error {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("%w: give the server's certificate or its authority with --ca-file", err)
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Errorf("%w: use a --server name that the certificate is for", err)
	}
	if alert, ok := errors.AsType[*net.OpError](err); ok && alert.Op == "remote error" { // TLS has it so
		return &failure{exitNotAllowed, fmt.Errorf("%w: the server may want a client certificate: give it with --cert and --key", err)}
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: is the server running? --server says where", err)
}

// refusal turns an answer other than 200 into an error with an exit code.
func refusal(status int, text []byte) error {
	var problem struct{ Message, Detail string }
	if json.Unmarshal(text, &problem) != nil || problem.Message == "" {
		problem.Message = "no further explanation"
	}
	err := fmt.Errorf("the server answered %s: %s", http.StatusText(status), problem.Message)
	if problem.Detail != "" {
		err = fmt.Errorf("%w (%s)", err, problem.Detail)
	}
	if status == http.StatusUnauthorized {
		err = fmt.Errorf("%w: log in with --user and --password-file, with --token-file, or with --cert and --key", err)
	}
	return &failure{codeOf(status), err}
}

func codeOf(status int) int {
	switch status {
	case http.StatusNotFound:
		return exitNotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return exitNotAllowed
	case http.StatusBadRequest, http.StatusConflict:
		return exitRefused
	case http.StatusBadGateway:
		return exitUnreachable
	}
	return exitError
}
