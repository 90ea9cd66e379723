package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// Secrets themselves are taken from the environment only: everybody on the machine can see the flags of a process.
const (
	passwordVariable = "VSPHEREPOOL_PASSWORD"
	tokenVariable    = "VSPHEREPOOL_TOKEN"
)

// credentials are what each request says of itself; at most one of user and token is there.
type credentials struct{ user, password, token string }

func (o *clientOptions) checkPassword() error {
	if o.passwordFile != "" && o.user == "" {
		return errors.New("needs --user")
	}
	return nil
}

func (o *clientOptions) checkToken() error {
	if o.tokenFile != "" && o.user != "" {
		return errors.New("and --user cannot be given together")
	}
	return nil
}

func (o *clientOptions) credentials(getenv func(string) string) (credentials, error) {
	switch {
	case o.tokenFile != "":
		token, err := readSecret(o.tokenFile)
		return credentials{token: token}, err
	case o.user == "":
		return credentials{token: getenv(tokenVariable)}, nil
	case o.passwordFile != "":
		password, err := readSecret(o.passwordFile)
		return credentials{user: o.user, password: password}, err
	}
	password := getenv(passwordVariable)
	if password == "" {
		return credentials{}, usage("--user needs a password: name its file with --password-file, or set %s", passwordVariable)
	}
	return credentials{user: o.user, password: password}, nil
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

func (c credentials) put(request *http.Request) {
	switch {
	case c.user != "":
		request.SetBasicAuth(c.user, c.password)
	case c.token != "":
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
}
