package actors

import "github.com/asynkron/protoactor-go/actor"

func (s *supervisor) freeze() Freeze { return Freeze{} }

func (s *supervisor) strays() any { return []Stray{} }

func (s *supervisor) freezeByHand(ctx actor.Context, _ freezePool) { ctx.Respond(answer{}) }

func (s *supervisor) thaw(ctx actor.Context, _ thawPool) { ctx.Respond(answer{}) }
