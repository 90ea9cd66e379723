package api

import (
	"encoding/json"

	"vspherepool/actors"
)

// poolEncoding is the document of one view, and where in it each machine is, so that the next document can be made of what has not changed.
type poolEncoding struct {
	machines []*actors.Machine
	spans    []span
	body     []byte
}

// span is a part of a body.
type span struct{ from, to int }

// encodePool encodes a view. It takes what it can from the last encoding of the same pool's, which may be empty: the machines that are the
// same, by their identity, and so have the same bytes. Both are in the order of views.
func encodePool(v actors.View, last *poolEncoding) (*poolEncoding, error) {
	e := &poolEncoding{machines: v.Machines, spans: make([]span, len(v.Machines)), body: make([]byte, 0, len(last.body)+len(last.body)/8)}
	e.body = append(e.body, `{"timestamp":"`+timestamp(v.Observed)+`","machines":[`...)
	old := 0
	for i, m := range v.Machines {
		if i > 0 {
			e.body = append(e.body, ',')
		}
		for old < len(last.machines) && last.machines[old].Compare(m) < 0 {
			old++
		}
		piece, err := last.piece(old, m)
		if err != nil {
			return nil, err
		}
		e.spans[i] = span{len(e.body), len(e.body) + len(piece)}
		e.body = append(e.body, piece...)
	}
	e.body = append(e.body, "]}"...)
	return e, nil
}

// piece is the machine's part of a document: the i-th one here if that is the same machine's, and made anew otherwise.
func (e *poolEncoding) piece(i int, m *actors.Machine) ([]byte, error) {
	if i < len(e.machines) && e.machines[i] == m {
		return e.body[e.spans[i].from:e.spans[i].to], nil
	}
	return json.Marshal(machineOf(m))
}
