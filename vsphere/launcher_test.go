package vsphere

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25/types"
)

func taskError(f types.BaseMethodFault) error {
	return task.Error{LocalizedMethodFault: &types.LocalizedMethodFault{Fault: f}}
}

func causing(f types.BaseMethodFault, cause types.BaseMethodFault) types.BaseMethodFault {
	f.GetMethodFault().FaultCause = &types.LocalizedMethodFault{Fault: cause}
	return f
}

func TestWhatIsBlamed(t *testing.T) {
	at := spot{store: datastore("a"), host: hostRef("h")}
	for name, row := range map[string]struct {
		err         error
		at          spot
		store, host bool
	}{
		"no space, by the call":       {err: soapFault(types.NoDiskSpace{}), at: at, store: true},
		"no space, by the task":       {err: taskError(&types.InsufficientStorageSpace{}), at: at, store: true},
		"no space, as a cause":        {err: taskError(causing(&types.GenericVmConfigFault{}, &types.NoDiskSpace{})), at: at, store: true},
		"no space, wrapped":           {err: wrap("clone vm", "m", soapFault(types.NoDiskSpace{})), at: at, store: true},
		"host in maintenance":         {err: taskError(&types.InvalidHostState{}), at: at, host: true},
		"host gone":                   {err: taskError(&types.HostNotConnected{}), at: at, host: true},
		"host gone, chosen by DRS":    {err: taskError(&types.HostNotConnected{}), at: spot{store: at.store}},
		"name taken":                  {err: taskError(&types.DuplicateName{}), at: at},
		"no room of another kind":     {err: taskError(&types.InsufficientHostCapacityFault{}), at: at},
		"no answer":                   {err: errors.New("EOF"), at: at},
		"success":                     {at: at},
		"no space, place not known":   {err: taskError(&types.NoDiskSpace{})},
		"fault without cause's fault": {err: taskError(causing(&types.GenericVmConfigFault{}, nil)), at: at},
	} {
		l := newLauncher()
		elsewhere := l.launched("m", "task-1", row.at, row.err)
		_, store := l.ledger.avoids(at.store, time.Now())
		_, host := l.ledger.avoids(at.host, time.Now())
		if store != row.store || host != row.host || elsewhere != (store || host) {
			t.Errorf("%s: store avoided %t, host avoided %t, elsewhere %t", name, store, host, elsewhere)
		}
	}
}

func TestPromisesFollowTheClone(t *testing.T) {
	a := spot{store: datastore("a")}
	for name, row := range map[string]struct {
		called, ended error
		wants         bool
		frees         bool
	}{
		"refused":          {called: soapFault(types.DuplicateName{}), frees: true},
		"no answer":        {called: errors.New("EOF"), wants: true},
		"task failed":      {ended: taskError(&types.NoDiskSpace{}), frees: true},
		"task forgotten":   {ended: &Error{Kind: NotFound}, frees: true},
		"wait given up":    {ended: context.Canceled, wants: true},
		"vCenter not seen": {ended: &Error{Kind: Unreachable}, wants: true},
	} {
		l := newLauncher()
		l.hold("m", a, footprint{disks: 5})
		l.launched("m", "task-1", a, row.called)
		if row.called == nil {
			l.ended("task-1", row.ended)
		}
		got := l.ledger.promised(a.store, time.Now(), time.Now())
		if row.wants && got != 5 || row.frees && got != 0 {
			t.Errorf("%s: %d bytes promised", name, got)
		}
	}
}

func TestSightIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, reads := newLauncher(), 0
		broken := errors.New("EOF")
		var answer error
		read := func(context.Context) (prospect, error) {
			reads++
			time.Sleep(time.Second)
			return seen(map[string]int64{"a": int64(reads)}), answer
		}
		look := func() (prospect, error) { return l.sight(t.Context(), read) }
		for range 3 {
			go func() { _, _ = look() }()
		}
		synctest.Wait()
		time.Sleep(2 * time.Second)
		if p, err := look(); err != nil || reads != 1 || p.stores[datastore("a")].free != gibibyte {
			t.Errorf("%d readings, %+v, %v", reads, p, err)
		}
		time.Sleep(sightAge)
		answer = broken
		if _, err := look(); !errors.Is(err, broken) || reads != 2 {
			t.Errorf("%d readings, %v", reads, err)
		}
		answer = nil
		if p, err := look(); err != nil || reads != 3 || p.at.IsZero() {
			t.Errorf("%d readings after a failure, %v", reads, err)
		}
	})
}

func TestTurnEndsWithItsContext(t *testing.T) {
	l := newLauncher()
	if err := l.looking.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.sight(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
