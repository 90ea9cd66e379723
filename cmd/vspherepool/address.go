package main

import (
	"errors"
	"net"
	"net/url"
)

const localhost = "127.0.0.1"

// onLoopback fills in the host of an address without one.
func onLoopback(address string) string {
	if host, port, err := net.SplitHostPort(address); err == nil && host == "" {
		return net.JoinHostPort(localhost, port)
	}
	return address
}

// loopback reports whether only this machine can reach an address to listen on.
func loopback(address string) (bool, error) {
	host, _, err := net.SplitHostPort(onLoopback(address))
	if err != nil {
		return false, errors.New("must be an address such as 127.0.0.1:8443")
	}
	return loopbackHost(host), nil
}

func loopbackHost(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// baseURL is where a client on this machine reaches a listener.
func baseURL(bound net.Addr) string {
	host, port, err := net.SplitHostPort(bound.String())
	if err != nil {
		return "https://" + bound.String()
	}
	if net.ParseIP(host).IsUnspecified() {
		host = localhost
	}
	u := url.URL{Scheme: "https", Host: net.JoinHostPort(host, port)}
	return u.String()
}
