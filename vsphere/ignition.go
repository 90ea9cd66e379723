package vsphere

import "encoding/json"

func (i Ignition) used() bool { return i.Config != "" || i.ConfigFile != "" }

// data is the encoded configuration, the same for every machine; empty without any.
func (i Ignition) data() (string, error) {
	if !i.used() {
		return "", nil
	}
	plain, err := textOrFile(i.Config, i.ConfigFile, "ignition.configFile")
	if err != nil {
		return "", err
	}
	if !json.Valid(plain) {
		return "", misconfigured("ignition.config", "it is not valid JSON", "translate Butane documents with butane --strict first")
	}
	return encodeGuestinfo("ignition.config", plain)
}

// guestinfo are the keys that Ignition's VMware provider reads.
func (i Ignition) guestinfo(data string) map[string]string {
	if data == "" {
		return nil
	}
	return map[string]string{"guestinfo.ignition.config.data": data, "guestinfo.ignition.config.data.encoding": guestinfoEncoding}
}
