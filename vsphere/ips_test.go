package vsphere

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/vmware/govmomi/vim25/types"
	"pgregory.net/rapid"
)

type nics = []types.GuestNicInfo

func nic(key int32, connected bool, ips ...string) types.GuestNicInfo {
	return types.GuestNicInfo{DeviceConfigId: key, Connected: connected, IpAddress: ips}
}

// with gives an interface a MAC address and a network.
func with(n types.GuestNicInfo, mac, network string) types.GuestNicInfo {
	n.MacAddress, n.Network = mac, network
	return n
}

// inState are addresses as newer guests tell them, with what the guest thinks of each.
func inState(n types.GuestNicInfo, ip, state string) types.GuestNicInfo {
	config := types.NetIpConfigInfo{}
	if n.IpConfig != nil {
		config = *n.IpConfig
	}
	config.IpAddress = append(slices.Clone(config.IpAddress), types.NetIpConfigInfoIpAddress{IpAddress: ip, PrefixLength: 24, State: state})
	n.IpConfig = &config
	return n
}

func TestAddresses(t *testing.T) {
	const own, other = "00:50:56:8f:fe:39", "02:42:ac:11:00:02"
	for name, row := range map[string]struct {
		choice Addresses
		guest  guest
		own    hardware
		want   []string
	}{
		"nothing yet":           {},
		"primary only":          {guest: guest{primary: "10.0.0.5"}, want: []string{"10.0.0.5"}},
		"primary is link-local": {guest: guest{primary: "169.254.7.7"}},
		"card before primary": {
			guest: guest{nics: nics{nic(4000, true, "10.0.0.5")}, primary: "172.17.0.1"},
			want:  []string{"10.0.0.5"},
		},
		"containers and bridges": {
			guest: guest{nics: nics{nic(-1, true, "172.17.0.1"), nic(4000, true, "10.0.0.5")}},
			want:  []string{"10.0.0.5"},
		},
		"only bridges, primary real": {
			guest: guest{nics: nics{nic(-1, true, "172.17.0.1")}, primary: "10.0.0.5"},
			want:  []string{"10.0.0.5"},
		},
		"primary is a bridge's": {
			guest: guest{nics: nics{nic(-1, true, "172.17.0.1"), nic(4000, true)}, primary: "172.17.0.1"},
		},
		"unplugged card": {
			guest: guest{nics: nics{nic(4000, false, "10.0.0.5"), nic(4001, true, "10.0.1.5")}},
			want:  []string{"10.0.1.5"},
		},
		"by card, then IPv4 first": {
			guest: guest{nics: nics{nic(4001, true, "10.0.1.5"), nic(4000, true, "2001:db8::5", "10.0.0.5")}},
			want:  []string{"10.0.0.5", "2001:db8::5", "10.0.1.5"},
		},
		"by card, then IPv6 first": {
			choice: Addresses{Prefer: PreferIPv6},
			guest:  guest{nics: nics{nic(4001, true, "10.0.1.5"), nic(4000, true, "10.0.0.5", "2001:db8::5")}},
			want:   []string{"2001:db8::5", "10.0.0.5", "10.0.1.5"},
		},
		"nobody else can reach": {
			guest: guest{nics: nics{nic(4000, true,
				"127.0.0.1", "::1", "fe80::1", "fe80::1%eth0", "169.254.1.1", "224.0.0.1", "ff02::1", "0.0.0.0", "::", "255.255.255.255", "")}},
		},
		"mapped and repeated": {
			guest: guest{nics: nics{nic(4000, true, "::ffff:10.0.0.5", "10.0.0.5"), nic(4001, true, "10.0.0.5")}},
			want:  []string{"10.0.0.5"},
		},
		"mapped loopback": {guest: guest{nics: nics{nic(4000, true, "::ffff:127.0.0.1")}}},
		"card without address, primary": {
			guest: guest{nics: nics{nic(4000, true)}, primary: "10.0.0.9"},
			want:  []string{"10.0.0.9"},
		},
		"unplugged card has the primary": {
			guest: guest{nics: nics{nic(4000, false, "10.0.0.9")}, primary: "10.0.0.9"},
			want:  []string{"10.0.0.9"},
		},
		"odd spellings": {
			guest: guest{nics: nics{nic(4000, true, "10.0.0", "10.0.0.5/24", " 10.0.0.6 ", "2001:db8::7%4", "10.0.0.8/x", "/24")}},
			want:  []string{"10.0.0.5", "10.0.0.6", "10.0.0.8", "2001:db8::7"},
		},
		"by MAC address": {
			guest: guest{nics: nics{with(nic(4001, true, "10.9.9.9"), other, ""), with(nic(4000, true, "10.0.0.5"), "00-50-56-8F-FE-39", "")}},
			own:   hardware{own: true},
			want:  []string{"10.0.0.5"},
		},
		"no card of that MAC address": {
			guest: guest{nics: nics{with(nic(4001, true, "10.9.9.9"), other, "")}, primary: "10.9.9.9"},
			own:   hardware{own: true},
		},
		"container with the card's MAC address": {
			guest: guest{nics: nics{with(nic(-1, true, "10.9.9.9"), own, "")}},
			own:   hardware{own: true},
		},
		"clones that share a MAC address": {
			guest: guest{nics: nics{with(nic(4000, true, "10.0.0.5"), own, ""), with(nic(4001, true, "10.0.1.5"), own, "")}},
			own:   hardware{own: true},
			want:  []string{"10.0.0.5", "10.0.1.5"},
		},
		"allowed and ignored": {
			choice: Addresses{Allow: []string{"10.0.0.0/8", "2001:db8::/32"}, Ignore: []string{"10.1.0.0/16", "not a network"}},
			guest:  guest{nics: nics{nic(4000, true, "192.168.1.1", "10.1.2.3", "10.2.3.4", "2001:db8::1", "2a00::1")}},
			want:   []string{"10.2.3.4", "2001:db8::1"},
		},
		"ignored primary": {choice: Addresses{Ignore: []string{"10.0.0.0/8"}}, guest: guest{primary: "10.0.0.1"}},
		"one network": {
			choice: Addresses{Network: "front"},
			guest:  guest{nics: nics{with(nic(4000, true, "10.0.0.5"), own, "back"), with(nic(4001, true, "10.0.1.5"), other, "front")}},
			want:   []string{"10.0.1.5"},
		},
		"nothing on that network": {
			choice: Addresses{Network: "front"},
			guest: guest{
				nics: nics{with(nic(4000, true, "10.0.0.5"), own, "back")}, primary: "10.0.0.5", local: [2]string{"10.0.0.5"}, tools: true,
			},
		},
		"cloud-init before Tools": {
			guest: guest{primary: "172.17.0.1", local: [2]string{"10.0.0.5", "2001:db8::5"}, tools: true},
			want:  []string{"10.0.0.5", "2001:db8::5"},
		},
		"cloud-init of an earlier boot": {
			guest: guest{local: [2]string{"10.0.0.5"}},
		},
		"states": {
			guest: guest{nics: nics{inState(inState(inState(nic(4000, true, "10.0.0.5", "10.0.0.6", "2001:db8::5"),
				"10.0.0.5", "duplicate"), "10.0.0.6", "preferred"), "2001:db8::5", "tentative")}},
			want: []string{"10.0.0.6"},
		},
		"only in the newer form": {
			guest: guest{nics: nics{inState(inState(nic(4000, true), "10.0.0.5", "preferred"), "10.0.0.6", "invalid")}},
			want:  []string{"10.0.0.5"},
		},
		"newer form is outdated": {
			guest: guest{nics: nics{inState(nic(4000, true, "10.0.0.7"), "10.0.0.5", "preferred")}},
			want:  []string{"10.0.0.7"},
		},
	} {
		if got := row.choice.choice().addresses(row.guest, row.own); !slices.Equal(got, row.want) {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}

func TestAddressesAreUsableAndStable(t *testing.T) {
	v4 := rapid.Custom(func(t *rapid.T) string {
		return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "v4"))).String()
	})
	address := rapid.OneOf(v4, rapid.SampledFrom(
		[]string{"127.0.0.1", "169.254.3.4", "fe80::1%2", "ff02::1", "", "x", "10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1"}))
	mac := rapid.SampledFrom([]string{"", "00:50:56:00:00:01", "00-50-56-00-00-01", "02:42:00:00:00:01", "?"})
	card := rapid.Custom(func(t *rapid.T) types.GuestNicInfo {
		n := nic(rapid.Int32Range(-2, 4005).Draw(t, "key"), rapid.Bool().Draw(t, "connected"), rapid.SliceOfN(address, 0, 4).Draw(t, "ips")...)
		return with(n, mac.Draw(t, "mac"), rapid.SampledFrom([]string{"", "front"}).Draw(t, "network"))
	})
	rapid.Check(t, func(t *rapid.T) {
		g := guest{
			nics: rapid.SliceOfN(card, 0, 5).Draw(t, "nics"), primary: address.Draw(t, "primary"), tools: rapid.Bool().Draw(t, "tools"),
			local: [2]string{address.Draw(t, "local4"), address.Draw(t, "local6")},
		}
		allow, ignore := netip.MustParsePrefix("0.0.0.0/1"), netip.MustParsePrefix("64.0.0.0/2")
		c := Addresses{Allow: []string{allow.String(), "::/0"}, Ignore: []string{ignore.String()}}.choice()
		var own hardware
		if rapid.Bool().Draw(t, "known") {
			own = hardware{"00:50:56:00:00:01": true}
		}
		before := slices.Clone(g.nics)
		got := c.addresses(g, own)
		if !slices.Equal(got, c.addresses(g, own)) || !slices.EqualFunc(before, g.nics, sameCard) {
			t.Fatal("not a function")
		}
		for i, s := range got {
			ip, err := netip.ParseAddr(s)
			if err != nil || !reachable(ip) || ip.String() != s || slices.Contains(got[:i], s) {
				t.Fatalf("%v", got)
			}
			if ignore.Contains(ip) || ip.Is4() && !allow.Contains(ip) {
				t.Fatalf("%s was not asked for", s)
			}
		}
	})
}

func sameCard(a, b types.GuestNicInfo) bool {
	return a.DeviceConfigId == b.DeviceConfigId && slices.Equal(a.IpAddress, b.IpAddress)
}

func FuzzAddresses(f *testing.F) {
	for _, seed := range []string{"10.0.0.5/24", "fe80::1%eth0", "::ffff:1.2.3.4/96", "1.2.3.4%x", "", "/", "%", "٣.1.1.1"} {
		f.Add(seed, "00:50:56:00:00:01", "10.0.0.0/8")
	}
	f.Fuzz(func(t *testing.T, text, mac, network string) {
		g := guest{nics: nics{with(nic(4000, true, text), mac, "")}, primary: text, local: [2]string{text, text}, tools: true}
		for _, own := range []hardware{nil, {plainMAC(mac): true}} {
			for _, s := range (Addresses{Ignore: []string{network}}).choice().addresses(g, own) {
				if ip, err := netip.ParseAddr(s); err != nil || ip.Zone() != "" || ip.Is4In6() {
					t.Fatalf("%q gave %q", text, s)
				}
			}
		}
	})
}
