package vsphere

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
)

// guestinfoLimit is the longest value that VMware Tools hand to a guest.
const guestinfoLimit = 64 << 10

func (ci CloudInit) used() bool {
	return ci.UserData != "" || ci.UserDataFile != "" || len(ci.MetaData) > 0
}

// userData is the encoded user data, the same for every machine; empty without any.
func (ci CloudInit) userData() (string, error) {
	data := ci.UserData
	if ci.UserDataFile != "" {
		b, err := os.ReadFile(ci.UserDataFile)
		if err != nil {
			return "", &Error{Kind: Misconfigured, Object: ci.UserDataFile, Err: err, Hint: "userDataFile must be a readable file"}
		}
		data = string(b)
	}
	if data == "" {
		return "", nil
	}
	return encodeGuestinfo("cloudInit.userData", []byte(data))
}

// metaData is one machine's encoded metadata. The instance id makes cloud-init run once per machine, not once per image.
func (ci CloudInit) metaData(order CloneOrder) (string, error) {
	all := map[string]any{"instance-id": string(order.ID), "local-hostname": order.Name}
	maps.Copy(all, ci.MetaData)
	b, err := json.Marshal(all) // cloud-init reads YAML, of which JSON is a part
	if err != nil {
		return "", &Error{Kind: Misconfigured, Object: "cloudInit.metaData", Err: err}
	}
	return encodeGuestinfo("cloudInit.metaData", b)
}

// guestinfo are the keys of cloud-init's VMware datasource.
func (ci CloudInit) guestinfo(order CloneOrder, userData string) (map[string]string, error) {
	keys := map[string]string{}
	if !ci.used() {
		return keys, nil
	}
	meta, err := ci.metaData(order)
	if err != nil {
		return nil, err
	}
	keys["guestinfo.metadata"], keys["guestinfo.metadata.encoding"] = meta, "gzip+base64"
	if userData != "" {
		keys["guestinfo.userdata"], keys["guestinfo.userdata.encoding"] = userData, "gzip+base64"
	}
	return keys, nil
}

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
