package simulator

import (
	"context"
	"reflect"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// frugal are the reads that pollers make all the time, and that change nothing of what they are asked.
var frugal = map[string]bool{"RetrievePropertiesEx": true, "ReadNextEvents": true}

// Direct is how to call the simulator in process, as [Simulator.Client] does, but for reads without the copy that vcsim makes of each
// request by writing it down as XML and reading it again, which costs more than the read itself.
func (s *Simulator) Direct() soap.RoundTripper { return direct{s} }

type direct struct{ *Simulator }

// RoundTrip implements [soap.RoundTripper].
func (d direct) RoundTrip(ctx context.Context, req, res soap.HasFault) error {
	body := reflect.ValueOf(req).Elem().FieldByName("Req")
	name := body.Type().Elem().Name()
	if !frugal[name] {
		return d.model.Service.RoundTrip(ctx, req, res)
	}
	this, _ := reflect.TypeAssert[types.ManagedObjectReference](body.Elem().FieldByName("This"))
	call := &diversion{simulator.Method{Name: name, This: this, Body: body.Interface()}}
	answer := d.gate.Call(&simulator.Context{Context: ctx, Map: d.model.Map(), Session: d.gate.local}, call)
	if f := answer.Fault(); f != nil {
		return soap.WrapSoapFault(f)
	}
	reflect.ValueOf(res).Elem().FieldByName("Res").Set(reflect.ValueOf(answer).Elem().FieldByName("Res"))
	return nil
}
