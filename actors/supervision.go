package actors

import (
	"fmt"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"
)

// machineProps makes a machine's actor. It is started once: after a panic another one takes its place (see HandleFailure), so that nothing
// of a broken one lives on, and there is no copy to be kept for that.
func machineProps(m *machineActor) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor { return m }, actor.WithReceiverMiddleware(withStack))
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
