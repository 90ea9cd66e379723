package vsphere

import "github.com/vmware/govmomi/vim25/types"

// EachFault gives the rows of the fault table's test to the tests that use a simulator.
func EachFault(yield func(trouble string, f types.BaseMethodFault, kind Kind)) {
	for _, row := range faultRows {
		yield(row.trouble, row.fault, row.kind)
	}
}
