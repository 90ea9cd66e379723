package actors

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"vspherepool/vsphere"
)

const connectTimeout = 30 * time.Second

// journalLoaded brings the pool back to where it was.
func (s *supervisor) journalLoaded(ctx actor.Context, f loaded) {
	if f.err != nil {
		s.Log.Error("journal cannot be read", "err", f.err)
		panic(f.err) // the journal was readable a moment ago: let the guardian start over
	}
	s.pool, s.loaded = f.state.Pool, true
	s.held.owed, s.held.churn, s.held.failures = s.pool.Owed, s.pool.Churn, map[vsphere.MachineID]time.Time{}
	s.signature(ctx)
	for _, rec := range f.state.Machines {
		s.seat(rec)
	}
	if len(s.pool.Document) > 0 {
		config, err := restoreConfig(s.pool.Document)
		if err != nil {
			s.Log.Error("stored configuration is not valid any more; POST a new one to /config", "err", err)
		} else {
			s.config = &config
			s.reviveAll(ctx)
			s.connect(ctx)
		}
	}
	s.answerWaiting(ctx)
}

func (s *supervisor) reviveAll(ctx actor.Context) {
	for _, seat := range s.seats {
		s.spawn(ctx, seat)
	}
}

// connect tries to reach vCenter; connected goes on.
func (s *supervisor) connect(ctx actor.Context) {
	s.connection++
	s.connectedAt = time.Now()
	gen, config, open := s.connection, *s.config, s.Connect
	s.ops.start(ctx, blockingCall{
		timeout:     connectTimeout,
		abandonable: true,
		run: func(c context.Context) any {
			provider, err := open(c, config.Name, config.CloudAPISettings, config.ProvisioningTemplate)
			return connected{gen, provider, err}
		},
		failed: func(err error) any { return connected{gen: gen, err: err} },
	})
}

func (s *supervisor) connected(ctx actor.Context, f connected) {
	if f.gen != s.connection || s.draining {
		s.discard(ctx, f.provider)
		return
	}
	err := f.err
	if err == nil {
		err = s.sameVCenter(f.provider)
	}
	if err != nil {
		s.discard(ctx, f.provider)
		s.notConnected(ctx, err)
		return
	}
	if flaw := f.provider.Site().Flaw; flaw != nil {
		s.connectedFlawed(ctx, f.provider, flaw)
		return
	}
	s.attempts = 0
	s.useProvider(ctx, f.provider)
}

// connectedFlawed takes what can follow machines, though it can make none, and goes on looking for one that can.
func (s *supervisor) connectedFlawed(ctx actor.Context, p Provider, flaw error) {
	if s.provider == nil {
		s.Log.Warn("no machines can be made", "pool", s.config.Name, "err", flaw)
		s.useProvider(ctx, p)
	} else {
		s.discard(ctx, p)
	}
	s.attempts++
	after(ctx, max(resolvePause, reconnectPause(flaw, s.attempts, s.Jitter())), reconnect{s.connection})
}

// notConnected tries again, unless there is a connection that still serves.
func (s *supervisor) notConnected(ctx actor.Context, err error) {
	s.attempts++
	pause := reconnectPause(err, s.attempts, s.Jitter())
	if s.provider != nil {
		s.Log.Warn("the provisioning template cannot be resolved anew", "pool", s.config.Name, "err", err)
		if s.provider.Site().Flaw != nil {
			after(ctx, max(resolvePause, pause), reconnect{s.connection})
		}
		return
	}
	s.lostSight(ctx, err)
	after(ctx, pause, reconnect{s.connection})
}

// resolvePause is how soon after connecting it is worth to look up the template's references again.
const resolvePause = 30 * time.Second

// resolveAnew connects again after a failure that says that something the template refers to is not there any more: it may have been
// made again, under the same path.
func (s *supervisor) resolveAnew(ctx actor.Context, cause vsphere.Kind) {
	missing := cause == vsphere.NotFound || cause == vsphere.Misconfigured
	if missing && s.provider != nil && !s.draining && time.Since(s.connectedAt) > resolvePause {
		s.connect(ctx)
	}
}

// loginPause is how soon a password that was corrected in its file is noticed. Trying is cheap: vCenter is not asked about one that it
// refused a moment ago.
const loginPause = 15 * time.Second

func reconnectPause(err error, attempt int, jitter float64) time.Duration {
	if vsphere.KindOf(err) == vsphere.BadLogin {
		return loginPause
	}
	return min(backoff(time.Second, attempt, jitter), 30*time.Second)
}

func (s *supervisor) reconnect(ctx actor.Context, f reconnect) {
	if f.gen == s.connection && !s.draining {
		s.connect(ctx)
	}
}

// sameVCenter refuses to mistake another vCenter for the one that the members live in: there they would all seem to be gone.
func (s *supervisor) sameVCenter(p Provider) error {
	if s.pool.VCenter == "" || s.pool.VCenter == p.Site().VCenter || len(s.seats)+len(s.attaching) == 0 {
		return nil
	}
	return fmt.Errorf("this is vCenter %s, but the pool's machines live in %s: point cloudApiSettings.url back to it, "+
		"or use another state directory", p.Site().VCenter, s.pool.VCenter)
}

func (s *supervisor) useProvider(ctx actor.Context, p Provider) {
	s.discard(ctx, s.provider)
	s.provider = p
	if vc := p.Site().VCenter; s.pool.Rebuilt && s.pool.VCenter != vc { // no members yet, or they would have been missed
		s.commit(ctx, func(r *PoolRecord) { r.VCenter, r.Rebuilt = vc, false }, resweepStep{})
	}
	for _, note := range p.Site().Notes {
		s.Log.Info("note on the configuration", "pool", s.config.Name, "reason", note)
	}
	s.broadcast(ctx)
	s.startWatching(ctx)
	s.examine(ctx)
}

// discard logs out of a vCenter session that is not needed any more.
func (s *supervisor) discard(ctx actor.Context, p Provider) {
	if p == nil {
		return
	}
	if s.draining { // no operation begins any more
		s.parted = append(s.parted, p)
		return
	}
	s.ops.start(ctx, blockingCall{
		timeout: connectTimeout,
		run: func(c context.Context) any {
			if err := p.Close(c); err != nil {
				s.Log.Warn("vCenter session was not closed", "err", err)
			}
			return nil
		},
		failed: func(error) any { return nil },
	})
}

// partings are all providers that have to be closed at the end, those included that came too late to be used.
func (s *supervisor) partings() []Provider {
	if s.provider == nil {
		return s.parted
	}
	return append(slices.Clip(s.parted), s.provider)
}

func (s *supervisor) tellConfig(ctx actor.Context) {
	if len(s.pool.Document) == 0 {
		ctx.Respond(answer{err: refuse(NotFound, "no cloud pool configuration has been set: POST one to /config")})
		return
	}
	document, err := MaskConfig(s.pool.Document)
	ctx.Respond(answer{value: document, err: err})
}

// configure checks a new document, against vCenter too, before anything of the old one is given up.
func (s *supervisor) configure(ctx actor.Context, c configure) {
	switch {
	case s.draining || !s.loaded:
		ctx.Respond(answer{err: errStopping()})
		return
	case s.configuring:
		ctx.Respond(answer{err: refuse(Conflict, "another configuration is being applied; try again when that has its answer")})
		return
	}
	s.configuring = true
	asker, storedDocument, open := ctx.Sender(), s.pool.Document, s.Connect
	s.ops.start(ctx, blockingCall{
		timeout:     connectTimeout,
		abandonable: true,
		run: func(opCtx context.Context) any {
			p := prepare(opCtx, open, c.document, storedDocument)
			p.asker = asker
			return p
		},
		failed: func(err error) any { return prepared{err: err, asker: asker} },
	})
}

func prepare(ctx context.Context, open Connect, document, storedDocument []byte) prepared {
	document, err := UnmaskConfig(document, storedDocument)
	if err != nil {
		return prepared{err: invalidConfig(err)}
	}
	config, err := ParseConfig(document)
	if err != nil {
		return prepared{err: invalidConfig(err)}
	}
	provider, err := open(ctx, config.Name, config.CloudAPISettings, config.ProvisioningTemplate)
	if err == nil {
		err = provider.Site().Flaw
	}
	if err != nil {
		return prepared{err: rejection(err), provider: provider}
	}
	return prepared{document: document, config: config, provider: provider}
}

// rejection tells a configuration that vCenter refused from a vCenter that could not be asked.
func rejection(err error) error {
	if misfit(err) {
		return &Error{Kind: Invalid, Message: "vCenter rejects the configuration; the old one stays in force", Err: err}
	}
	return &Error{Kind: Unavailable, Message: "vCenter cannot be asked about the configuration; the old one stays in force", Err: err}
}

func invalidConfig(err error) error {
	return refuse(Invalid, "the configuration is not valid, and nothing was changed: %v", err)
}

func (s *supervisor) prepared(ctx actor.Context, f prepared) {
	s.configuring = false
	err := f.err
	if err == nil {
		err = s.acceptable(f)
	}
	if err != nil {
		s.discard(ctx, f.provider)
		reply(ctx, f.asker, nil, err)
		return
	}
	warnOfUnknownKeys(s.Log, f.document)
	done := &Reconfigured{}
	s.commit(ctx, func(p *PoolRecord) {
		*done = reconfigured(p.Document, f.document)
		p.Rebuilt = p.Rebuilt && nameIn(p.Document) == f.config.Name
		p.Document = f.document
	}, configStep{f, done})
}

// acceptable refuses what would orphan the members, and what comes too late.
func (s *supervisor) acceptable(f prepared) error {
	if s.draining {
		return errStopping()
	}
	if old := nameIn(s.pool.Document); old != f.config.Name && len(s.seats)+len(s.attaching) > 0 {
		return refuse(Invalid, "the pool's name cannot change from %q to %q while it has machines: their marks carry it", old, f.config.Name)
	}
	if err := s.sameVCenter(f.provider); err != nil {
		return &Error{Kind: Invalid, Message: "the configuration was refused; the old one stays in force", Err: err}
	}
	return nil
}

// configStep puts a configuration in force.
type configStep struct {
	with prepared
	done *Reconfigured
}

func (st configStep) finish(s *supervisor, ctx actor.Context, err error) {
	if err != nil {
		s.discard(ctx, st.with.provider)
		reply(ctx, st.with.asker, nil, journalFailure(err))
		return
	}
	first := s.config == nil
	s.config = &st.with.config
	s.connection++
	s.breaker = breaker{}
	if first {
		s.reviveAll(ctx)
	}
	s.Log.Info("configuration in force", "pool", s.config.Name)
	s.useProvider(ctx, st.with.provider)
	reply(ctx, st.with.asker, st.done, nil)
	s.reconcileSoon(ctx)
}
