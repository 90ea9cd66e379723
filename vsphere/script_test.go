package vsphere

import (
	"context"
	"sync"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// script answers calls by a function of its own, which fills res or returns an error.
type script struct {
	mu     sync.Mutex
	calls  int
	answer func(call int, req, res soap.HasFault) error
}

func (s *script) RoundTrip(_ context.Context, req, res soap.HasFault) error {
	s.mu.Lock()
	s.calls++
	n := s.calls
	s.mu.Unlock()
	return s.answer(n, req, res)
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// scripted is a client of a vCenter that says what the script says.
func scripted(rt soap.RoundTripper) *vim25.Client {
	manager := types.ManagedObjectReference{Type: "SessionManager", Value: "SessionManager"}
	return &vim25.Client{RoundTripper: rt, ServiceContent: types.ServiceContent{
		PropertyCollector: types.ManagedObjectReference{Type: "PropertyCollector", Value: "propertyCollector"},
		SessionManager:    &manager,
	}}
}

// soapFault is an error as the soap package makes it of a fault.
func soapFault(f types.AnyType) error {
	fault := &soap.Fault{Code: "ServerFaultCode", String: "refused"}
	fault.Detail.Fault = f
	return soap.WrapSoapFault(fault)
}

func page(res soap.HasFault, token string, objects ...types.ObjectContent) {
	switch body := res.(type) {
	case *methods.RetrievePropertiesExBody:
		body.Res = &types.RetrievePropertiesExResponse{Returnval: &types.RetrieveResult{Token: token, Objects: objects}}
	case *methods.ContinueRetrievePropertiesExBody:
		body.Res = &types.ContinueRetrievePropertiesExResponse{Returnval: types.RetrieveResult{Token: token, Objects: objects}}
	case *methods.CancelRetrievePropertiesExBody:
		body.Res = &types.CancelRetrievePropertiesExResponse{}
	}
}

func vmContent(id string, properties ...types.DynamicProperty) types.ObjectContent {
	return types.ObjectContent{Obj: vmRef(Ref(id)), PropSet: properties}
}

func lacking(id, path string, f types.BaseMethodFault) types.ObjectContent {
	return types.ObjectContent{Obj: vmRef(Ref(id)), MissingSet: []types.MissingProperty{
		{Path: path, Fault: types.LocalizedMethodFault{Fault: f}},
	}}
}
