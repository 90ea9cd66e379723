package actors

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "rewrite generated files and golden transcripts")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
