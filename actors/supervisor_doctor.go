package actors

import (
	"context"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

const (
	examineTimeout = 2 * time.Minute
	// examinePause is how soon it is looked again at what is wrong, refusedPause how soon for a privilege that turned out to be missing.
	examinePause = 5 * time.Minute
	refusedPause = 30 * time.Second
	// deniedTime is how long a missing privilege is told of: longer than the longest pause between two tries.
	deniedTime = 10 * time.Minute
)

// checkup is what the last examination of vCenter found.
type checkup struct {
	at       time.Time
	running  bool
	findings []vsphere.Finding
	// making and ending are the last steps towards a machine, and towards its end, for which a privilege was missing.
	making, ending denial
}

// denial is a missing privilege as a call met it, to be told of for a while.
type denial struct {
	message string
	until   time.Time
}

// examine has vCenter checked for all that the pool needs: after connecting, after a missing privilege, and while something is wrong.
func (s *supervisor) examine(ctx actor.Context) {
	if s.provider == nil || s.checkup.running {
		return
	}
	s.checkup.running, s.checkup.at = true, time.Now()
	provider := s.provider
	s.ops.start(ctx, blockingCall{
		timeout:     examineTimeout,
		abandonable: true,
		run: func(c context.Context) any {
			findings, err := provider.Examine(c)
			return examined{provider, findings, err}
		},
		failed: func(err error) any { return examined{provider: provider, err: err} },
	})
}

// examineAgain is examine, unless that was done less than the pause ago.
func (s *supervisor) examineAgain(ctx actor.Context, pause time.Duration) {
	if time.Since(s.checkup.at) > pause {
		s.examine(ctx)
	}
}

func (s *supervisor) examined(ctx actor.Context, f examined) {
	s.checkup.running = false
	switch {
	case f.provider != s.provider:
		s.examine(ctx) // the configuration changed meanwhile
		return
	case f.err != nil:
		s.Log.Debug("vCenter cannot be examined now", "pool", s.config.Name, "err", f.err)
		return
	}
	known := s.checkup.findings
	s.checkup.findings = slices.DeleteFunc(f.findings, func(f vsphere.Finding) bool { return f.Severity == vsphere.Fine })
	for _, finding := range s.checkup.findings {
		if !slices.ContainsFunc(known, func(k vsphere.Finding) bool { return k.Check == finding.Check && k.Object == finding.Object }) {
			s.Log.Warn("vCenter does not fit the pool", "pool", s.config.Name, "op", finding.Check, "reason", finding.Sentence())
		}
	}
}

// unwell says whether the last examination found something that keeps the pool from working.
func (s *supervisor) unwell() bool {
	return slices.ContainsFunc(s.checkup.findings, func(f vsphere.Finding) bool { return f.Severity == vsphere.Failure })
}

// diagnoses are the findings as notes for the operator.
func (s *supervisor) diagnoses() []string {
	var out []string
	for _, f := range s.checkup.findings {
		out = append(out, f.Sentence())
	}
	return out
}

// consult notes what a machine's change says about the account's privileges, for making machines or for ending them.
func (s *supervisor) consult(ctx actor.Context, making bool, f machineChanged) {
	met := &s.checkup.ending
	if making {
		met = &s.checkup.making
	}
	switch {
	case f.outcome.denied != "":
		*met = denial{f.outcome.denied, time.Now().Add(deniedTime)}
		s.examineAgain(ctx, refusedPause)
	case f.outcome.verdict == launchSucceeded || f.rec.Phase == terminated:
		*met = denial{}
	}
}

// lacking says what could not be done for want of a privilege lately; empty: nothing.
func (s *supervisor) lacking() string {
	for _, d := range []denial{s.checkup.making, s.checkup.ending} {
		if d.message != "" && time.Now().Before(d.until) {
			return "a privilege is missing: " + d.message
		}
	}
	return ""
}
