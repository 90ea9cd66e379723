package vsphere

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/vmware/govmomi/vim25/types"
)

// addresses are a guest's usable addresses in order of preference: those of the VM's own connected cards, by card, IPv4 before
// IPv6. VMware Tools also report the interfaces of containers, bridges and tunnels; those belong to no card (deviceConfigId < 0).
// The guest's primary address, which Tools may pick from any of them, counts only if no card shows a usable one.
func addresses(nics []types.GuestNicInfo, primary string) []string {
	own := slices.DeleteFunc(slices.Clone(nics), func(n types.GuestNicInfo) bool {
		return n.DeviceConfigId <= 0 || !n.Connected
	})
	slices.SortStableFunc(own, func(a, b types.GuestNicInfo) int { return cmp.Compare(a.DeviceConfigId, b.DeviceConfigId) })
	var ips []string
	for _, nic := range own {
		ips = append(ips, usable(nic.IpAddress)...)
	}
	if len(ips) == 0 {
		ips = usable([]string{primary})
	}
	return distinct(ips)
}

// usable parses one card's addresses and drops those that nobody else can reach, IPv4 first.
func usable(texts []string) []string {
	var v4, v6 []string
	for _, s := range texts {
		ip, err := netip.ParseAddr(s)
		if err != nil || !reachable(ip) {
			continue
		}
		if ip = ip.Unmap().WithZone(""); ip.Is4() {
			v4 = append(v4, ip.String())
		} else {
			v6 = append(v6, ip.String())
		}
	}
	return append(v4, v6...)
}

func reachable(ip netip.Addr) bool {
	ip = ip.Unmap()
	return !ip.IsUnspecified() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() && !ip.IsMulticast()
}

func distinct(ips []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(ips, func(ip string) bool {
		again := seen[ip]
		seen[ip] = true
		return again
	})
}
