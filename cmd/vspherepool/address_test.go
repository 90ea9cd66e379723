package main

import (
	"net"
	"testing"
)

func TestLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:8443": true, "localhost:0": true, "[::1]:1": true, "127.9.9.9:1": true, ":8443": true,
		"0.0.0.0:8443": false, "[::]:8443": false, "10.0.0.1:1": false, "example.org:1": false,
	} {
		if got, err := loopback(address); got != want || err != nil {
			t.Errorf("%s: %t, %v", address, got, err)
		}
	}
	for _, address := range []string{"", "8443", "127.0.0.1", "::1:8443"} {
		if _, err := loopback(address); err == nil {
			t.Errorf("%q is taken for an address", address)
		}
	}
}

func TestBaseURL(t *testing.T) {
	for want, bound := range map[string]*net.TCPAddr{
		"https://127.0.0.1:8443": {IP: net.IPv4zero, Port: 8443},
		"https://127.0.0.1:8444": {IP: net.IPv6unspecified, Port: 8444},
		"https://10.0.0.1:1":     {IP: net.IPv4(10, 0, 0, 1), Port: 1},
		"https://[::1]:2":        {IP: net.IPv6loopback, Port: 2},
	} {
		if got := baseURL(bound); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
