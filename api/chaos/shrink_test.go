package chaos

import (
	"encoding/json"
	"slices"
	"time"
)

// shrink looks for a smaller history that still fails: it drops ever smaller pieces of the steps, then calls and acts, then makes what is
// left plainer. fails plays a history; it is not asked any more after the deadline. A failure that depends on the scheduler may be lost on
// the way, and then the history stays larger than it need be.
func shrink(h history, deadline time.Time, fails func(history) bool) history {
	still := func(c history) bool { return time.Now().Before(deadline) && fails(c) }
	for size := max(1, len(h.Steps)/2); size > 0 && time.Now().Before(deadline); size /= 2 {
		for at := 0; at < len(h.Steps); {
			c := h.clone()
			c.Steps = slices.Delete(c.Steps, at, min(at+size, len(c.Steps)))
			if still(c) {
				h = c
			} else {
				at += size
			}
		}
	}
	for changed := true; changed && time.Now().Before(deadline); {
		changed = false
		for _, simpler := range simplifications(h) {
			c := h.clone()
			simpler(&c)
			if still(c) {
				h, changed = c, true
				break
			}
		}
	}
	return h
}

// simplifications are all that can be made plainer about a history in one go.
func simplifications(h history) []func(*history) {
	var all []func(*history)
	for i, s := range h.Steps {
		for j := range s.Calls {
			all = append(all, func(h *history) { h.Steps[i].Calls = slices.Delete(h.Steps[i].Calls, j, j+1) })
		}
		for j := range s.Acts {
			all = append(all, func(h *history) { h.Steps[i].Acts = slices.Delete(h.Steps[i].Acts, j, j+1) })
		}
	}
	for i, s := range h.Steps {
		for _, pause := range []int{0, 10, 60, 300} {
			if pause < s.Pause {
				all = append(all, func(h *history) { h.Steps[i].Pause = pause })
				break
			}
		}
		for j, a := range s.Acts {
			if a.Delay > 0 {
				all = append(all, func(h *history) { h.Steps[i].Acts[j].Delay = 0 })
			}
			if a.N > 0 {
				all = append(all, func(h *history) { h.Steps[i].Acts[j].N = a.N / 2 })
			}
		}
		for j, c := range s.Calls {
			if c.Target != nil && c.Target.N > 0 {
				all = append(all, func(h *history) { h.Steps[i].Calls[j].Target.N = c.Target.N / 2 })
			}
		}
	}
	return all
}

// clone shares nothing with the original.
func (h history) clone() history {
	text, _ := json.Marshal(h)
	var c history
	_ = json.Unmarshal(text, &c)
	return c
}
