package vsphere

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"
)

func decodeAnswer(text []byte, body any) error {
	decoder := xml.NewDecoder(bytes.NewReader(text))
	decoder.TypeFunc = types.TypeFunc()
	return decoder.Decode(&soap.Envelope{Body: body})
}

const eventAnswer = `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" ` +
	`xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">` +
	`<soapenv:Body><ReadNextEventsResponse xmlns="urn:vim25">%s</ReadNextEventsResponse></soapenv:Body></soapenv:Envelope>`

// FuzzEvents has vCenter tell of anything.
func FuzzEvents(f *testing.F) {
	for _, events := range []string{
		`<returnval xsi:type="VmPoweredOnEvent"><key>1</key><chainId>1</chainId><createdTime>2026-11-22T13:50:00Z</createdTime>` +
			`<userName/><vm><name>web-1</name><vm type="VirtualMachine">vm-7</vm></vm><template>false</template></returnval>`,
		`<returnval xsi:type="CustomizationFailed"><key>2</key><createdTime>9999-12-31T23:59:59Z</createdTime>` +
			`<vm><name>web-1</name><vm type="VirtualMachine">vm-7</vm></vm></returnval><returnval xsi:type="CustomizationStartedEvent"/>`,
		`<returnval/>`, `<returnval xsi:type="NewerEvent"><vm/></returnval>`, `<returnval xsi:nil="true"/>`, ``,
	} {
		f.Add([]byte(strings.Replace(eventAnswer, "%s", events, 1)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		frugal(t, func() {
			var body methods.ReadNextEventsBody
			if decodeAnswer(text, &body) != nil || body.Res == nil {
				return
			}
			feed, at := newFeed(nil), &cursor{last: time.Unix(0, 0)}
			for _, e := range body.Res.Returnval {
				before := at.last
				ref := feed.learn(e, at)
				if at.last.Before(before) {
					t.Errorf("%s: time went back", text)
				}
				if outcome := feed.outcomes.of(ref); outcome != "" && ref == "" {
					t.Errorf("%s: the customization of no VM is %s", text, outcome)
				}
			}
		})
	})
}

// FuzzFaults has a call fail of anything: it has a kind, and a text that is no longer than what was sent.
func FuzzFaults(f *testing.F) {
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		frugal(t, func() {
			var body methods.CloneVM_TaskBody
			if decodeAnswer(text, &body) != nil || body.Fault() == nil {
				return
			}
			err := wrap("clone vm", "web-1", soap.WrapSoapFault(body.Fault()))
			said := err.Error()
			if KindOf(err).String() == "" || !strings.HasPrefix(said, "clone vm web-1") || len(said) > 20*len(text)+1000 {
				t.Errorf("%s: %s", text, said)
			}
		})
	})
}

// FuzzEndpoint takes any URL and thumbprint: what is accepted has a host, and no password.
func FuzzEndpoint(f *testing.F) {
	f.Add("https://vcenter.example/sdk", strings.Repeat("AB:", 19)+"CD")
	f.Add("https://u:p@h/sdk", "zz")
	f.Add("http://[::1%25eth0]:8989/%zz?x#y", strings.Repeat("0", 64))
	f.Add("vcenter.example", "")
	f.Fuzz(func(t *testing.T, address, print string) {
		frugal(t, func() {
			client, err := endpoint(Connection{URL: address, Thumbprints: []string{print}}, "test")
			if err != nil {
				if KindOf(err) != Misconfigured {
					t.Errorf("%q, %q: %v", address, print, err)
				}
				return
			}
			defer client.CloseIdleConnections()
			_, password := client.URL().User.Password()
			if u := client.URL(); u.Host == "" || password && u.User.String() != ":" || !slices.Contains([]int{40, 64}, len(plainPrint(print))) {
				t.Errorf("%q, %q are accepted as %s", address, print, u)
			}
		})
	})
}

// FuzzReference keeps names from being taken for patterns or for types that were not asked for, and cuts datastore paths anywhere.
func FuzzReference(f *testing.F) {
	for _, text := range []string{
		"/DC0/vm/a*[b]?\\", "VirtualMachine:vm-7", "dvportgroup-1", "[ds] a/b.vmx", "][", "8.0.3.0", "99999999999999999999.1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		kinds := []string{"Network", "DistributedVirtualPortgroup", "OpaqueNetwork"}
		if kind := kindFromID(text, kinds); !slices.Contains(kinds, kind) {
			t.Errorf("%q is a %s", text, kind)
		}
		if ok, err := filepath.Match(literal(text), text); !ok || err != nil {
			t.Errorf("%q is not found by %q: %v", text, literal(text), err)
		}
		if datastore, path := datastorePath(text); !strings.Contains(text, datastore) || !strings.Contains(text, path) {
			t.Errorf("%q is %q in %q", text, path, datastore)
		}
		if older(text, text) || older(text, "8.0") && older("8.0", text) {
			t.Errorf("%q is older than itself", text)
		}
		if agreed("8.0.3.0", text) != "8.0.3.0" && url.QueryEscape(text) != text {
			t.Errorf("%q is taken for a version", text)
		}
	})
}
