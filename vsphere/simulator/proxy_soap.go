package simulator

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"reflect"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"
)

// call is what a proxy knows of a SOAP request.
type call struct {
	method string
	// begins is the type of the first object that a read names, objects how many it names; listing says that it goes on from there.
	begins  string
	objects int
	listing bool
}

func (c call) label() string {
	switch {
	case c.begins == "":
		return c.method
	case c.objects > 1:
		return c.method + " " + c.begins + "s"
	default:
		return c.method + " " + c.begins
	}
}

func (c call) reads() bool {
	return c.method == "RetrievePropertiesEx" || c.method == "ContinueRetrievePropertiesEx"
}

// parseCall reads no more of a request than it needs; of what is no SOAP it knows nothing.
func parseCall(body []byte) call {
	var c call
	d := xml.NewDecoder(bytes.NewReader(body))
	inBody := false
	for {
		token, err := d.Token()
		if err != nil {
			return c
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch {
		case !inBody:
			inBody = start.Name.Local == "Body"
		case c.method == "":
			c.method = start.Name.Local
			c.listing = c.method == "ContinueRetrievePropertiesEx"
		case c.reads():
			c.note(start)
		}
	}
}

func (c *call) note(start xml.StartElement) {
	switch start.Name.Local {
	case "obj":
		c.objects++
		for _, a := range start.Attr {
			if a.Name.Local == "type" && c.begins == "" {
				c.begins = a.Value
			}
		}
	case "selectSet":
		c.listing = true
	}
}

const (
	envelopeHead = xml.Header + `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" ` +
		`xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>`
	envelopeTail = `</soapenv:Body></soapenv:Envelope>`
)

// faultText is a fault as vCenter answers with it.
func faultText(f types.BaseMethodFault) []byte {
	name := reflect.Indirect(reflect.ValueOf(f)).Type().Name()
	var b bytes.Buffer
	b.WriteString(envelopeHead + `<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>` + name + `</faultstring><detail>`)
	e := xml.NewEncoder(&b)
	_ = e.EncodeElement(f, xml.StartElement{Name: xml.Name{Local: name + "Fault"}, Attr: []xml.Attr{
		{Name: xml.Name{Local: "xmlns"}, Value: "urn:" + vim25.Namespace}, {Name: xml.Name{Local: "xsi:type"}, Value: name},
	}})
	b.WriteString(`</detail></soapenv:Fault>` + envelopeTail)
	return b.Bytes()
}

// rewritten is the property collector's answer after Rewrite; everything else, faults included, stays as it is.
func (t Trouble) rewritten(c call, body []byte) []byte {
	if t.Rewrite == nil || !c.reads() {
		return body
	}
	var envelope struct {
		Body struct {
			First *types.RetrievePropertiesExResponse         `xml:"urn:vim25 RetrievePropertiesExResponse"`
			Next  *types.ContinueRetrievePropertiesExResponse `xml:"urn:vim25 ContinueRetrievePropertiesExResponse"`
		}
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	d.TypeFunc = types.TypeFunc()
	if err := d.Decode(&envelope); err != nil {
		panic(fmt.Sprintf("answer to %s: %v", c.label(), err))
	}
	switch first, next := envelope.Body.First, envelope.Body.Next; {
	case first != nil && first.Returnval != nil:
		t.Rewrite(c.listing, first.Returnval)
		return envelopeText("RetrievePropertiesExResponse", first)
	case next != nil:
		t.Rewrite(c.listing, &next.Returnval)
		return envelopeText("ContinueRetrievePropertiesExResponse", next)
	}
	return body
}

func envelopeText(name string, v any) []byte {
	var b bytes.Buffer
	b.WriteString(envelopeHead)
	e := xml.NewEncoder(&b)
	_ = e.EncodeElement(v, xml.StartElement{Name: xml.Name{Local: name}, Attr: []xml.Attr{
		{Name: xml.Name{Local: "xmlns"}, Value: "urn:" + vim25.Namespace},
	}})
	b.WriteString(envelopeTail)
	return b.Bytes()
}

// Some chooses VMs by their references: the same ones each time, in about the given share.
func Some(seed uint64, share float64) func(vm string) bool {
	return func(vm string) bool {
		h := fnv.New64a()
		_, _ = fmt.Fprintf(h, "%d %s", seed, vm)
		return float64(h.Sum64()%1000) < share*1000
	}
}

// Omit is a [Trouble.Rewrite] that leaves the chosen VMs out of listings, and with everywhere out of reads by reference too.
func Omit(which func(vm string) bool, everywhere bool) func(bool, *types.RetrieveResult) {
	return func(listing bool, result *types.RetrieveResult) {
		var kept []types.ObjectContent
		for _, o := range result.Objects {
			if o.Obj.Type != "VirtualMachine" || !which(o.Obj.Value) || !listing && !everywhere {
				kept = append(kept, o)
			}
		}
		result.Objects = kept
	}
}

// Empty is a [Trouble.Rewrite] that leaves everything out of listings, the folder that they begin at included.
func Empty(listing bool, result *types.RetrieveResult) {
	if listing {
		*result = types.RetrieveResult{}
	}
}

// Truncate is a [Trouble.Rewrite] that ends listings in the middle: without a sign, or with the token of a page that cannot be had.
func Truncate(token string) func(bool, *types.RetrieveResult) {
	return func(listing bool, result *types.RetrieveResult) {
		if listing && len(result.Objects) > 1 {
			result.Objects, result.Token = result.Objects[:(len(result.Objects)+1)/2], token
		}
	}
}

// Lose is a [Trouble.Rewrite] that shows the chosen VMs as vCenter shows those of a host or a datastore that it has lost: in the given
// connection state, an inaccessible one without its configuration too.
func Lose(state types.VirtualMachineConnectionState, which func(vm string) bool) func(bool, *types.RetrieveResult) {
	return func(_ bool, result *types.RetrieveResult) {
		for i := range result.Objects {
			if o := &result.Objects[i]; o.Obj.Type == "VirtualMachine" && which(o.Obj.Value) {
				o.PropSet = lost(o.PropSet, state)
			}
		}
	}
}

func lost(properties []types.DynamicProperty, state types.VirtualMachineConnectionState) []types.DynamicProperty {
	var kept []types.DynamicProperty
	for _, p := range properties {
		switch {
		case p.Name == "runtime.connectionState":
			p.Val = state
		case state != types.VirtualMachineConnectionStateDisconnected && len(p.Name) > 6 && p.Name[:6] == "config":
			continue
		}
		kept = append(kept, p)
	}
	return kept
}

// Hide is a [Trouble.Rewrite] that answers for each VM with the fault in the place of its properties, as vCenter does for objects that
// the account may not read.
func Hide(f types.BaseMethodFault) func(bool, *types.RetrieveResult) {
	return func(_ bool, result *types.RetrieveResult) {
		for i := range result.Objects {
			o := &result.Objects[i]
			if o.Obj.Type != "VirtualMachine" {
				continue
			}
			for _, p := range o.PropSet {
				o.MissingSet = append(o.MissingSet, types.MissingProperty{Path: p.Name, Fault: types.LocalizedMethodFault{Fault: f}})
			}
			o.PropSet = nil
		}
	}
}
