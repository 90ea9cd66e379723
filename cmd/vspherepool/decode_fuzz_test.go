package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
)

// FuzzAddress takes anything for an address to listen on: what counts as loopback is not reachable from elsewhere.
func FuzzAddress(f *testing.F) {
	for _, text := range []string{
		"127.0.0.1:8443", ":0", "localhost:1", "[::1]:1", "[::]:1", "0.0.0.0:1", "[::ffff:127.0.0.1]:1", "127.1:1", "LOCALHOST:1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		local, err := loopback(text)
		if err != nil && local {
			t.Errorf("%q: %v", text, err)
		}
		address := onLoopback(text)
		if local && !strings.HasPrefix(address, "localhost:") && !strings.HasPrefix(address, "127.") && !strings.HasPrefix(address, "[") {
			t.Errorf("%q is loopback as %q", text, address)
		}
		o := newServeOptions()
		o.listen = text
		if o.checkListen() == nil && !local {
			t.Errorf("%q is accepted without authentication", text)
		}
		client := clientOptions{server: text}
		if client.checkServer() == nil && !strings.HasPrefix(strings.ToLower(text), "https://") {
			t.Errorf("%q is a server", text)
		}
	})
}

// FuzzMachineName names a machine in any way: it is found by id, name or the beginning of its id, or not at all.
func FuzzMachineName(f *testing.F) {
	f.Add("d522", "d522cd39-0000", "web-1", "15e77b0d", "web-2")
	f.Add("web-1", "a", "web-1", "web-1", "x")
	f.Add("", "", "", "a", "")
	f.Fuzz(func(t *testing.T, asked, id1, name1, id2, name2 string) {
		pool := poolDocument{Machines: []machineDocument{
			{ID: id1, Metadata: machineMetadata{Name: name1}}, {ID: id2, Metadata: machineMetadata{Name: name2}},
		}}
		m, err := pool.machine(asked)
		if err != nil {
			if _, coded := errors.AsType[*failure](err); !coded {
				t.Error(err)
			}
			return
		}
		if !strings.HasPrefix(m.ID, strings.ToLower(asked)) && m.Metadata.Name != asked {
			t.Errorf("%q is %+v", asked, m)
		}
	})
}

// FuzzOptions gives any text to every option, on the command line and in the environment: it is taken or refused as wrong usage.
func FuzzOptions(f *testing.F) {
	for _, text := range []string{"", "1h", "-1ns", "999999999h", "true", "https://h", "127.0.0.1:0", "json", "\x00", "a\nb"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, fromEnvironment := range []bool{false, true} {
			table := append(newServeOptions().table(), newClientOptions().table()[:1]...)
			for _, o := range append(table, newDoctorOptions().table()[1:]...) {
				if err := settled(o, text, fromEnvironment); err != nil && exitCode(err) != exitUsage {
					t.Errorf("--%s=%q: %v", o.flag, text, err)
				}
			}
		}
	})
}

func settled(o option, text string, fromEnvironment bool) error {
	cmd := withOptions(newVersion(process{}), process{getenv: func(key string) string {
		if fromEnvironment && key == o.variable() {
			return text
		}
		return ""
	}}, []option{o})
	if !fromEnvironment {
		if err := cmd.Flags().Set(o.flag, text); err != nil {
			return err
		}
	}
	return cmd.PreRunE(cmd, nil)
}

// FuzzAnswer has a server answer anything: whatever it is, it is printed without a character that could command the terminal.
func FuzzAnswer(f *testing.F) {
	f.Add(500, []byte(`{"message":"m","detail":"d"}`))
	f.Add(404, []byte(`{"message":"\u001b]0;title\u0007"}`))
	f.Add(200, []byte(`{"machines":[{"id":"a","metadata":{"name":"\u001b[2J\ttab\nline\u009b"},"launchTime":"2026-11-22T13:50:00Z"}]}`))
	f.Fuzz(func(t *testing.T, status int, answer []byte) {
		err := refusal(status, answer)
		var shown bytes.Buffer
		shown.WriteString(printable(err.Error()))
		var pool poolDocument
		if json.Unmarshal(answer, &pool) == nil {
			show(t, &shown, pool)
		}
		(&lines{to: &shown}).say(string(answer))
		if i := strings.IndexFunc(shown.String(), func(r rune) bool { return unicode.IsControl(r) && r != '\n' }); i >= 0 {
			t.Errorf("%q is shown as %q", answer, &shown)
		}
	})
}

func show(t *testing.T, to *bytes.Buffer, pool poolDocument) {
	t.Helper()
	var l listing
	for _, m := range pool.Machines {
		l.rows, l.names = append(l.rows, []string{m.ID, m.Metadata.Name, m.Metadata.Error}), append(l.names, m.label())
	}
	for _, format := range []string{"table", "wide", "name"} {
		if err := (printer{to, format}).print(l); err != nil {
			t.Error(err)
		}
	}
}
