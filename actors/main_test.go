package actors

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "rewrite generated files and golden transcripts")

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The actor system's throttle of warnings ends by itself a second after the last of them.
		goleak.IgnoreAnyFunction("github.com/asynkron/protoactor-go/actor.NewDeadLetter.NewThrottle.func4.1"),
	)
}
