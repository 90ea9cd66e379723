package vsphere

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

func (ci CloudInit) used() bool {
	return ci.UserData != "" || ci.UserDataFile != "" || ci.Hostname != "" || len(ci.MetaData) > 0
}

// userData is the encoded user data, the same for every machine; empty without any.
func (ci CloudInit) userData() (string, error) {
	data, err := textOrFile(ci.UserData, ci.UserDataFile, "userDataFile")
	if err != nil || len(data) == 0 {
		return "", err
	}
	return encodeGuestinfo("cloudInit.userData", data)
}

// metaData is one machine's encoded metadata. The instance id makes cloud-init run once per machine, not once per image, so it cannot
// be chosen: one that is the same for all machines would keep all but the first boot of the image from being configured.
func (ci CloudInit) metaData(seen naming) (string, error) {
	hostname, err := seen.hostname(ci.Hostname)
	if err != nil {
		return "", err
	}
	all := map[string]any{"local-hostname": hostname}
	own, where, err := seen.fill(ci.MetaData)
	if err != nil {
		return "", misconfigured("cloudInit.metaData"+where, "it is no text that can be filled in",
			"use {{.Name}}, {{.Pool}}, {{.Short}} and {{.ID}}")
	}
	maps.Copy(all, own.(map[string]any))
	all["instance-id"] = seen.ID
	b, err := json.Marshal(all) // cloud-init reads YAML, of which JSON is a part
	if err != nil {
		return "", &Error{Kind: Misconfigured, Object: "cloudInit.metaData", Err: err}
	}
	return encodeGuestinfo("cloudInit.metaData", b)
}

// fill evaluates the texts of a tree as templates, up to the first that is none: where says which, as in ".names[1]".
func (n naming) fill(value any) (filled any, where string, err error) {
	switch v := value.(type) {
	case string:
		filled, err = n.apply(v)
		return filled, "", err
	case map[string]any:
		made := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if made[key], where, err = n.fill(v[key]); err != nil {
				return nil, "." + key + where, err
			}
		}
		return made, "", nil
	case []any:
		made := make([]any, len(v))
		for i, element := range v {
			if made[i], where, err = n.fill(element); err != nil {
				return nil, fmt.Sprintf("[%d]%s", i, where), err
			}
		}
		return made, "", nil
	default:
		return value, "", nil
	}
}

// guestinfo are the keys of cloud-init's VMware datasource.
func (ci CloudInit) guestinfo(seen naming, userData string) (map[string]string, error) {
	keys := map[string]string{}
	if !ci.used() {
		return keys, nil
	}
	meta, err := ci.metaData(seen)
	if err != nil {
		return nil, err
	}
	keys["guestinfo.metadata"], keys["guestinfo.metadata.encoding"] = meta, guestinfoEncoding
	if userData != "" {
		keys["guestinfo.userdata"], keys["guestinfo.userdata.encoding"] = userData, guestinfoEncoding
	}
	return keys, nil
}

// Check tries the templates of host name and metadata on a machine, whether host names differ, and the size of what they make. Kind:
// Misconfigured.
func (ci CloudInit) Check(pool, name string, id MachineID) error {
	seen := newNaming(name, pool, id)
	if _, err := ci.metaData(seen); err != nil {
		return wrap("make", "metadata", err)
	}
	another := naming{Name: "another", Pool: pool, Short: "another", ID: "another"}
	one, _ := seen.apply(ci.Hostname) // it worked just now
	if other, err := another.apply(ci.Hostname); err == nil && one == other && one != "" {
		return wrap("make", "metadata", misconfigured("cloudInit.hostname", "it gives all machines one host name",
			"use {{.Name}}, {{.Short}} or {{.ID}} in it"))
	}
	return nil
}

// check finds what vCenter need not be asked for.
func (ci CloudInit) check() error {
	if _, pinned := ci.MetaData["instance-id"]; pinned {
		return misconfigured("cloudInit.metaData", "instance-id is the machine's id and cannot be set", "leave instance-id out")
	}
	return nil
}
