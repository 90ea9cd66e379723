package actors

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"vspherepool/vsphere"
)

// TestLooks compares a record before and after observations of all kinds: whatever one changes is seen.
func TestLooks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) string { return rapid.SampledFrom([]string{"a", "b"}).Draw(t, name) }
		before := record{
			ID: "a", Ref: vsphere.Ref(draw("ref")), Name: draw("name"), Host: draw("host"), Datastore: draw("datastore"), CPUs: 1,
			Launched: noon, IPs: []string{draw("ip")}, UUID: rapid.SampledFrom([]string{"", "b"}).Draw(t, "uuid"),
		}
		o := observed{conflict: rapid.SampledFrom([]string{"", "x"}).Draw(t, "conflict"), vm: vsphere.VM{
			Ref: vsphere.Ref(draw("ref")), Name: draw("name"), InstanceUUID: draw("uuid"), IPs: []string{draw("ip")},
			Detail: rapid.Bool().Draw(t, "detail"), Host: draw("host"), Datastore: draw("datastore"),
			CPUs: rapid.IntRange(1, 2).Draw(t, "cpus"), MemoryMiB: rapid.IntRange(0, 1).Draw(t, "memory"),
			CreateDate: noon.Add(rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "created")),
		}}
		after := before.seen(o)
		if after.looksLike(before) != after.sameAs(before) {
			t.Fatalf("%+v\n%+v\nlook alike: %t", before, after, after.looksLike(before))
		}
	})
}

// TestExpected drops no observation that would change a machine at work, in its phase or in its record.
func TestExpected(t *testing.T) {
	all := allPhases()
	rapid.Check(t, func(t *rapid.T) {
		r := record{ID: "a", Name: "web-a", Ref: "vm-1", Phase: rapid.SampledFrom(all).Draw(t, "phase"), Status: vsphere.DefaultStatus()}
		mark := vsphere.Mark{Pool: "web", Machine: "a", UUID: "a", Retiring: rapid.Bool().Draw(t, "retiring")}
		o := observed{vm: vsphere.VM{
			Ref: "vm-1", Name: rapid.SampledFrom([]string{"web-a", "new"}).Draw(t, "name"), InstanceUUID: "a",
			Power:     rapid.SampledFrom([]vsphere.PowerState{vsphere.PoweredOn, vsphere.PoweredOff}).Draw(t, "power"),
			Connected: rapid.Bool().Draw(t, "connected"),
		}}
		if rapid.Bool().Draw(t, "marked") {
			o.vm.Mark = &mark
		}
		if !r.expects(o, "web") {
			return
		}
		if to, moves := next(r.Phase, sighting(r, o.vm, settings{Pool: "web", Ready: vsphere.ReadyIP})); moves {
			t.Fatalf("%+v leads to %s", o, to)
		}
		if !r.seen(o).sameAs(r) {
			t.Fatalf("%+v shows something new", o)
		}
	})
}

// TestBootsTellNothingNew keeps no observation from a machine that boots which would change it, in its phase or in its record.
func TestBootsTellNothingNew(t *testing.T) {
	mark := vsphere.Mark{Pool: "web", Machine: "a", UUID: "a"}
	silent := observed{vm: vsphere.VM{
		Ref: "vm-1", Name: "web-a", InstanceUUID: "a", Mark: &mark, Power: vsphere.PoweredOn, Connected: true,
	}}
	if !(record{ID: "a", Name: "web-a", Ref: "vm-1", Phase: booting}).boots(silent, settings{Pool: "web", Ready: vsphere.ReadyIP}) {
		t.Error("every observation is worth a message")
	}
	rapid.Check(t, func(t *rapid.T) {
		phase := rapid.SampledFrom([]phase{booting, booting, booting, starting, running}).Draw(t, "phase")
		r := record{ID: "a", Name: "web-a", Ref: "vm-1", Phase: phase}
		s := settings{
			Pool: "web", Ready: rapid.SampledFrom([]string{vsphere.ReadyIP, vsphere.ReadyPoweredOn}).Draw(t, "ready"),
			Customization: rapid.SampledFrom([]string{"", "linux"}).Draw(t, "customized by"),
		}
		o := observed{vm: vsphere.VM{
			Ref: "vm-1", Name: rapid.SampledFrom([]string{"web-a", "new"}).Draw(t, "name"), InstanceUUID: "a",
			Mark:          &vsphere.Mark{Pool: "web", Machine: "a", UUID: "a", Retiring: rapid.Bool().Draw(t, "retiring")},
			Power:         rapid.SampledFrom([]vsphere.PowerState{vsphere.PoweredOn, vsphere.PoweredOff}).Draw(t, "power"),
			Connected:     rapid.Bool().Draw(t, "connected"),
			IPs:           rapid.SampledFrom([][]string{nil, {"10.0.0.1"}}).Draw(t, "addresses"),
			Customization: rapid.SampledFrom([]vsphere.Customization{"", vsphere.CustomizationFailed}).Draw(t, "customization"),
		}}
		if !r.boots(o, s) {
			return
		}
		machine := machineActor{rec: r, settings: s, bootUntil: o.at.Add(time.Minute)}
		if to, moves := next(r.Phase, machine.booted(o)); moves || s.ready(r, o.vm) || r.Phase != booting {
			t.Fatalf("%+v leads to %s", o, to)
		}
		if !r.seen(o).sameAs(r) {
			t.Fatalf("%+v shows something new", o)
		}
	})
}
