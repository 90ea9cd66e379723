package actors

import "vspherepool/vsphere"

// nameOf makes a VM's name from the name template. attempt counts the names that were taken: each gives another short form. No name is
// ever cut: one that is too long is found when the configuration is checked.
func nameOf(nameTemplate, pool string, id vsphere.MachineID, attempt int) (string, error) {
	return vsphere.VMName(nameTemplate, pool, id, attempt)
}
