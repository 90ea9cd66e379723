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

func TestAddresses(t *testing.T) {
	for name, row := range map[string]struct {
		cards   nics
		primary string
		want    []string
	}{
		"nothing yet":           {},
		"primary only":          {primary: "10.0.0.5", want: []string{"10.0.0.5"}},
		"primary is link-local": {primary: "169.254.7.7"},
		"card before primary": {
			cards:   nics{nic(4000, true, "10.0.0.5")},
			primary: "172.17.0.1",
			want:    []string{"10.0.0.5"},
		},
		"containers and bridges": {
			cards: nics{nic(-1, true, "172.17.0.1"), nic(4000, true, "10.0.0.5")},
			want:  []string{"10.0.0.5"},
		},
		"only bridges, primary real": {
			cards:   nics{nic(-1, true, "172.17.0.1")},
			primary: "10.0.0.5",
			want:    []string{"10.0.0.5"},
		},
		"unplugged card": {
			cards: nics{nic(4000, false, "10.0.0.5"), nic(4001, true, "10.0.1.5")},
			want:  []string{"10.0.1.5"},
		},
		"by card, then IPv4 first": {
			cards: nics{nic(4001, true, "10.0.1.5"), nic(4000, true, "2001:db8::5", "10.0.0.5")},
			want:  []string{"10.0.0.5", "2001:db8::5", "10.0.1.5"},
		},
		"nobody else can reach": {
			cards: nics{nic(4000, true, "127.0.0.1", "::1", "fe80::1", "fe80::1%eth0", "169.254.1.1", "224.0.0.1", "ff02::1", "0.0.0.0", "::", "")},
		},
		"mapped and repeated": {
			cards: nics{nic(4000, true, "::ffff:10.0.0.5", "10.0.0.5"), nic(4001, true, "10.0.0.5")},
			want:  []string{"10.0.0.5"},
		},
		"mapped loopback": {
			cards: nics{nic(4000, true, "::ffff:127.0.0.1")},
		},
		"card without address, primary": {
			cards:   nics{nic(4000, true)},
			primary: "10.0.0.9",
			want:    []string{"10.0.0.9"},
		},
		"not an address, not an address": {
			cards: nics{nic(4000, true, "10.0.0", "10.0.0.5/24")},
		},
	} {
		if got := addresses(row.cards, row.primary); !slices.Equal(got, row.want) {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}

func TestAddressesAreUsableAndStable(t *testing.T) {
	address := rapid.OneOf(
		rapid.SampledFrom([]string{"127.0.0.1", "169.254.3.4", "fe80::1%2", "ff02::1", "", "x", "10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1"}),
		rapid.Custom(func(t *rapid.T) string {
			return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "v4"))).String()
		}),
	)
	card := rapid.Custom(func(t *rapid.T) types.GuestNicInfo {
		return nic(rapid.Int32Range(-2, 4005).Draw(t, "key"), rapid.Bool().Draw(t, "connected"), rapid.SliceOfN(address, 0, 4).Draw(t, "ips")...)
	})
	rapid.Check(t, func(t *rapid.T) {
		nics, primary := rapid.SliceOfN(card, 0, 5).Draw(t, "nics"), address.Draw(t, "primary")
		before := slices.Clone(nics)
		got := addresses(nics, primary)
		if !slices.Equal(got, addresses(nics, primary)) || len(before) != len(nics) {
			t.Fatal("not a function")
		}
		for i, s := range got {
			ip, err := netip.ParseAddr(s)
			if err != nil || !reachable(ip) || ip.String() != s || slices.Contains(got[:i], s) {
				t.Fatalf("%v", got)
			}
		}
	})
}
