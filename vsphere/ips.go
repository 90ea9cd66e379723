package vsphere

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

// guest is what vCenter shows of a guest's addresses.
type guest struct {
	nics []types.GuestNicInfo
	// local is what cloud-init's VMware datasource says of the guest it runs in: its IPv4 and its IPv6 address.
	local [2]string
	// primary is the address that VMware Tools picked, from any interface.
	primary string
	// tools says that VMware Tools answer: without them local may be left from an earlier boot.
	tools bool
}

// hardware are the MAC addresses of a VM's own network cards, as [plainMAC] writes them; nil: they are not known.
type hardware map[string]bool

// choice says which of a guest's addresses count, see [Addresses].
type choice struct {
	allow, ignore []netip.Prefix
	network       string
	v6first       bool
}

// choice drops what is no network in CIDR notation: the configuration was validated before.
func (a Addresses) choice() choice {
	return choice{allow: prefixes(a.Allow), ignore: prefixes(a.Ignore), network: a.Network, v6first: a.Prefer == PreferIPv6}
}

func prefixes(texts []string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range texts {
		if p, err := netip.ParsePrefix(text); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// addresses are the guest's usable ones in order of preference: those of the VM's own connected cards, by card. Only if no card shows
// one, what the guest says of itself counts, first cloud-init, then Tools, as those may mean any interface; where a network is asked for
// it does not, for nothing tells which network it is on.
func (c choice) addresses(g guest, own hardware) []string {
	cards := slices.DeleteFunc(slices.Clone(g.nics), func(n types.GuestNicInfo) bool {
		return !own.has(n) || !n.Connected || c.network != "" && n.Network != c.network
	})
	slices.SortStableFunc(cards, func(a, b types.GuestNicInfo) int { return cmp.Compare(a.DeviceConfigId, b.DeviceConfigId) })
	var found []netip.Addr
	for _, nic := range cards {
		found = append(found, c.usable(bound(nic))...)
	}
	if len(found) == 0 && c.network == "" {
		found = c.fallback(g, own)
	}
	return distinct(found)
}

func (c choice) fallback(g guest, own hardware) []netip.Addr {
	var found []netip.Addr
	if g.tools {
		found = c.usable(g.local[:])
	}
	if len(found) == 0 {
		found = c.usable([]string{g.primary})
	}
	var strange []netip.Addr
	for _, nic := range g.nics {
		if !own.has(nic) {
			strange = append(strange, parsed(nic.IpAddress)...)
		}
	}
	return slices.DeleteFunc(found, func(ip netip.Addr) bool { return slices.Contains(strange, ip) })
}

// has says whether an interface is one of the VM's own cards. VMware Tools also report the interfaces of containers, bridges and
// tunnels; those have a MAC address of their own, and vCenter knows no card for them (deviceConfigId < 0).
func (h hardware) has(n types.GuestNicInfo) bool {
	if n.DeviceConfigId < 0 || h == nil {
		return n.DeviceConfigId > 0
	}
	return h[plainMAC(n.MacAddress)]
}

// plainMAC makes the ways to write a MAC address comparable: a card's may be in capitals, a guest's have dashes.
func plainMAC(text string) string {
	mac, err := net.ParseMAC(text)
	if err != nil {
		return strings.ToLower(text)
	}
	return mac.String()
}

// bound are an interface's addresses but for those that the guest itself says nobody can use.
func bound(n types.GuestNicInfo) []string {
	if n.IpConfig == nil {
		return n.IpAddress
	}
	var all []string
	useless := map[string]bool{}
	for _, ip := range n.IpConfig.IpAddress {
		all = append(all, ip.IpAddress)
		useless[ip.IpAddress] = unusableStates[ip.State]
	}
	if len(n.IpAddress) > 0 {
		all = slices.Clone(n.IpAddress)
	}
	return slices.DeleteFunc(all, func(text string) bool { return useless[text] })
}

var unusableStates = map[string]bool{
	string(types.NetIpConfigInfoIpAddressStatusTentative):    true,
	string(types.NetIpConfigInfoIpAddressStatusDuplicate):    true,
	string(types.NetIpConfigInfoIpAddressStatusInvalid):      true,
	string(types.NetIpConfigInfoIpAddressStatusInaccessible): true,
}

// usable parses one card's addresses and keeps those that count, the preferred family first.
func (c choice) usable(texts []string) []netip.Addr {
	ips := slices.DeleteFunc(parsed(texts), func(ip netip.Addr) bool { return !reachable(ip) || !c.admits(ip) })
	slices.SortStableFunc(ips, func(a, b netip.Addr) int { return cmp.Compare(c.rank(a), c.rank(b)) })
	return ips
}

func (c choice) rank(ip netip.Addr) int {
	if ip.Is6() == c.v6first {
		return 0
	}
	return 1
}

func (c choice) admits(ip netip.Addr) bool {
	within := func(p netip.Prefix) bool { return p.Contains(ip) }
	return (len(c.allow) == 0 || slices.ContainsFunc(c.allow, within)) && !slices.ContainsFunc(c.ignore, within)
}

// parsed reads addresses as guests write them, with or without prefix length or zone, and leaves out what is none.
func parsed(texts []string) []netip.Addr {
	var ips []netip.Addr
	for _, text := range texts {
		bare, _, _ := strings.Cut(strings.TrimSpace(text), "/")
		if ip, err := netip.ParseAddr(bare); err == nil {
			ips = append(ips, ip.Unmap().WithZone(""))
		}
	}
	return ips
}

// reachable says whether others can reach an address.
func reachable(ip netip.Addr) bool {
	broadcast := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	return !ip.IsUnspecified() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() && !ip.IsMulticast() && ip != broadcast
}

// distinct writes addresses, each once.
func distinct(ips []netip.Addr) []string {
	var out []string
	for _, ip := range ips {
		if text := ip.String(); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}
