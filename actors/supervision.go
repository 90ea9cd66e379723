package actors

import (
	"fmt"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"
)

// machineProps makes a machine's actor. Each start builds a new one from the same beginnings: nothing of a broken one lives on.
func machineProps(beginnings machineActor) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor {
		m := beginnings
		return &m
	}, actor.WithReceiverMiddleware(withStack))
}

// withStack adds to a panic where it came from; the supervisor, which hears of it, can't tell any more.
func withStack(next actor.ReceiverFunc) actor.ReceiverFunc {
	return func(c actor.ReceiverContext, envelope *actor.MessageEnvelope) {
		defer func() {
			if p := recover(); p != nil {
				panic(fmt.Sprintf("%v on %T\n%s", p, envelope.Message, debug.Stack()))
			}
		}()
		next(c, envelope)
	}
}
