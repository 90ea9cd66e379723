package chaos

import "maps"

// linearize are the desired sizes that are possible after calls made at the same time: for each order of them in which the answers make
// sense, the size that they would have left one after the other. A call that was not answered was done, or not. Nil: any size.
func linearize(sizes set[int], worlds []map[string]bool, calls []*request, config []settings) set[int] {
	after, anything := set[int]{}, false
	var try func(size int, known bool, members map[string]bool, left []*request)
	try = func(size int, known bool, members map[string]bool, left []*request) {
		if len(left) == 0 {
			after[size] = known || after[size]
			anything = anything || !known
			return
		}
		for i, r := range left {
			rest := append(append([]*request(nil), left[:i]...), left[i+1:]...)
			if !r.answer.ok() { // not done
				try(size, known, members, rest)
			}
			if !r.answer.ok() && !r.answer.unknown() {
				continue
			}
			for _, c := range config {
				if s, k, ms, possible := r.done(size, known, members, c); possible {
					try(s, k, ms, rest)
				}
			}
		}
	}
	var relevant []*request
	for _, r := range calls {
		switch r.Op {
		case "resize", "terminate", "detach", "attach", "serviceState", "membershipStatus":
			relevant = append(relevant, r)
		}
	}
	for _, members := range worlds {
		if sizes == nil {
			try(0, false, members, relevant)
		}
		for size := range sizes {
			try(size, true, members, relevant)
		}
	}
	if anything {
		return nil
	}
	return after
}

// done is what the call makes of the desired size and the members; possible is false if it cannot have been acknowledged. A size that is
// not known stays so until it is set.
func (r *request) done(size int, known bool, members map[string]bool, c settings) (int, bool, map[string]bool, bool) {
	next := members
	change := func(is bool) {
		next = maps.Clone(members)
		next[r.machine] = is
	}
	effective := c.effective(size)
	switch r.Op {
	case "resize":
		return r.Size, true, members, r.Size >= 0
	case "attach":
		if r.machine == "" {
			return size, known, members, false
		}
		if members[r.machine] {
			return size, known, members, true
		}
		change(true)
		return effective + 1, known, next, true
	}
	if r.machine == "" || !members[r.machine] {
		return size, known, members, false
	}
	switch {
	case r.Op != "terminate" && r.Op != "detach":
		return size, known, members, true
	case r.Decrement:
		change(false)
		return max(0, effective-1), known, next, true
	}
	change(false)
	return size, known, next, true
}
