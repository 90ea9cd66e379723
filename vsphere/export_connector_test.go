package vsphere

import "time"

// Restless makes a connector that hardly spaces logins out, for tests in real time.
func Restless() *Connector {
	k := NewConnector("test")
	k.rests = rests{youth: time.Millisecond, shortest: time.Millisecond, longest: time.Millisecond}
	return k
}
