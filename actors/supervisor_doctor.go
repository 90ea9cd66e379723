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
)

// checkup is what the last examination of vCenter found.
type checkup struct {
	at       time.Time
	running  bool
	findings []vsphere.Finding
}

// examine has vCenter checked for everything that the pool needs: after connecting, after a missing privilege, and while something is wrong.
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
		if !slices.Contains(known, finding) {
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
