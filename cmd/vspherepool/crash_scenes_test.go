package main

import (
	"slices"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// scene is a part of a pool's life. prepare goes before, with a server that is not to die.
type scene struct{ prepare, act func(*stage) }

var scenes = map[string]scene{
	"start":       {nil, func(*stage) {}},
	"grow":        {nil, func(s *stage) { s.resize(2) }},
	"shrink":      {grown(2), func(s *stage) { s.resize(1) }},
	"shrink hard": {grownHard, func(s *stage) { s.resize(0) }},
	"terminate":   {grown(2), func(s *stage) { s.terminate(s.any(), false) }},
	"terminate and decrement": {grown(2), func(s *stage) {
		s.terminate(s.any(), true)
	}},
	"terminate during clone": {nil, terminateDuringClone},
	"detach":                 {grown(2), func(s *stage) { s.detach(s.any()) }},
	"attach":                 {(*stage).plantStray, (*stage).attach},
	"service state":          {grown(1), func(s *stage) { s.setServiceState("/pool/serviceState", s.any(), "IN_SERVICE") }},
	"out of service": {grown(1), func(s *stage) {
		id := s.any()
		s.setServiceState("/pool/"+id+"/serviceState", id, "OUT_OF_SERVICE")
	}},
	"membership":        {grown(1), func(s *stage) { s.setMembership(s.any(), membershipStatus{Evictable: false}) }},
	"freeze and thaw":   {nil, freezeAndThaw},
	"stop and start":    {grown(1), stopAndStart},
	"reconfigure":       {grown(1), reconfigure},
	"lose":              {grown(2), lose},
	"lose while frozen": {grown(2), loseWhileFrozen},
	"power off":         {grown(2), func(s *stage) { s.powerOff(s.any()) }},
	"unmark":            {grown(2), func(s *stage) { s.unmark(s.any()) }},
	"name taken":        {nil, func(s *stage) { s.refuseOnce("CloneVM_Task", &types.DuplicateName{Name: "web-0"}); s.resize(1) }},
	"refuse":            {nil, func(s *stage) { s.refuseOnce("CloneVM_Task", &types.NoPermission{}); s.resize(1) }},
	"lose the journal":  {offAndForgotten, func(*stage) {}},
	"unread": {unreadAndForgotten, func(s *stage) {
		s.within(5*time.Second, s.atRest)
		s.connect(types.VirtualMachineConnectionStateConnected)
	}},
}

func grown(n int) func(*stage) {
	return func(s *stage) {
		s.resize(n)
		s.converge()
	}
}

// grownHard has machines whose power is cut without asking the guest.
func grownHard(s *stage) {
	s.document["scaleInConfig"] = map[string]any{"shutdownTimeout": "0s"}
	s.post("/config", s.document)
	grown(1)(s)
}

// terminateDuringClone ends a machine whose clone is held up in vCenter until then.
func terminateDuringClone(s *stage) {
	release := s.holdUp("CloneVM_Task")
	defer release()
	s.resize(1)
	s.within(10*time.Second, func() bool { return s.calls("CloneVM_Task") > 0 })
	s.terminate(s.any(), true)
	s.diesSoon()
}

func freezeAndThaw(s *stage) {
	s.frozen.is(s.post("/pool/freeze", map[string]any{"frozen": true, "reason": "test"}), true)
	s.frozen.is(s.post("/pool/freeze", map[string]any{"frozen": false}), false)
}

func stopAndStart(s *stage) {
	s.stopped.is(s.post("/stop", nil), true)
	s.stopped.is(s.post("/start", nil), false)
}

func reconfigure(s *stage) {
	s.document["retention"] = "2s"
	s.retention.is(s.post("/config", s.document), "2s")
}

// lose has a machine deleted behind the pool's back.
func lose(s *stage) {
	id := s.any()
	s.powerOff(id)
	s.destroy(id)
}

// loseWhileFrozen leaves a debt on record: one that is paid at once may never be.
func loseWhileFrozen(s *stage) {
	s.frozen.is(s.post("/pool/freeze", map[string]any{"frozen": true, "reason": "test"}), true)
	lose(s)
	s.within(10*time.Second, func() bool {
		return slices.ContainsFunc(s.machines(), func(m machineDocument) bool { return m.MachineState == "TERMINATED" })
	})
	s.frozen.is(s.post("/pool/freeze", map[string]any{"frozen": false}), false)
}

// offAndForgotten leaves a powered-off clone behind, and no journal.
func offAndForgotten(s *stage) {
	s.hook(func(method string) types.BaseMethodFault {
		if method == powerOn {
			return &types.TaskInProgress{}
		}
		return nil
	})
	s.resize(1)
	s.within(10*time.Second, func() bool { return s.calls(powerOn) > 0 })
	s.kill()
	s.hook(nil)
	s.forget()
}

// unreadAndForgotten has a member that vCenter cannot tell about when the members are looked for.
func unreadAndForgotten(s *stage) {
	grown(1)(s)
	s.kill()
	s.connect(types.VirtualMachineConnectionStateDisconnected)
	s.forget()
}
