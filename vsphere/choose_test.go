package vsphere

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vmware/govmomi/vim25/types"
	"pgregory.net/rapid"
)

const gibibyte = 1 << 30

// seen is a reading of datastores by their free GiB.
func seen(free map[string]int64) prospect {
	p := prospect{at: start, stores: map[types.ManagedObjectReference]store{}, hosts: map[types.ManagedObjectReference]host{}}
	for id, n := range free {
		p.stores[datastore(id)] = store{name: "ds-" + id, free: n * gibibyte}
	}
	return p
}

func among(ids string, gibibytes int64) wish {
	w := wish{needs: footprint{disks: gibibytes * gibibyte}}
	for id := range strings.FieldsSeq(ids) {
		w.stores = append(w.stores, datastore(id))
	}
	w.only = len(w.stores) == 1
	return w
}

func TestChooseDatastore(t *testing.T) {
	for name, row := range map[string]struct {
		wish    wish
		seen    prospect
		prepare func(*ledger, prospect)
		want    string
		says    []string
	}{
		"most free":               {wish: among("a b c", 1), seen: seen(map[string]int64{"a": 10, "b": 30, "c": 20}), want: "b"},
		"first of equals":         {wish: among("b a", 1), seen: seen(map[string]int64{"a": 10, "b": 10}), want: "b"},
		"exactly with headroom":   {wish: among("a", 9), seen: seen(map[string]int64{"a": 10}), want: "a"},
		"headroom":                {wish: among("a", 10), seen: seen(map[string]int64{"a": 10}), says: []string{"ds-a has 10.0 GiB free"}},
		"gone":                    {wish: among("a b", 1), seen: seen(map[string]int64{"b": 10}), want: "b"},
		"gone, and no other":      {wish: among("a", 1), seen: seen(nil), says: []string{"a does not exist any more"}},
		"nothing to choose from":  {wish: among("", 1), seen: seen(nil), says: []string{"no datastore has room"}},
		"the rest does not count": {wish: among("a", 1), seen: seen(map[string]int64{"a": 3, "b": 100}), want: "a"},
		"promised": {
			wish: among("a b", 1), seen: seen(map[string]int64{"a": 30, "b": 20}), want: "b",
			prepare: func(l *ledger, _ prospect) {
				l.reserve("m", spot{store: datastore("a")}, footprint{disks: 15 * gibibyte}, start)
			},
		},
		"all promised": {
			wish: among("a", 10), seen: seen(map[string]int64{"a": 30}), says: []string{"30.0 GiB free, 20.0 GiB of that promised"},
			prepare: func(l *ledger, _ prospect) {
				l.reserve("m", spot{store: datastore("a")}, footprint{disks: 20 * gibibyte}, start)
			},
		},
		"avoided": {
			wish: among("a b", 1), seen: seen(map[string]int64{"a": 30, "b": 20}), want: "b",
			prepare: func(l *ledger, _ prospect) { l.avoid(datastore("a"), start) },
		},
		"all avoided": {
			wish: among("a b", 1), seen: seen(map[string]int64{"a": 30, "b": 20}), says: []string{"ds-a was full", "ds-b was full", "03:14:05"},
			prepare: func(l *ledger, _ prospect) { l.avoid(datastore("a"), start); l.avoid(datastore("b"), start) },
		},
		"the only one is not avoided": {
			wish: among("a", 1), seen: seen(map[string]int64{"a": 30}), want: "a",
			prepare: func(l *ledger, _ prospect) { l.avoid(datastore("a"), start) },
		},
		"maintenance": {
			wish: among("a b", 1), seen: seen(map[string]int64{"a": 30, "b": 1}),
			says: []string{"ds-a is in maintenance mode; ds-b has 1.0 GiB free"},
			prepare: func(_ *ledger, p prospect) {
				p.stores[datastore("a")] = storeOf(types.DatastoreSummary{Name: "ds-a", Accessible: true, MaintenanceMode: "inMaintenance"})
			},
		},
		"not accessible": {
			wish: among("a", 1), seen: seen(nil), says: []string{"ds-a is not accessible"},
			prepare: func(_ *ledger, p prospect) {
				p.stores[datastore("a")] = storeOf(types.DatastoreSummary{Name: "ds-a", FreeSpace: 1 << 40})
			},
		},
	} {
		l := newLedger()
		if row.prepare != nil {
			row.prepare(&l, row.seen)
		}
		got, err := l.choose(row.wish, row.seen, start)
		if row.want != "" {
			if err != nil || got != (spot{store: datastore(row.want)}) {
				t.Errorf("%s: %v, %v", name, got, err)
			}
			continue
		}
		if KindOf(err) != Storage {
			t.Errorf("%s: %v, %v", name, got, err)
			continue
		}
		for _, text := range row.says {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %q does not say %q", name, err, text)
			}
		}
	}
}

func TestChooseHost(t *testing.T) {
	all := []types.ManagedObjectReference{datastore("a"), datastore("b")}
	for name, row := range map[string]struct {
		edit func(*ledger, *wish, prospect)
		want spot
		kind Kind
		says string
	}{
		"idle ones in order": {want: spot{datastore("b"), hostRef("1")}},
		"fewest machines": {
			edit: func(l *ledger, _ *wish, _ prospect) { l.load[hostRef("1")], l.load[hostRef("2")] = 2, 1 },
			want: spot{datastore("b"), hostRef("3")},
		},
		"only its own datastores": {
			edit: func(_ *ledger, _ *wish, p prospect) { p.hosts[hostRef("1")] = host{name: "h1", stores: all[:1]} },
			want: spot{datastore("a"), hostRef("1")},
		},
		"maintenance": {
			edit: func(_ *ledger, _ *wish, p prospect) {
				p.hosts[hostRef("1")] = host{name: "h1", stores: all, refusal: "is in maintenance mode"}
			},
			want: spot{datastore("b"), hostRef("2")},
		},
		"avoided": {
			edit: func(l *ledger, _ *wish, _ prospect) { l.avoid(hostRef("1"), start) }, want: spot{datastore("b"), hostRef("2")},
		},
		"gone": {
			edit: func(_ *ledger, _ *wish, p prospect) { delete(p.hosts, hostRef("1")) }, want: spot{datastore("b"), hostRef("2")},
		},
		"parent out of reach": {
			edit: func(_ *ledger, w *wish, p prospect) {
				w.parents = []types.ManagedObjectReference{datastore("b")}
				p.hosts[hostRef("1")] = host{name: "h1", stores: all[:1]}
			},
			want: spot{datastore("b"), hostRef("2")},
		},
		"no datastore in reach": {
			edit: func(_ *ledger, _ *wish, p prospect) {
				for ref := range p.hosts {
					p.hosts[ref] = host{name: "h" + ref.Value}
				}
			},
			kind: Capacity, says: "h1 reaches none of the datastores; h2",
		},
		"none usable": {
			edit: func(l *ledger, _ *wish, p prospect) {
				l.avoid(hostRef("1"), start)
				p.hosts[hostRef("2")] = host{name: "h2", stores: all, refusal: "is notResponding"}
				delete(p.hosts, hostRef("3"))
			},
			kind: Capacity, says: "h1 refused a machine, and is left alone until 03:14:05; h2 is notResponding; 3 does not exist any more",
		},
		"no room": {
			edit: func(_ *ledger, w *wish, _ prospect) { w.needs.disks = 100 * gibibyte }, kind: Storage, says: "ds-b has 20.0 GiB free",
		},
		"room out of reach": {
			edit: func(_ *ledger, w *wish, p prospect) {
				w.needs.disks = 15 * gibibyte
				for ref := range p.hosts {
					p.hosts[ref] = host{name: "h" + ref.Value, stores: all[:1]}
				}
			},
			kind: Storage, says: "ds-b is out of the hosts' reach",
		},
	} {
		l, p := newLedger(), seen(map[string]int64{"a": 10, "b": 20})
		w := among("a b", 1)
		for _, id := range []string{"1", "2", "3"} {
			w.hosts = append(w.hosts, hostRef(id))
			p.hosts[hostRef(id)] = host{name: "h" + id, stores: all}
		}
		if row.edit != nil {
			row.edit(&l, &w, p)
		}
		got, err := l.choose(w, p, start)
		if row.says == "" {
			if err != nil || got != row.want {
				t.Errorf("%s: %v, %v", name, got, err)
			}
		} else if KindOf(err) != row.kind || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: kind %d, %v", name, KindOf(err), err)
		}
	}
}

func TestFirstOfTheRecommended(t *testing.T) {
	l, p := newLedger(), seen(map[string]int64{"a": 3, "b": 10, "c": 30})
	l.avoid(datastore("b"), start)
	for ids, want := range map[string]string{"a c": "c", "b c": "c", "c b": "c", "new a": "new", "a b": ""} {
		w := among(ids, 5)
		w.only = false
		got, err := l.first(w, p, start)
		if got.Value != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", ids, got.Value, err)
		}
	}
}

// However many clones start at once, no datastore is promised more than it has, and hosts that are equal get equal shares.
func TestChoosingNeverOvercommits(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		free := map[string]int64{}
		var ids []string
		for i := range rapid.IntRange(1, 4).Draw(r, "datastores") {
			ids = append(ids, fmt.Sprint(i))
			free[fmt.Sprint(i)] = int64(rapid.IntRange(0, 60).Draw(r, "free"))
		}
		l, p := newLedger(), seen(free)
		w := among(strings.Join(ids, " "), int64(rapid.IntRange(0, 20).Draw(r, "size")))
		w.needs.swap = gibibyte
		for i := range rapid.IntRange(0, 3).Draw(r, "hosts") {
			w.hosts = append(w.hosts, hostRef(fmt.Sprint(i)))
			p.hosts[hostRef(fmt.Sprint(i))] = host{stores: w.stores}
		}
		made := 0
		for n := range rapid.IntRange(1, 30).Draw(r, "clones") {
			id := MachineID(fmt.Sprint(n))
			at, err := l.choose(w, p, start)
			if err == nil {
				made++
				l.reserve(id, at, w.needs, start)
			}
		}
		room := 0
		for _, ref := range w.stores {
			if left := p.stores[ref].free - l.promised(ref, start, start); left < headroom && l.promised(ref, start, start) > 0 {
				r.Fatalf("%s has %d bytes left", ref.Value, left)
			}
			room += int(max(0, (p.stores[ref].free-headroom)/w.needs.total()))
		}
		if made > room {
			r.Fatalf("%d machines where %d have room", made, room)
		}
		for _, a := range w.hosts {
			for _, b := range w.hosts {
				if l.load[a]-l.load[b] > 1 {
					r.Fatalf("uneven: %v", l.load)
				}
			}
		}
	})
}
