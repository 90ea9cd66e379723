package vsphere_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/vim25/types"

	"vspherepool/vsphere"
	"vspherepool/vsphere/simulator"
)

func TestBadTemplates(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, simulator.Options{})
	for name, row := range map[string]struct {
		edit func(*vsphere.Template)
		says string
	}{
		"no template":           {func(t *vsphere.Template) { t.Template = "/DC0/vm/none" }, "/DC0/vm/none"},
		"template's id unknown": {func(t *vsphere.Template) { t.Template = "vm-99999" }, "vm-99999"},
		"no such text":          {func(t *vsphere.Template) { t.Template = "ubuntu" }, "inventory path"},
		"template is a folder":  {func(t *vsphere.Template) { t.Template = "/DC0/vm/templates" }, "/DC0/vm/templates"},
		"wrong type":            {func(t *vsphere.Template) { t.Template = "Folder:group-1" }, "Folder"},
		"two folders missing":   {func(t *vsphere.Template) { t.Folder = "/DC0/vm/a/b" }, "/DC0/vm/a:"},
		"folder of hosts":       {func(t *vsphere.Template) { t.Folder = "/DC0/host" }, "virtual machines"},
		"no pool":               {func(t *vsphere.Template) { t.ResourcePool = "/DC0/host/DC0_C0/Resources/none" }, "Resources/none"},
		"no datastore":          {func(t *vsphere.Template) { t.Datastore = "datastore-99999" }, "datastore-99999"},
		"one of two missing": {func(t *vsphere.Template) {
			t.Datastores = []string{"/DC0/datastore/LocalDS_0", "/DC0/datastore/x"}
		}, "/DC0/datastore/x"},
		"no network":   {func(t *vsphere.Template) { t.Networks = []string{"/DC0/network/none"} }, "/DC0/network/none"},
		"pattern":      {func(t *vsphere.Template) { t.Template = "/DC0/vm/templates/*" }, "templates/*"},
		"linked, disk": {func(t *vsphere.Template) { t.DiskGiB = 100 }, "diskGiB"},
		"smaller disk": {func(t *vsphere.Template) { t.CloneMode = vsphere.CloneFull; t.DiskGiB = 1 }, "shrink"},
		"no snapshot":  {func(t *vsphere.Template) { t.Snapshot = "none" }, "none"},
		"reserved key": {func(t *vsphere.Template) { t.ExtraConfig = map[string]string{"vspherepool.x": ""} }, "reserved"},
	} {
		t.Run(name, func(t *testing.T) {
			template := sim.Template()
			row.edit(&template)
			vc, err := sim.Client(t.Context())
			must(t, err)
			c, err := vsphere.New(t.Context(), pool, vc, template)
			if err == nil {
				err = c.Site().Flaw
				must(t, c.Close(t.Context()))
			}
			wantKind(t, err, vsphere.Misconfigured)
			if !strings.Contains(err.Error(), row.says) {
				t.Errorf("%q does not say %q", err, row.says)
			}
		})
	}
}

func TestReferencesByID(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, simulator.Options{})
	vc, err := sim.Client(t.Context())
	must(t, err)
	finder := find.NewFinder(vc)
	id := func(ref interface {
		Reference() types.ManagedObjectReference
	}, err error,
	) string {
		t.Helper()
		must(t, err)
		return ref.Reference().Value
	}
	template := sim.Template()
	template.Template = id(finder.VirtualMachine(t.Context(), template.Template))
	template.Folder = "Folder:" + id(finder.Folder(t.Context(), "/DC0/vm/pools"))
	template.ResourcePool = id(finder.ResourcePool(t.Context(), template.ResourcePool))
	template.Datastore = id(finder.Datastore(t.Context(), "/DC0/datastore/LocalDS_0"))
	template.Networks = []string{id(finder.Network(t.Context(), "/DC0/network/DC0_DVPG0"))}
	c, err := vsphere.New(t.Context(), pool, vc, template)
	must(t, err)
	defer c.Close(t.Context())
	if string(c.Site().Source) != template.Template {
		t.Errorf("%+v", c.Site())
	}
}

func TestFolderIsCreatedOnce(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, simulator.Options{})
	vc, err := sim.Client(t.Context())
	must(t, err)
	for range 2 {
		c, err := vsphere.New(t.Context(), pool, vc, sim.Template())
		must(t, err)
		must(t, c.Close(t.Context()))
	}
	if _, err := find.NewFinder(vc).Folder(t.Context(), sim.Template().Folder); err != nil {
		t.Error(err)
	}
}

func TestChoicesAreTold(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, simulator.Options{})
	vc, err := sim.Client(t.Context())
	must(t, err)
	for name, row := range map[string]struct {
		template vsphere.Template
		mode     string
		notes    int
	}{
		"left out":         {vsphere.Template{}, vsphere.CloneLinked, 1},
		"left out, bigger": {vsphere.Template{DiskGiB: 100}, vsphere.CloneFull, 1},
		"asked for":        {vsphere.Template{CloneMode: vsphere.CloneLinked}, vsphere.CloneLinked, 0},
	} {
		row.template.Template, row.template.Folder = sim.Template().Template, sim.Template().Folder
		client, err := vsphere.New(t.Context(), pool, vc, row.template)
		must(t, err)
		if site := client.Site(); site.CloneMode != row.mode || len(site.Notes) != row.notes {
			t.Errorf("%s: %+v", name, site)
		}
		must(t, client.Close(t.Context()))
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	vm, _ := s.make(t, "web-1")
	for _, query := range []string{
		vm.InstanceUUID, strings.ToUpper(vm.InstanceUUID), string(vm.Ref), "VirtualMachine:" + string(vm.Ref), s.sim.Template().Folder + "/web-1",
	} {
		got, err := s.Find(t.Context(), query)
		if err != nil || got.Ref != vm.Ref || !got.Detail {
			t.Errorf("%s: %+v, %v", query, got, err)
		}
	}
	for _, query := range []string{uuid.NewString(), "vm-99999", "/DC0/vm/none", "none", ""} {
		_, err := s.Find(t.Context(), query)
		wantKind(t, err, vsphere.NotFound)
	}
}
