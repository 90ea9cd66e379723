package vsphere

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	// guestinfoEncoding is what cloud-init and Ignition call the encoding below.
	guestinfoEncoding = "gzip+base64"
	// guestinfoLimit is the longest value that VMware Tools hand to a guest, encoded (guest_msg_def.h: 64 KiB a message).
	guestinfoLimit = 64 << 10
	// extraConfigLimit bounds all keys and values of a machine together. A VMX file ends at about 1 MiB by default (vm-operator #148),
	// and vCenter writes lines of its own into it.
	extraConfigLimit = 512 << 10
)

// encodeGuestinfo gzips and base64-encodes once, whatever the data looks like: data that happens to be base64 is data like any other.
func encodeGuestinfo(name string, plain []byte) (string, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(plain) // a buffer takes everything
	_ = z.Close()
	encoded := base64.StdEncoding.EncodeToString(b.Bytes())
	if len(encoded) > guestinfoLimit {
		return "", misconfigured(name, fmt.Sprintf("it is %d bytes long once encoded", len(encoded)),
			fmt.Sprintf("shorten it to %d bytes, or have it fetch the rest", guestinfoLimit))
	}
	return encoded, nil
}

// textOrFile is the text, or, if a file is named, what is in that.
func textOrFile(text, file, key string) ([]byte, error) {
	if file == "" {
		return []byte(text), nil
	}
	b, err := readFile(file)
	if err != nil {
		return nil, &Error{Kind: Misconfigured, Object: file, Err: err, Hint: key + " must be a readable file"}
	}
	return b, nil
}

// fitting refuses extraConfig that a guest could not read or a VMX file not hold: vCenter would take it and the VM fail later.
func fitting(values map[string]string) error {
	total := 0
	for _, key := range slices.Sorted(maps.Keys(values)) {
		total += len(key) + len(values[key])
		if strings.HasPrefix(key, "guestinfo.") && len(values[key]) > guestinfoLimit {
			return misconfigured(key, fmt.Sprintf("its value is %d bytes long", len(values[key])),
				fmt.Sprintf("shorten it to %d bytes, the most that VMware Tools hand to a guest", guestinfoLimit))
		}
	}
	if total > extraConfigLimit {
		return misconfigured("extraConfig", fmt.Sprintf("all keys and values of a machine come to %d bytes", total),
			fmt.Sprintf("shorten extraConfig, user data and metadata to %d bytes in all", extraConfigLimit))
	}
	return nil
}

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
