package vsphere

import (
	"maps"
	"sync"

	"github.com/vmware/govmomi/vim25/types"
)

// namesKept bounds the cache: a vCenter has at most 2,500 hosts.
const namesKept = 4096

// names remembers what hosts are called. A host that is renamed keeps its old name here until the client is opened anew.
type names struct {
	mu    sync.Mutex
	known map[string]string
}

func newNames() *names { return &names{known: map[string]string{}} }

// resolve maps ids to names, reading the unknown ones. A host that cannot be named goes by its id.
func (n *names) resolve(
	ids []string, read func([]types.ManagedObjectReference) ([]types.ObjectContent, error),
) (map[string]string, error) {
	found, unknown := n.split(ids)
	if len(unknown) == 0 {
		return found, nil
	}
	answers, err := read(unknown)
	if kind := KindOf(wrap("read hosts", "", err)); err != nil && kind != Forbidden {
		return nil, err
	}
	for _, ref := range unknown {
		found[ref.Value] = ref.Value
	}
	fresh := map[string]string{}
	for _, o := range answers {
		fresh[o.Obj.Value] = value[string](o, "name")
	}
	maps.Copy(found, fresh)
	n.learn(fresh)
	return found, nil
}

func (n *names) split(ids []string) (map[string]string, []types.ManagedObjectReference) {
	n.mu.Lock()
	defer n.mu.Unlock()
	found := map[string]string{}
	var unknown []types.ManagedObjectReference
	for _, id := range ids {
		if _, done := found[id]; done || id == "" {
			continue
		}
		name, known := n.known[id]
		found[id] = name
		if !known {
			unknown = append(unknown, types.ManagedObjectReference{Type: "HostSystem", Value: id})
		}
	}
	return found, unknown
}

func (n *names) learn(fresh map[string]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.known) > namesKept {
		clear(n.known)
	}
	maps.Copy(n.known, fresh)
}
